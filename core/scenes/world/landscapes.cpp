// The ground and the background of outdoor places.
#include "core/scenes/world/compose.h"
#include "core/scenes/world/noise.h"

namespace attelier::world {
namespace {

Material ground_material(Pattern pattern, const Colour& base, const Colour& second, float scale, float bump) {
  return {.base = base, .second = second, .pattern = pattern, .scale = scale, .bump = bump};
}
Material grass(Dice& dice) {
  const float warm = dice.uniform(-0.04f, 0.06f);
  return ground_material(Pattern::kGrass, shown(0.56f + warm, 0.68f, 0.28f), shown(0.28f + warm, 0.46f, 0.17f), 1, 0.012f);
}
Material rock() { return ground_material(Pattern::kRock, shown(0.58f, 0.55f, 0.54f), shown(0.33f, 0.31f, 0.33f), 5, 0.12f); }
Material snow() { return ground_material(Pattern::kSnow, shown(0.94f, 0.96f, 0.99f), shown(0.8f, 0.87f, 0.95f), 1, 0.05f); }
Material sand() { return ground_material(Pattern::kSand, shown(0.93f, 0.82f, 0.6f), shown(0.84f, 0.69f, 0.46f), 1, 0.1f); }
Material soil() { return ground_material(Pattern::kSoil, shown(0.72f, 0.58f, 0.42f), shown(0.55f, 0.42f, 0.29f), 0.7f, 0.02f); }
Material cobbles() { return ground_material(Pattern::kCobbles, shown(0.62f, 0.6f, 0.58f), shown(0.36f, 0.34f, 0.33f), 0.3f, 0); }

float distance(float x, float z) { return std::sqrt(x * x + z * z); }

void add_path(GroundLook& ground, Dice& dice, const Material& material) {
  ground.path = material, ground.path_width = dice.uniform(1.1f, 1.8f), ground.path_bend = dice.uniform(0.8f, 2.2f), ground.path_phase = dice.uniform(0, 6.28f), ground.path_offset = dice.uniform(-1.5f, 1.5f);
}

/// Scatters background things that nobody counts, away from the stage and the view to it.
void scatter(Builder& b, float stage, int count, float near, float far, std::initializer_list<Kind> kinds, std::initializer_list<Hue> hues, float scale = 1) {
  const std::vector<Kind> choice(kinds);
  const std::vector<Hue> colours(hues);
  for (int i = 0; i < count; ++i) {
    // Two thirds before the viewer, the rest all round, for panoramas and orbits.
    const float angle = i % 3 < 2 ? b.dice.uniform(-1.5f, 1.5f) : b.dice.uniform(1.5f, 2 * kPi - 1.5f), r = near + (far - near) * b.dice.uniform();
    float x = r * sine(angle);
    const float z = -r * cosine(angle) + 2;
    if (z > -3.5f && std::fabs(x) < stage + 2.5f) x = x < 0 ? -stage - b.dice.uniform(2.5f, 5) : stage + b.dice.uniform(2.5f, 5);
    if (z > 0 && z < 34 && std::fabs(x) < stage + 3 + 0.5f * z) continue;  // between the viewer and the stage
    const float y = b.scene().ground_height(x, z);
    if (b.scene().has_water() && y < b.scene().water_level + 0.15f) continue;
    const Kind kind = b.dice.pick(choice);
    b.surroundings(Kind::kGreenery, {x, y - 0.05f, z}, b.dice.uniform(0, 6.28f), scale * b.dice.uniform(0.75f, 1.25f));
    build_thing(b, kind, b.dice.pick(colours), Hue::kGreen);
  }
}

/// Tufts, small flowers or pebbles near the viewer.
void sprinkle(Builder& b, float reach, int count, Pattern ground) {
  const int blade = b.material({.base = shown(0.45f, 0.62f, 0.24f), .second = {}, .softness = 0.7f}), stone = b.plain(shown(0.62f, 0.58f, 0.53f));
  constexpr Hue kPetals[] = {Hue::kWhite, Hue::kYellow, Hue::kPink, Hue::kRed, Hue::kPurple};
  int petals[2];
  for (int& petal : petals) petal = b.material({.base = colour_of(b.dice.pick(kPetals)), .second = {}, .softness = 0.6f});
  for (int i = 0; i < count; ++i) {
    const float x = b.dice.uniform(-reach, reach), z = b.dice.uniform(-reach, 1.1f * reach), y = b.scene().ground_height(x, z);
    if (b.scene().has_water() && y < b.scene().water_level + 0.3f) continue;
    b.surroundings(Kind::kGreenery, {x, y, z}, b.dice.uniform(0, 6.28f), b.dice.uniform(0.7f, 1.3f));
    if (ground == Pattern::kGrass && b.dice.chance(0.35f)) {
      b.hinge({MotionKind::kSway, {}, {1, 0, 0}, 0.15f, 0.4f, b.dice.uniform()});
      b.tube({0, 0, 0}, {0.01f, 0.14f, 0}, 0.008f, 0.006f, blade);
      b.ball({0.01f, 0.15f, 0}, {0.038f, 0.03f, 0.038f}, petals[i % 2]), b.ball({0.01f, 0.175f, 0}, {0.014f, 0.01f, 0.014f}, b.plain(shown(0.95f, 0.75f, 0.2f)));
    } else if (ground == Pattern::kGrass) {
      b.hinge({MotionKind::kSway, {}, {1, 0, 0.3f}, 0.2f, 0.4f, b.dice.uniform()});
      for (int k = 0; k < 4; ++k) b.tube({0, -0.01f, 0}, {b.dice.uniform(-0.07f, 0.07f), b.dice.uniform(0.1f, 0.2f), b.dice.uniform(-0.07f, 0.07f)}, 0.014f, 0.001f, blade);
    } else {
      b.lump({0, 0.01f, 0}, {0.07f, 0.045f, 0.06f}, 0.1f, 3, stone);
    }
    b.steady();
  }
}

void street(Builder& b) {
  Scene& scene = b.scene();
  scene.ground.low = cobbles();
  // Pavements, kerbs, and two rows of fronts that run away from the viewer.
  const int slab = b.patterned(Pattern::kTiles, shown(0.74f, 0.71f, 0.66f), shown(0.5f, 0.48f, 0.45f), 0.55f);
  for (const float side : {-1.f, 1.f}) {
    b.surroundings(Kind::kPath);
    b.block({side * 5.6f, 0.05f, -20}, {1.4f, 0.07f, 40}, slab);
    float z = 10;
    while (z > -46) {
      const float width = b.dice.uniform(4, 6), height = b.dice.uniform(5.5f, 9.5f), x = side * 8.6f, middle = z - 0.5f * width;
      constexpr Hue kFacades[] = {Hue::kRed, Hue::kOrange, Hue::kYellow, Hue::kGreen, Hue::kTurquoise, Hue::kBlue, Hue::kPink, Hue::kWhite, Hue::kBrown};
      const Colour paint = mix(colour_of(b.dice.pick(kFacades)), shown(0.93f, 0.88f, 0.8f), 0.45f);
      b.surroundings(Kind::kFront);
      const int wall = b.dice.chance(0.35f) ? b.patterned(Pattern::kBricks, paint * 0.8f, mix(paint, shown(0.8f, 0.78f, 0.74f), 0.6f), 0.18f, 0.1f) : b.patterned(Pattern::kMottled, paint, paint * 0.9f, 1.1f);
      const int trim = b.plain(shown(0.95f, 0.93f, 0.88f)), roof = b.patterned(Pattern::kShingles, shown(0.55f, 0.33f, 0.27f), shown(0.36f, 0.21f, 0.18f), 0.3f, 0.2f);
      b.block({x, 0.5f * height, middle}, {1.6f, 0.5f * height, 0.5f * width}, wall), b.block({x - side * 1.6f, height, middle}, {0.12f, 0.12f, 0.5f * width}, trim);
      b.roof({x, height + 0.9f, middle}, {1.9f, 0.9f, 0.5f * width}, roof);
      const bool dark = scene.daytime == Daytime::kNight || scene.daytime == Daytime::kSunset;
      const int lit = b.glowing(shown(1, 0.8f, 0.45f), 1.3f), pane = b.plain(shown(0.36f, 0.48f, 0.57f), 0.9f), shutter = b.plain(colour_of(b.dice.pick(kFacades)) * 0.7f);
      const float face = x - side * 1.6f;
      for (float y = 3.6f; y < height - 0.8f; y += 2.1f)
        for (float w = -0.5f * width + 1; w < 0.5f * width - 0.4f; w += 1.35f) {
          b.block({face, y, middle + w}, {0.05f, 0.6f, 0.34f}, dark && b.dice.chance(0.6f) ? lit : pane), b.block({face, y - 0.66f, middle + w}, {0.12f, 0.06f, 0.46f}, trim), b.block({face, y, middle + w}, {0.07f, 0.6f, 0.025f}, trim);
          for (const float s : {-1.f, 1.f}) b.block({face, y, middle + w + 0.5f * s}, {0.06f, 0.6f, 0.13f}, shutter);
        }
      // Shop: window, awning, door.
      b.block({face, 1.35f, middle - 0.18f * width}, {0.06f, 0.85f, 0.26f * width}, dark ? lit : pane), b.block({face, 1.1f, middle + 0.3f * width}, {0.07f, 1.1f, 0.42f}, shutter);
      const int awning = b.patterned(Pattern::kChecks, colour_of(b.dice.pick(kFacades)), shown(0.96f, 0.94f, 0.9f), 0.5f);
      b.block({face - side * 0.5f, 2.55f, middle - 0.18f * width}, {0.55f, 0.04f, 0.28f * width}, awning, rotation_z(side * 0.35f));
      z -= width;
    }
    for (int i = 0; i < 4; ++i) {
      const float at = 3 - 9 * static_cast<float>(i);
      b.surroundings(Kind::kFront, {side * 4.5f, 0.1f, at}), build_thing(b, Kind::kStreetLamp, Hue::kBlack, Hue::kBlack);
      if (scene.daytime == Daytime::kNight || scene.daytime == Daytime::kSunset) scene.light.lamps.push_back({{side * 4.5f, 3.2f, at}, Colour{1.7f, 1.1f, 0.5f}, 3.2f, false});
      b.surroundings(Kind::kGreenery, {side * 5.4f, 0.1f, at - 4.5f}, 0, 0.8f), build_thing(b, Kind::kTree, Hue::kGreen, Hue::kGreen);
    }
  }
  b.surroundings(Kind::kGreenery);
  for (int i = 0; i < 9; ++i) b.surroundings(Kind::kGreenery, {-8 + 2 * static_cast<float>(i), 0, -50 + b.dice.uniform(-3, 3)}, 0, 1.4f), build_thing(b, Kind::kTree, Hue::kGreen, Hue::kGreen);
}

}  // namespace

void set_landscape(Builder& b, float stage) {
  Scene& scene = b.scene();
  GroundLook& ground = scene.ground;
  Dice& dice = b.dice;
  const auto seed = static_cast<uint32_t>(dice.next());
  const float flat = stage + 6;
  const auto hills = [=](float x, float z, float scale, int octaves = 3) { return fractal_noise2(x * scale + 31.7f, z * scale - 12.3f, octaves, seed); };
  const auto away = [=](float x, float z, float near, float far) { return smooth_step(flat + near, flat + far, distance(x, z - 2)); };
  ground.steep = rock();
  std::function<float(float, float)> height;
  switch (scene.place) {
    case Place::kForest:
    case Place::kVillage:
    case Place::kMeadow:
      ground.low = grass(dice);
      height = [=](float x, float z) { return away(x, z, 0, 30) * (3.5f + 4 * hills(x, z, 0.035f)) + away(x, z, 40, 110) * (8 + 14 * hills(x, z, 0.016f)) + 0.12f * hills(x, z, 0.3f, 2); };
      ground.steep_from = 1.1f;
      if (scene.place != Place::kMeadow || dice.chance(0.5f)) add_path(ground, dice, soil());
      break;
    case Place::kMountains:
      ground.low = grass(dice), ground.high = snow(), ground.high_from = dice.uniform(17, 24), ground.steep_from = 0.62f;
      height = [=](float x, float z) {
        const float ridge = 1 - std::fabs(hills(x, z, 0.017f, 4)) * 1.9f;
        return away(x, z, 0, 25) * (1.5f + 2 * hills(x, z, 0.05f)) + away(x, z, 18, 75) * (16 + 34 * ridge * ridge * (ridge > 0 ? 1.f : 0.2f)) + 0.1f * hills(x, z, 0.3f, 2);
      };
      break;
    case Place::kSnow:
      ground.low = snow(), ground.steep_from = 0.8f;
      height = [=](float x, float z) { return away(x, z, 0, 30) * (2.5f + 4 * hills(x, z, 0.035f)) + away(x, z, 30, 95) * (12 + 26 * hills(x, z, 0.018f, 4)) + 0.2f * hills(x, z, 0.25f, 2); };
      break;
    case Place::kDesert:
      ground.low = sand(), ground.steep = ground_material(Pattern::kRock, shown(0.78f, 0.5f, 0.34f), shown(0.6f, 0.35f, 0.24f), 5, 0.12f), ground.steep_from = 1.1f;
      height = [=](float x, float z) {
        const float wave = 1 - std::fabs(hills(x + 0.5f * z, z, 0.03f, 2)) * 1.6f;
        return away(x, z, 0, 26) * 5 * wave * wave + away(x, z, 45, 90) * 20 * smooth_step(0.1f, 0.22f, hills(x, z, 0.02f, 2)) + 0.15f * hills(x, z, 0.2f, 2);
      };
      break;
    case Place::kSeaside: {
      ground.low = sand(), ground.steep = rock(), ground.high = grass(dice), ground.high_from = 2.8f;
      scene.water_level = 0, ground.shore = ground_material(Pattern::kMottled, shown(0.68f, 0.56f, 0.4f), shown(0.6f, 0.48f, 0.33f), 0.8f, 0), ground.shore_height = 0.3f;
      const float bend = dice.chance(0.5f) ? 1.f : -1.f;
      height = [=](float x, float z) {
        const float shore = z + 4.5f + 2 * hills(x, 0, 0.08f, 2), land = shore > 0 ? 0.9f * (1 - exponential(-0.25f * shore)) : std::max(-4.f, 0.18f * shore);
        const float head = smooth_step(14, 40, bend * x - 0.2f * z) * smooth_step(-75, -25, z) * (7 + 6 * hills(x, z, 0.05f));
        const float island = 9 * smooth_step(0.28f, 0.6f, hills(x, z, 0.022f, 3)) * smooth_step(-50, -80, z);
        return land + head + island + away(x, z, 5, 60) * smooth_step(0, 10, z) * 4;
      };
      break;
    }
    case Place::kLake: {
      ground.low = grass(dice), ground.high = snow(), ground.high_from = dice.uniform(22, 30), ground.steep_from = 0.7f, scene.water_level = -0.35f;
      ground.shore = ground_material(Pattern::kSoil, shown(0.66f, 0.58f, 0.44f), shown(0.5f, 0.42f, 0.31f), 0.7f, 0), ground.shore_height = 0.25f;
      height = [=](float x, float z) {
        const float basin = smooth_step(1, 0.55f, distance(x / 34, (z + 27) / 23) + 0.15f * hills(x, z, 0.07f, 2));
        return -2.5f * basin + 0.25f + away(x, z, 26, 85) * (12 + 26 * std::fabs(hills(x, z, 0.018f, 4))) + away(x, z, 4, 30) * (1 - basin) * (1.2f + 2 * hills(x, z, 0.05f));
      };
      break;
    }
    default:
      ground.low = grass(dice);
      height = [](float, float) { return 0.f; };
      break;
  }
  scene.terrain = std::make_shared<const Terrain>(130, height);
  switch (scene.place) {
    case Place::kMeadow: scatter(b, stage, 22, 14, 55, {Kind::kTree, Kind::kBush, Kind::kTree}, {Hue::kGreen, Hue::kGreen, Hue::kYellow, Hue::kOrange}), sprinkle(b, 5.5f, 110, Pattern::kGrass); break;
    case Place::kVillage: scatter(b, stage, 25, 13, 50, {Kind::kTree, Kind::kBush, Kind::kPine}, {Hue::kGreen, Hue::kGreen, Hue::kPink}), sprinkle(b, 5.5f, 70, Pattern::kGrass); break;
    case Place::kForest: scatter(b, stage, 64, 7.5f, 38, {Kind::kTree, Kind::kPine, Kind::kTree, Kind::kBush}, {Hue::kGreen, Hue::kGreen, Hue::kGreen, Hue::kOrange, Hue::kYellow}, 1.25f), sprinkle(b, 5, 80, Pattern::kGrass); break;
    case Place::kMountains: scatter(b, stage, 36, 13, 50, {Kind::kPine, Kind::kPine, Kind::kRock}, {Hue::kGreen}), sprinkle(b, 5, 80, Pattern::kGrass); break;
    case Place::kSnow: scatter(b, stage, 34, 11, 48, {Kind::kPine, Kind::kPine, Kind::kPine, Kind::kRock}, {Hue::kGreen, Hue::kWhite}); break;
    case Place::kDesert: scatter(b, stage, 17, 10, 45, {Kind::kCactus, Kind::kRock, Kind::kRock}, {Hue::kGreen}), sprinkle(b, 6, 40, Pattern::kSand); break;
    case Place::kSeaside: scatter(b, stage, 10, 9, 26, {Kind::kPalm, Kind::kRock}, {Hue::kGreen}), sprinkle(b, 6, 30, Pattern::kSand); break;
    case Place::kLake: scatter(b, stage, 34, 13, 60, {Kind::kPine, Kind::kTree, Kind::kBush}, {Hue::kGreen, Hue::kGreen, Hue::kOrange}), sprinkle(b, 5, 80, Pattern::kGrass); break;
    default: street(b); break;
  }
}

}  // namespace attelier::world
