// Living rooms, bedrooms, kitchens, and still lifes on a table.
#include "core/scenes/world/compose.h"

namespace attelier::world {
namespace {

constexpr Hue kWallHues[] = {Hue::kYellow, Hue::kGreen, Hue::kTurquoise, Hue::kBlue, Hue::kPink, Hue::kWhite, Hue::kOrange, Hue::kGrey};

/// The light of a room: the sun through the window on the left, the sky's glow, and a lamp.
void light_room(Builder& b, const Vec3& lamp) {
  Scene& scene = b.scene();
  Light& light = scene.light;
  const bool night = scene.daytime == Daytime::kNight;
  light.sun = normalised({-1, scene.daytime == Daytime::kNoon ? 0.75f : 0.5f, b.dice.uniform(0.15f, 0.5f)});
  if (!night) light.sun_colour = light.sun_colour * 1.5f;
  light.above = night ? Colour{0.26f, 0.22f, 0.24f} : mix(light.above, Colour{0.85f, 0.78f, 0.7f}, 0.7f) * 0.8f;
  light.below = night ? Colour{0.16f, 0.13f, 0.12f} : mix(light.below, Colour{0.6f, 0.5f, 0.42f}, 0.6f) * 0.9f;
  light.lamps.push_back({lamp, night ? Colour{2.4f, 1.75f, 1.05f} : Colour{0.9f, 0.72f, 0.5f}, 2.6f, true});
  light.fog_density = 0;
}

/// A wall in the plane x = `x` with a window hole.
void window_wall(Builder& b, float x, float height, float z0, float z1, float middle, int wall, int trim) {
  const float low = 0.9f, high = 2.2f, half = 0.75f;
  b.set_kind(Kind::kWall);
  b.block({x - 0.1f, 0.5f * low, 0.5f * (z0 + z1)}, {0.1f, 0.5f * low, 0.5f * (z1 - z0)}, wall), b.block({x - 0.1f, 0.5f * (high + height), 0.5f * (z0 + z1)}, {0.1f, 0.5f * (height - high), 0.5f * (z1 - z0)}, wall);
  b.block({x - 0.1f, 0.5f * (low + high), 0.5f * (z0 + middle - half)}, {0.1f, 0.5f * (high - low), 0.5f * (middle - half - z0)}, wall);
  b.block({x - 0.1f, 0.5f * (low + high), 0.5f * (z1 + middle + half)}, {0.1f, 0.5f * (high - low), 0.5f * (z1 - middle - half)}, wall);
  b.set_kind(Kind::kWindow);
  b.block({x - 0.08f, 0.5f * (low + high), middle}, {0.03f, 0.5f * (high - low), 0.03f}, trim), b.block({x - 0.08f, 1.65f, middle}, {0.03f, 0.03f, half}, trim);
  b.block({x, low - 0.03f, middle}, {0.12f, 0.03f, half + 0.1f}, trim), b.block({x, high + 0.04f, middle}, {0.03f, 0.05f, half + 0.08f}, trim);
  for (const float side : {-1.f, 1.f}) b.block({x, 0.5f * (low + high), middle + side * (half + 0.03f)}, {0.03f, 0.5f * (high - low) + 0.05f, 0.05f}, trim);
}

void curtains(Builder& b, float x, float middle, Hue hue) {
  const int cloth = b.material({.base = colour_of(hue), .second = colour_of(hue) * 0.8f, .pattern = Pattern::kMottled, .scale = 0.3f, .softness = 0.7f});
  b.set_kind(Kind::kWindow);
  for (const float side : {-1.f, 1.f})
    for (int i = 0; i < 4; ++i) b.limb({x + 0.1f, 0.7f, middle + side * (0.72f + 0.1f * static_cast<float>(i))}, {x + 0.1f, 2.35f, middle + side * (0.72f + 0.1f * static_cast<float>(i))}, 0.06f, cloth);
  b.limb({x + 0.1f, 2.42f, middle - 1.2f}, {x + 0.1f, 2.42f, middle + 1.2f}, 0.02f, b.plain(shown(0.5f, 0.36f, 0.22f), 0.5f));
}

int put(Builder& b, Kind kind, const Vec3& at, float yaw, float scale = 1, int support = -1) {
  const Hue hue = hue_for(kind, b.dice);
  Hue second = static_cast<Hue>(b.dice.below(8));
  if (second == hue) second = Hue::kWhite;
  const int number = b.begin(kind, hue, at, yaw, scale);
  b.object().support = support;
  build_thing(b, kind, hue, second);
  return number;
}

/// The view through the windows: a garden in the light of the day.
void garden(Builder& b) {
  b.surroundings(Kind::kGround);
  b.block({0, -0.6f, 0}, {60, 0.4f, 60}, b.patterned(Pattern::kGrass, shown(0.52f, 0.68f, 0.3f), shown(0.3f, 0.5f, 0.2f), 1));
  for (int i = 0; i < 5; ++i) b.surroundings(Kind::kGreenery, {-9 - 2.2f * static_cast<float>(i % 3), -0.3f, -7 + 3.2f * static_cast<float>(i)}, 0, 1), build_thing(b, i % 2 ? Kind::kTree : Kind::kBush, Hue::kGreen, Hue::kGreen);
}

}  // namespace

void furnish_room(Builder& b, const Wish& wish) {
  Scene& scene = b.scene();
  Dice& dice = b.dice;
  const float width = dice.uniform(2.7f, 3.1f), height = 2.75f, depth = dice.uniform(2.4f, 2.8f);  // half, whole, half
  const Hue tint = dice.pick(kWallHues);
  const Colour paint = mix(colour_of(tint), shown(0.95f, 0.91f, 0.84f), tint == Hue::kWhite ? 0.3f : 0.62f);
  const int wall = dice.chance(0.4f) ? b.patterned(Pattern::kRings, paint, paint * 0.93f, 0.3f) : b.patterned(Pattern::kMottled, paint, paint * 0.95f, 1.5f);
  const int trim = b.plain(shown(0.96f, 0.95f, 0.91f), 0.2f), ceiling = b.plain(shown(0.95f, 0.94f, 0.91f));
  const int floor = scene.place == Place::kKitchen ? b.patterned(Pattern::kChecks, shown(0.9f, 0.88f, 0.82f), mix(colour_of(tint), shown(0.5f, 0.45f, 0.4f), 0.5f), 0.8f, 0, 0.3f)
                                                   : b.patterned(Pattern::kPlanks, shown(0.7f, 0.5f, 0.32f), shown(0.42f, 0.28f, 0.17f), 0.17f, 0, 0.25f);
  light_room(b, {0.4f * width, height - 0.45f, -0.3f});
  garden(b);
  b.surroundings(Kind::kFloor), b.block({0, -0.1f, 0}, {width + 0.2f, 0.1f, depth + 0.2f}, floor);
  b.surroundings(Kind::kCeiling), b.block({0, height + 0.1f, 0}, {width + 0.2f, 0.1f, depth + 0.2f}, ceiling);
  b.surroundings(Kind::kWall);
  b.block({0, 0.5f * height, -depth - 0.1f}, {width + 0.2f, 0.5f * height, 0.1f}, wall), b.block({0, 0.5f * height, depth + 0.1f}, {width + 0.2f, 0.5f * height, 0.1f}, wall), b.block({width + 0.1f, 0.5f * height, 0}, {0.1f, 0.5f * height, depth}, wall);
  for (const float z : {-depth, depth}) b.block({0, 0.06f, z}, {width, 0.06f, 0.02f}, trim);
  b.block({width, 0.06f, 0}, {0.02f, 0.06f, depth}, trim);
  const float window = dice.uniform(-0.6f, 0.1f);
  window_wall(b, -width, height, -depth, depth, window, wall, trim), curtains(b, -width, window, hue_for(Kind::kSofa, dice));
  // The ceiling lamp belongs to the room.
  b.set_kind(Kind::kCeiling);
  b.tube({0.4f * width, height, -0.3f}, {0.4f * width, height - 0.35f, -0.3f}, 0.012f, 0.012f, trim), b.ball({0.4f * width, height - 0.42f, -0.3f}, {0.17f, 0.14f, 0.17f}, b.glowing(shown(1, 0.92f, 0.75f), 1.1f));
  const float back = -depth + 0.08f;
  b.surroundings(Kind::kDoor, {width - 0.06f, 0, 1.1f}, -0.5f * kPi), b.block({0, 1, 0}, {0.45f, 1, 0.04f}, b.patterned(Pattern::kWood, shown(0.62f, 0.42f, 0.26f), shown(0.5f, 0.33f, 0.2f), 0.6f)), b.ball({0.35f, 1, 0.07f}, {0.04f, 0.04f, 0.04f}, b.plain(shown(0.85f, 0.7f, 0.3f), 0.8f));
  if (scene.place == Place::kLivingRoom) {
    put(b, Kind::kRug, {0, 0, 0.1f}, 0, 1);
    put(b, Kind::kSofa, {dice.uniform(-0.5f, 0.2f), 0, back + 0.5f}, 0);
    put(b, Kind::kBookshelf, {width - 0.85f, 0, back + 0.2f}, 0);
    put(b, Kind::kPicture, {-0.4f, 1.5f, back}, 0, dice.uniform(0.9f, 1.2f));
    put(b, Kind::kPlant, {-width + 0.5f, 0, back + 0.5f}, 0, dice.uniform(1, 1.25f));
    const int table = put(b, Kind::kTable, {dice.uniform(-0.2f, 0.4f), 0, 0.25f}, 0, 0.55f);
    put(b, dice.chance(0.5f) ? Kind::kTeapot : Kind::kVase, {scene.objects[static_cast<size_t>(table)].position.x - 0.15f, 0.413f, 0.25f}, dice.uniform(-0.5f, 0.5f), 1.25f, table), put(b, Kind::kMug, {scene.objects[static_cast<size_t>(table)].position.x + 0.2f, 0.413f, 0.32f}, 0.4f, 1.25f, table);
    if (dice.chance(0.6f)) put(b, Kind::kLamp, {width - 1.75f, 0, back + 0.35f}, 0);
  } else if (scene.place == Place::kBedroom) {
    put(b, Kind::kRug, {0.4f, 0, 0.7f}, 0, 0.8f);
    put(b, Kind::kBed, {-0.7f, 0, back + 1.15f}, 0);
    const int table = put(b, Kind::kTable, {0.75f, 0, back + 0.35f}, 0, 0.6f);
    put(b, Kind::kBook, {0.6f, 0.45f, back + 0.35f}, 0.4f, 1.1f, table), put(b, dice.chance(0.5f) ? Kind::kCandle : Kind::kVase, {0.95f, 0.45f, back + 0.3f}, 0, 1.1f, table);
    put(b, Kind::kPicture, {-0.7f, 1.5f, back}, 0), put(b, Kind::kBookshelf, {width - 0.8f, 0, back + 0.2f}, 0);
  } else {
    // A counter along the wall with shelves above.
    b.surroundings(Kind::kWall);
    const Hue front = hue_for(Kind::kSofa, dice);
    const int cupboard = b.plain(mix(colour_of(front), shown(0.9f, 0.88f, 0.83f), 0.5f), 0.3f), top = b.patterned(Pattern::kMarble, shown(0.93f, 0.92f, 0.9f), shown(0.6f, 0.58f, 0.56f), 0.8f, 0, 0.6f), knob = b.plain(shown(0.75f, 0.72f, 0.68f), 0.8f);
    b.block({0, 0.43f, back + 0.25f}, {width - 0.05f, 0.43f, 0.25f}, cupboard), b.block({0, 0.89f, back + 0.27f}, {width, 0.03f, 0.29f}, top);
    for (int i = 0; i < 7; ++i) {
      const float x = -width + 0.45f + 0.85f * static_cast<float>(i);
      if (x > width - 0.3f) break;
      b.rounded({x, 0.45f, back + 0.505f}, {0.38f, 0.36f, 0.02f}, 0.015f, cupboard), b.ball({x + 0.28f, 0.55f, back + 0.54f}, {0.025f, 0.025f, 0.025f}, knob);
    }
    for (const float y : {1.5f, 1.95f}) b.block({0.2f, y, back + 0.14f}, {1.5f, 0.02f, 0.14f}, b.patterned(Pattern::kWood, shown(0.6f, 0.42f, 0.26f), shown(0.48f, 0.32f, 0.2f), 0.5f));
    constexpr Kind kCrockery[] = {Kind::kMug, Kind::kBowl, Kind::kBottle, Kind::kTeapot, Kind::kVase};
    for (int row = 0; row < 2; ++row)
      for (float x = -1.1f; x < 1.6f; x += dice.uniform(0.32f, 0.55f)) put(b, dice.pick(kCrockery), {x, 1.52f + 0.45f * static_cast<float>(row), back + 0.14f}, dice.uniform(-0.6f, 0.6f), 1);
    put(b, Kind::kTeapot, {-0.9f, 0.92f, back + 0.28f}, 0.3f, 1.2f), put(b, Kind::kBowl, {0.4f, 0.92f, back + 0.3f}, 0, 1.2f);
    const int table = put(b, Kind::kTable, {0, 0, 0.1f}, 0, 0.95f);
    const float up = 0.715f;
    put(b, dice.chance(0.5f) ? Kind::kCake : Kind::kVase, {0, up, 0.1f}, 0, 1.1f, table), put(b, Kind::kApple, {0.35f, up, 0.25f}, 0, 1.3f, table), put(b, Kind::kMug, {-0.4f, up, 0.25f}, 2.2f, 1.2f, table);
    for (const float side : {-1.f, 1.f}) put(b, Kind::kChair, {side * 1.15f, 0, 0.1f}, -side * 0.5f * kPi);
  }
  std::vector<int> people = wish.characters;
  if (people.empty() && dice.chance(0.55f)) people.push_back(dice.below(24));
  float x = scene.place == Place::kBedroom ? 0.9f : scene.place == Place::kKitchen ? -0.75f : -1.35f;
  const float row = scene.place == Place::kKitchen ? -0.75f : scene.place == Place::kBedroom ? 0.1f : 0;
  for (const int who : people) add_character(b, identity(who), {x, 0, row}, dice.uniform(-0.3f, 0.45f), wish.moving), x += 1.15f;
  if (dice.chance(0.6f)) put(b, dice.chance(0.5f) ? Kind::kCat : Kind::kDog, {dice.uniform(0.75f, 1.15f), 0.01f, 0.75f}, dice.uniform(-0.7f, 0.2f), 1.1f);
  else put(b, Kind::kBall, {1, 0, 0.7f}, 0.3f, 0.5f);
  scene.view = {{dice.uniform(-0.7f, 0.9f), dice.uniform(1.35f, 1.6f), depth - 0.12f}, {dice.uniform(-0.25f, 0.25f), 0.95f, -depth}, 1.25f};
}

void lay_still_life(Builder& b, const Wish& wish) {
  Scene& scene = b.scene();
  Dice& dice = b.dice;
  constexpr float kScale = 10;  // one metre is ten centimetres here
  scene.light.fog_density = 0;
  const float side = dice.chance(0.5f) ? 1.f : -1.f;
  scene.light.sun = normalised({side * dice.uniform(0.7f, 1.1f), dice.uniform(0.6f, 0.9f), dice.uniform(0.25f, 0.7f)}), scene.light.sun_radius = 0.06f;
  const bool night = scene.daytime == Daytime::kNight;
  scene.light.above = night ? Colour{0.16f, 0.17f, 0.24f} : Colour{0.62f, 0.6f, 0.6f}, scene.light.below = night ? Colour{0.1f, 0.08f, 0.07f} : Colour{0.36f, 0.3f, 0.26f};
  scene.light.sun_colour = night ? Colour{1.5f, 1.05f, 0.6f} : scene.light.sun_colour * 0.95f;
  const Colour backdrop = mix(colour_of(dice.pick(kWallHues)), shown(0.45f, 0.4f, 0.36f), dice.uniform(0.35f, 0.8f));
  b.surroundings(Kind::kWall), b.block({0, 10, -9}, {60, 20, 0.5f}, b.patterned(Pattern::kMottled, backdrop, backdrop * 0.75f, 3.5f));
  const int style = dice.below(3);
  const Colour cloth = mix(colour_of(static_cast<Hue>(dice.below(9))), shown(0.95f, 0.92f, 0.87f), 0.45f);
  b.surroundings(Kind::kFloor);
  b.rounded({0, -0.4f, 0}, {12, 0.4f, 6.5f}, 0.12f, style == 0 ? b.patterned(Pattern::kWood, shown(0.6f, 0.41f, 0.25f), shown(0.42f, 0.27f, 0.16f), 4, 0, 0.35f) : style == 1 ? b.patterned(Pattern::kChecks, cloth, mix(cloth, shown(0.97f, 0.96f, 0.93f), 0.8f), 2.2f) : b.patterned(Pattern::kWeave, cloth, cloth * 0.85f, 0.12f));
  std::vector<Kind> things = wish.things;
  if (things.empty()) {
    constexpr Kind kTall[] = {Kind::kVase, Kind::kBottle, Kind::kTeapot, Kind::kCandle, Kind::kCake, Kind::kMelon}, kLow[] = {Kind::kApple, Kind::kOrange, Kind::kPear, Kind::kLemon, Kind::kBanana, Kind::kGrapes, Kind::kMug, Kind::kBowl, Kind::kBook};
    const int tall = 1 + dice.below(2), low = 2 + dice.below(4);
    for (int i = 0; i < tall; ++i) things.push_back(dice.pick(kTall));
    for (int i = 0; i < low; ++i) things.push_back(i > 0 && dice.chance(0.3f) ? things.back() : dice.pick(kLow));
  }
  // Tall things behind, low ones before them; each takes the first free place of a few tries.
  struct Disc { float x, z, r; };
  std::vector<Disc> taken;
  float widest = 1, highest = 1;
  for (const Kind kind : things) {
    const Extent extent = extent_of(kind);
    const bool tall = extent.height > 0.14f;
    const float r = extent.radius * kScale;
    for (int attempt = 0; attempt < 40; ++attempt) {
      const float spread = 1.4f + 0.05f * static_cast<float>(attempt) + 0.3f * static_cast<float>(things.size());
      const Disc place{dice.uniform(-spread, spread), tall ? dice.uniform(-2.2f, -0.6f) : dice.uniform(-0.8f, 1.8f), r};
      if (std::any_of(taken.begin(), taken.end(), [&](const Disc& d) { return ((d.x - place.x) * (d.x - place.x) + (d.z - place.z) * (d.z - place.z)) < (d.r + r) * (d.r + r) * 0.95f; })) continue;
      taken.push_back(place);
      put(b, kind, {place.x, 0, place.z}, kind == Kind::kMug || kind == Kind::kTeapot ? dice.uniform(-0.9f, 0.5f) : dice.uniform(-0.6f, 0.6f), kScale);
      if (kind == Kind::kCandle) scene.light.lamps.push_back({{place.x, 2.1f, place.z}, night ? Colour{2.2f, 1.3f, 0.55f} : Colour{0.5f, 0.3f, 0.13f}, 1.6f, false});
      widest = std::max(widest, std::fabs(place.x) + r), highest = std::max(highest, extent.height * kScale);
      break;
    }
  }
  const float away = std::max(2.4f * widest, 2 * highest) + 1.6f;
  scene.view = {{dice.uniform(-1.2f, 1.2f), 0.42f * away + 0.6f, away}, {0, 0.36f * highest, -0.3f}, 0.75f};
}

}  // namespace attelier::world
