// Houses, towers, castles and what stands around them.
#include "core/scenes/world/builder.h"

namespace attelier::world {
namespace {

bool lights_on(Builder& b) { return b.scene().daytime == Daytime::kNight || b.scene().daytime == Daytime::kSunset; }
int panes(Builder& b) { return lights_on(b) ? b.glowing(shown(1, 0.82f, 0.45f), 1.6f) : b.plain(shown(0.42f, 0.56f, 0.66f), 0.9f); }
int white(Builder& b) { return b.plain(shown(0.94f, 0.92f, 0.87f)); }
int timber(Builder& b) { return b.patterned(Pattern::kWood, shown(0.5f, 0.34f, 0.2f), shown(0.4f, 0.26f, 0.15f), 0.4f); }
int stone(Builder& b, const Colour& colour) { return b.patterned(Pattern::kBricks, colour, colour * 0.6f, 0.32f, 0.12f); }

/// A framed window on a wall that looks along +z after the turn.
void window(Builder& b, const Vec3& centre, float half_width, float half_height, int glass, int frame, const Mat3& turn = {}) {
  const auto place = [&](float x, float y, float z) { return centre + turn * Vec3{x, y, z}; };
  b.block(place(0, 0, 0), {half_width, half_height, 0.04f}, glass, turn);
  b.block(place(0, 0, 0.02f), {0.03f, half_height, 0.05f}, frame, turn), b.block(place(0, 0, 0.02f), {half_width, 0.03f, 0.05f}, frame, turn);
  for (const float side : {-1.f, 1.f}) {
    b.block(place(side * half_width, 0, 0.02f), {0.05f, half_height + 0.05f, 0.07f}, frame, turn);
    b.block(place(0, side * half_height, 0.02f), {half_width, 0.05f, 0.07f}, frame, turn);
  }
}

void house(Builder& b, Hue hue, Hue second) {
  const Colour wall_colour = mix(colour_of(hue), shown(0.95f, 0.92f, 0.86f), hue == Hue::kBlack ? 0.05f : 0.12f);
  const int style = b.dice.below(3);
  const int wall = style == 0 ? b.patterned(Pattern::kBricks, wall_colour, mix(wall_colour, shown(0.8f, 0.78f, 0.73f), 0.5f), 0.16f, 0.1f)
                   : style == 1 ? b.patterned(Pattern::kStripes, wall_colour, wall_colour * 0.86f, 0.3f) : b.patterned(Pattern::kMottled, wall_colour, wall_colour * 0.9f, 0.8f);
  const Colour roof_colour = mix(colour_of(second) * 0.7f, shown(0.45f, 0.25f, 0.2f), 0.45f);
  const int roof = b.patterned(Pattern::kShingles, roof_colour, roof_colour * 0.55f, 0.26f, 0.2f), trim = white(b), glass = panes(b), door = b.plain(colour_of(second) * 0.8f, 0.3f);
  b.block({0, 1.25f, 0}, {2, 1.35f, 1.5f}, wall);
  b.block({0, 0.1f, 0}, {2.06f, 0.2f, 1.56f}, stone(b, shown(0.62f, 0.6f, 0.57f)));
  // Gable towards the viewer or along the street.
  const bool gable = b.dice.chance(0.5f);
  const Mat3 turn = gable ? Mat3{} : rotation_y(0.5f * kPi);
  if (gable) {
    b.roof({0, 3.4f, 0}, {2, 0.8f, 1.5f}, wall);
    b.roof({0, 3.56f, 0}, {2.35f, 0.9f, 1.44f}, roof);
    b.roof({0, 3.52f, -0.1f}, {2.3f, 0.86f, 1.52f}, roof);
    window(b, {0, 3.15f, 1.5f}, 0.3f, 0.32f, glass, trim);
  } else {
    b.roof({0, 3.4f, 0}, {1.5f, 0.8f, 1.98f}, wall, turn);
    b.roof({0, 3.5f, 0}, {1.85f, 0.95f, 2.2f}, roof, turn);
  }
  b.block({1.15f, 3.9f, -0.5f}, {0.2f, 0.65f, 0.2f}, stone(b, shown(0.66f, 0.38f, 0.3f)));
  b.block({0, 0.9f, 1.5f}, {0.42f, 0.9f, 0.06f}, door), b.block({0, 0.92f, 1.49f}, {0.5f, 0.98f, 0.05f}, trim);
  b.ball({0.3f, 0.9f, 1.58f}, {0.05f, 0.05f, 0.05f}, b.plain(shown(0.9f, 0.75f, 0.3f), 0.8f));
  b.block({0, 0.05f, 1.85f}, {0.6f, 0.08f, 0.35f}, stone(b, shown(0.66f, 0.64f, 0.6f)));
  for (const float x : {-1.25f, 1.25f}) {
    window(b, {x, 1.6f, 1.5f}, 0.4f, 0.5f, glass, trim);
    const int box = timber(b);
    b.block({x, 0.98f, 1.62f}, {0.5f, 0.1f, 0.12f}, box);
    const int bloom = b.patterned(Pattern::kSpots, shown(0.33f, 0.55f, 0.25f), colour_of(second), 0.12f);
    b.lump({x, 1.1f, 1.64f}, {0.48f, 0.12f, 0.13f}, 0.1f, 8, bloom);
    for (const float side : {-1.f, 1.f}) b.block({x + 0.64f * side, 1.6f, 1.53f}, {0.16f, 0.52f, 0.03f}, door);
  }
  for (const float side : {-1.f, 1.f}) window(b, {2 * side, 1.6f, 0}, 0.4f, 0.5f, glass, trim, rotation_y(0.5f * kPi * side));
}

void tower(Builder& b, Hue hue) {
  const int wall = stone(b, mix(colour_of(hue), shown(0.7f, 0.66f, 0.6f), 0.45f)), glass = panes(b);
  b.tube({0, -0.2f, 0}, {0, 4.6f, 0}, 1.45f, 1.2f, wall), b.tube({0, 4.6f, 0}, {0, 5.1f, 0}, 1.2f, 1.45f, wall);
  b.tube({0, 5.1f, 0}, {0, 7.2f, 0}, 1.65f, 0.02f, b.patterned(Pattern::kShingles, colour_of(hue) * 0.8f, colour_of(hue) * 0.45f, 0.3f, 0.2f));
  b.block({0, 0.8f, 1.32f}, {0.42f, 0.85f, 0.16f}, timber(b)), b.ball({0, 1.65f, 1.32f}, {0.42f, 0.42f, 0.16f}, timber(b));
  for (const float y : {2.4f, 3.9f}) b.block({0, y, 1.18f}, {0.16f, 0.34f, 0.2f}, glass);
}

void lighthouse(Builder& b, Hue hue) {
  const Colour pale = hue == Hue::kWhite ? shown(0.78f, 0.3f, 0.25f) : shown(0.95f, 0.94f, 0.9f);
  b.tube({0, -0.3f, 0}, {0, 0.5f, 0}, 1.9f, 1.7f, stone(b, shown(0.6f, 0.58f, 0.55f)));
  for (int i = 0; i < 5; ++i) {
    const float y = 0.5f + 1.2f * static_cast<float>(i), r = 1.3f - 0.11f * static_cast<float>(i);
    b.tube({0, y, 0}, {0, y + 1.2f, 0}, r, r - 0.11f, b.plain(i % 2 ? pale : colour_of(hue)));
  }
  const int iron = b.plain(shown(0.2f, 0.21f, 0.24f), 0.4f);
  b.tube({0, 6.5f, 0}, {0, 6.65f, 0}, 1.05f, 1.05f, iron), b.ring({0, 7.05f, 0}, 1, 0.03f, iron);
  for (int i = 0; i < 8; ++i) b.tube({cosine(0.785f * static_cast<float>(i)), 6.6f, sine(0.785f * static_cast<float>(i))}, {cosine(0.785f * static_cast<float>(i)), 7.05f, sine(0.785f * static_cast<float>(i))}, 0.025f, 0.025f, iron);
  b.tube({0, 6.65f, 0}, {0, 7.6f, 0}, 0.55f, 0.55f, b.glowing(shown(1, 0.9f, 0.6f), lights_on(b) ? 2.5f : 0.6f));
  b.tube({0, 7.6f, 0}, {0, 8.5f, 0}, 0.78f, 0.03f, b.plain(colour_of(hue) * 0.8f, 0.3f));
  b.ball({0, 8.55f, 0}, {0.09f, 0.09f, 0.09f}, iron);
  b.block({0, 1, 1.22f}, {0.36f, 0.7f, 0.14f}, timber(b));
  for (const float y : {3, 5}) b.block({0, y, 0.98f}, {0.15f, 0.25f, 0.2f}, panes(b));
}

void windmill(Builder& b, Hue hue) {
  const int wall = b.patterned(Pattern::kMottled, mix(colour_of(hue), shown(0.95f, 0.93f, 0.88f), 0.35f), colour_of(hue) * 0.85f, 0.8f), wood = timber(b);
  b.tube({0, -0.2f, 0}, {0, 4.2f, 0}, 1.6f, 1.05f, wall);
  b.lathe_body({0, 4.2f, 0}, 1.3f, 1.25f, {1, 0.98f, 0.8f, 0.5f, 0.25f, 0.03f}, b.patterned(Pattern::kShingles, shown(0.45f, 0.3f, 0.24f), shown(0.3f, 0.19f, 0.15f), 0.25f, 0.2f));
  b.block({0, 0.8f, 1.5f}, {0.4f, 0.8f, 0.12f}, wood);
  for (const float y : {2.1f, 3.3f}) b.block({0, y, 1.27f - 0.12f * (y - 2.1f)}, {0.22f, 0.28f, 0.12f}, panes(b));
  const Vec3 hub{0, 4.5f, 1.45f};
  b.tube({0, 4.5f, 0.8f}, hub, 0.14f, 0.12f, wood);
  b.hinge({MotionKind::kSpin, hub, {0, 0, 1}, 0, 0.12f, b.dice.uniform()});
  b.ball(hub, {0.2f, 0.2f, 0.12f}, wood);
  const int sail = b.material({.base = shown(0.93f, 0.9f, 0.82f), .second = shown(0.85f, 0.8f, 0.7f), .pattern = Pattern::kChecks, .scale = 0.5f, .softness = 0.3f});
  for (int i = 0; i < 4; ++i) {
    const Mat3 turn = rotation_z(0.5f * kPi * static_cast<float>(i));
    b.block(hub + turn * Vec3{0, 1.4f, 0.02f}, {0.05f, 1.4f, 0.04f}, wood, turn), b.block(hub + turn * Vec3{0.3f, 1.75f, 0.03f}, {0.28f, 1, 0.02f}, sail, turn);
  }
}

void castle(Builder& b, Hue hue) {
  const int wall = stone(b, mix(colour_of(hue), shown(0.72f, 0.68f, 0.62f), 0.72f)), roof = b.patterned(Pattern::kShingles, colour_of(hue), colour_of(hue) * 0.5f, 0.3f, 0.2f), glass = panes(b);
  b.block({0, 1.6f, 0}, {3, 1.7f, 2.2f}, wall);
  for (int i = 0; i < 7; ++i) b.block({-2.7f + 0.9f * static_cast<float>(i), 3.5f, 2.05f}, {0.25f, 0.25f, 0.18f}, wall);
  const int flag = b.plain(colour_of(hue), 0);
  const auto turret = [&](float x, float z, float height, float radius) {
    b.tube({x, -0.2f, z}, {x, height, z}, radius, radius * 0.95f, wall), b.tube({x, height, z}, {x, height + 0.35f, z}, radius, radius * 1.2f, wall);
    b.tube({x, height + 0.35f, z}, {x, height + 2.1f, z}, radius * 1.3f, 0.02f, roof);
    b.tube({x, height + 1.9f, z}, {x, height + 2.9f, z}, 0.03f, 0.02f, b.plain(shown(0.3f, 0.25f, 0.2f)));
    b.block({x + 0.3f, height + 2.7f, z}, {0.3f, 0.16f, 0.015f}, flag);
    b.block({x, 0.72f * height, z + radius}, {0.12f, 0.3f, 0.1f}, glass);
  };
  turret(-3, 2, 4, 0.85f), turret(3, 2, 4, 0.85f), turret(-3, -2, 4.6f, 0.85f), turret(3, -2, 4.6f, 0.85f), turret(0.3f, -0.6f, 5.8f, 1.15f);
  b.block({0, 0.9f, 2.25f}, {0.7f, 1, 0.12f}, timber(b)), b.ball({0, 1.85f, 2.25f}, {0.7f, 0.6f, 0.12f}, timber(b));
  for (const float x : {-1.7f, 1.7f}) window(b, {x, 2, 2.2f}, 0.26f, 0.45f, glass, wall);
}

void tent(Builder& b, Hue hue) {
  b.roof({0, 0.98f, 0}, {1.3f, 1, 1.5f}, b.material({.base = colour_of(hue), .second = mix(colour_of(hue), shown(0.97f, 0.95f, 0.9f), 0.75f), .pattern = Pattern::kRings, .scale = 0.7f, .softness = 0.3f}));
  b.roof({0, 0.72f, 1.42f}, {0.5f, 0.75f, 0.12f}, b.plain(shown(0.2f, 0.15f, 0.13f)));
  const int wood = timber(b);
  b.tube({0, 0, 1.52f}, {0, 2.15f, 1.52f}, 0.04f, 0.04f, wood), b.block({0.25f, 2.02f, 1.52f}, {0.24f, 0.13f, 0.01f}, b.plain(colour_of(hue) * 0.8f));
}

void well(Builder& b, Hue hue) {
  const int wood = timber(b);
  b.tube({0, -0.1f, 0}, {0, 0.8f, 0}, 0.8f, 0.8f, stone(b, shown(0.62f, 0.6f, 0.57f))), b.tube({0, 0.8f, 0}, {0, 0.82f, 0}, 0.6f, 0.6f, b.plain(shown(0.05f, 0.1f, 0.14f), 0.8f));
  for (const float x : {-0.72f, 0.72f}) b.block({x, 1.2f, 0}, {0.07f, 0.75f, 0.07f}, wood);
  b.tube({-0.7f, 1.5f, 0}, {0.7f, 1.5f, 0}, 0.07f, 0.07f, wood), b.tube({0.1f, 1.5f, 0}, {0.1f, 1.12f, 0}, 0.012f, 0.012f, wood), b.tube({0.1f, 0.9f, 0}, {0.1f, 1.14f, 0}, 0.11f, 0.14f, wood);
  b.roof({0, 2.2f, 0}, {0.75f, 0.35f, 1.05f}, b.patterned(Pattern::kShingles, colour_of(hue) * 0.8f, colour_of(hue) * 0.45f, 0.2f, 0.2f), rotation_y(0.5f * kPi));
}

void fence(Builder& b, Hue hue) {
  const int paint = b.plain(mix(colour_of(hue), shown(0.9f, 0.87f, 0.8f), 0.3f));
  for (int i = 0; i < 9; ++i) {
    const float x = -2 + 0.5f * static_cast<float>(i);
    b.block({x, 0.42f, 0}, {0.07f, 0.45f, 0.03f}, paint), b.roof({x, 0.93f, 0}, {0.07f, 0.07f, 0.03f}, paint);
  }
  for (const float y : {0.3f, 0.66f}) b.block({0, y, -0.04f}, {2.1f, 0.05f, 0.025f}, paint);
}

void bridge(Builder& b) {
  const int wood = timber(b);
  for (int i = 0; i < 13; ++i) {
    const float x = -2.7f + 0.45f * static_cast<float>(i), y = 0.85f - 0.1f * x * x;
    b.block({x, y, 0}, {0.2f, 0.06f, 0.9f}, wood, rotation_z(-0.2f * x));
    if (i % 3 == 0)
      for (const float z : {-0.88f, 0.88f}) b.block({x, y + 0.42f, z}, {0.06f, 0.42f, 0.06f}, wood);
    if (i % 3 == 0 && i < 12)
      for (const float z : {-0.88f, 0.88f}) {
        const float next = x + 1.35f;
        b.tube({x, y + 0.8f, z}, {next, 1.65f - 0.1f * next * next, z}, 0.05f, 0.05f, wood);
      }
  }
}

void street_lamp(Builder& b) {
  const int iron = b.plain(shown(0.16f, 0.19f, 0.2f), 0.5f);
  b.lathe_body({0, 0, 0}, 0.5f, 0.2f, {1, 0.9f, 0.5f, 0.4f, 0.4f, 0.3f}, iron), b.tube({0, 0.5f, 0}, {0, 2.9f, 0}, 0.06f, 0.045f, iron);
  b.ring({0, 2.6f, 0}, 0.09f, 0.03f, iron);
  b.tube({0, 2.95f, 0}, {0, 3.35f, 0}, 0.14f, 0.22f, lights_on(b) ? b.glowing(shown(1, 0.85f, 0.5f), 2.4f) : b.plain(shown(0.9f, 0.9f, 0.85f), 0.7f));
  b.tube({0, 2.88f, 0}, {0, 2.95f, 0}, 0.16f, 0.16f, iron), b.tube({0, 3.35f, 0}, {0, 3.6f, 0}, 0.27f, 0.03f, iron);
}

void bench(Builder& b, Hue hue) {
  const int wood = b.patterned(Pattern::kWood, colour_of(hue), colour_of(hue) * 0.7f, 0.4f), iron = b.plain(shown(0.18f, 0.18f, 0.2f), 0.4f);
  for (const float z : {-0.2f, 0.f, 0.2f}) b.rounded({0, 0.45f, z}, {0.8f, 0.03f, 0.085f}, 0.02f, wood);
  for (const float y : {0.62f, 0.8f}) b.rounded({0, y, -0.3f}, {0.8f, 0.075f, 0.03f}, 0.02f, wood);
  for (const float x : {-0.65f, 0.65f}) b.block({x, 0.42f, -0.28f}, {0.035f, 0.45f, 0.035f}, iron), b.block({x, 0.2f, 0.22f}, {0.035f, 0.22f, 0.035f}, iron);
}

}  // namespace

bool build_building(Builder& b, Kind kind, Hue hue, Hue second) {
  switch (kind) {
    case Kind::kHouse: house(b, hue, second); break;
    case Kind::kTower: tower(b, hue); break;
    case Kind::kLighthouse: lighthouse(b, hue); break;
    case Kind::kWindmill: windmill(b, hue); break;
    case Kind::kCastle: castle(b, hue); break;
    case Kind::kTent: tent(b, hue); break;
    case Kind::kWell: well(b, hue); break;
    case Kind::kFence: fence(b, hue); break;
    case Kind::kBridge: bridge(b); break;
    case Kind::kStreetLamp: street_lamp(b); break;
    case Kind::kBench: bench(b, hue); break;
    default: return false;
  }
  b.steady();
  return true;
}

}  // namespace attelier::world
