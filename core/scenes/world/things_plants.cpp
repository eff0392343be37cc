// Trees, bushes, flowers, mushrooms and rocks.
#include "core/scenes/world/builder.h"

namespace attelier::world {
namespace {

int leaves(Builder& b, const Colour& colour, float scale = 0.5f) {
  return b.material({.base = colour * 1.15f, .second = colour * Colour{0.55f, 0.6f, 0.55f}, .pattern = Pattern::kLeaves, .scale = scale, .bump = 0.16f * scale, .softness = 0.5f});
}
int bark(Builder& b) { return b.patterned(Pattern::kFur, shown(0.47f, 0.34f, 0.23f), shown(0.3f, 0.2f, 0.13f), 0.35f, 0.02f); }
Colour foliage(Hue hue) {
  switch (hue) {
    case Hue::kOrange: return shown(0.86f, 0.5f, 0.16f);
    case Hue::kYellow: return shown(0.88f, 0.74f, 0.24f);
    case Hue::kPink: return shown(0.93f, 0.62f, 0.72f);
    case Hue::kRed: return shown(0.76f, 0.25f, 0.17f);
    default: return shown(0.36f, 0.58f, 0.22f);
  }
}
Motion sway(Builder& b, float amount) { return {MotionKind::kSway, {}, {b.dice.uniform(0.6f, 1), 0, b.dice.uniform(-0.5f, 0.5f)}, amount, b.dice.uniform(0.25f, 0.45f), b.dice.uniform()}; }

void tree(Builder& b, Hue hue) {
  const Colour colour = foliage(hue) * b.dice.uniform(0.9f, 1.1f);
  b.hinge(sway(b, 0.03f));
  const float lean = b.dice.uniform(-0.12f, 0.12f);
  const int trunk = bark(b);
  b.tube({0, -0.1f, 0}, {lean, 1.9f, 0}, 0.24f, 0.14f, trunk);
  b.tube({0.6f * lean, 1.3f, 0}, {lean + 0.55f, 2.4f, 0.1f}, 0.1f, 0.05f, trunk);
  const int crown = leaves(b, colour), light = leaves(b, mix(colour, colour * 1.25f + Colour{0.03f, 0.03f, 0}, 0.7f));
  b.lump({lean, 3.1f, 0}, {1.25f, 1.2f, 1.2f}, 0.07f, 5, crown);
  for (int i = 0; i < 6; ++i) {
    const float angle = 1.05f * static_cast<float>(i) + b.dice.uniform(-0.3f, 0.3f), reach = b.dice.uniform(0.7f, 0.95f), size = b.dice.uniform(0.6f, 0.85f);
    b.lump({lean + reach * cosine(angle), 2.7f + b.dice.uniform(-0.25f, 0.75f), reach * sine(angle)}, {size, 0.9f * size, size}, 0.08f, 5, i % 2 ? crown : light);
  }
  b.lump({lean + b.dice.uniform(-0.3f, 0.3f), 4, b.dice.uniform(-0.2f, 0.2f)}, {0.75f, 0.65f, 0.75f}, 0.08f, 5, light);
}

void pine(Builder& b, Hue hue) {
  const Colour colour = hue == Hue::kWhite ? shown(0.86f, 0.9f, 0.93f) : shown(0.16f, 0.4f, 0.26f) * b.dice.uniform(0.85f, 1.2f);
  b.hinge(sway(b, 0.015f));
  b.tube({0, -0.1f, 0}, {0, 1.2f, 0}, 0.2f, 0.15f, bark(b));
  const int needles = leaves(b, colour, 0.35f);
  const float spin = b.dice.uniform(0.92f, 1.08f);
  for (int i = 0; i < 5; ++i) {
    const float f = static_cast<float>(i);
    b.lathe_body({0, 0.7f + 0.82f * f, 0}, 1.5f - 0.11f * f, (1.3f - 0.225f * f) * spin, {0.75f, 1, 0.72f, 0.42f, 0.2f, 0.02f}, needles);
  }
}

void palm(Builder& b) {
  const int trunk = b.patterned(Pattern::kStripes, shown(0.62f, 0.48f, 0.33f), shown(0.5f, 0.37f, 0.25f), 0.3f, 0);
  b.hinge(sway(b, 0.03f));
  Vec3 at{0, -0.1f, 0};
  const float lean = b.dice.uniform(-0.18f, 0.18f);
  for (int i = 0; i < 5; ++i) {
    const Vec3 next = at + Vec3{lean * (0.4f + 0.3f * static_cast<float>(i)), 0.9f, 0};
    b.tube(at, next, 0.19f - 0.015f * static_cast<float>(i), 0.17f - 0.015f * static_cast<float>(i), trunk);
    at = next;
  }
  const int frond = b.material({.base = shown(0.35f, 0.6f, 0.24f), .second = shown(0.2f, 0.42f, 0.18f), .pattern = Pattern::kMottled, .scale = 0.3f, .softness = 0.6f});
  for (int i = 0; i < 9; ++i) {
    const float angle = 0.7f * static_cast<float>(i) + b.dice.uniform(-0.15f, 0.15f), droop = b.dice.uniform(0.1f, 0.75f);
    const Mat3 turn = rotation_y(angle) * rotation_z(-droop);
    b.ball(at + turn * Vec3{0.85f, 0, 0}, {0.95f, 0.05f, 0.2f}, frond, turn);
    const Mat3 tip = rotation_y(angle) * rotation_z(-droop - 0.7f);
    b.ball(at + turn * Vec3{1.6f, 0, 0} + tip * Vec3{0.35f, 0, 0}, {0.45f, 0.04f, 0.14f}, frond, tip);
  }
  for (int i = 0; i < 3; ++i) b.ball(at + Vec3{0.2f * cosine(2.1f * static_cast<float>(i)), -0.15f, 0.2f * sine(2.1f * static_cast<float>(i))}, {0.15f, 0.16f, 0.15f}, b.plain(shown(0.4f, 0.26f, 0.15f), 0.3f));
}

void bush(Builder& b, Hue hue) {
  const int green = leaves(b, foliage(Hue::kGreen) * b.dice.uniform(0.8f, 1.1f), 0.35f);
  b.hinge(sway(b, 0.02f));
  for (int i = 0; i < 5; ++i) {
    const float angle = 1.26f * static_cast<float>(i);
    b.lump({0.42f * cosine(angle), 0.4f + b.dice.uniform(-0.05f, 0.12f), 0.35f * sine(angle)}, {0.48f, 0.45f, 0.45f}, 0.09f, 5, green);
  }
  b.lump({0, 0.7f, 0}, {0.5f, 0.42f, 0.48f}, 0.09f, 5, green);
  if (hue == Hue::kGreen) return;
  const int petal = b.material({.base = colour_of(hue), .second = colour_of(hue), .softness = 0.5f});
  for (int i = 0; i < 14; ++i) {
    const float angle = b.dice.uniform(0, 6.28f), up = b.dice.uniform(0.2f, 0.95f), side = std::sqrt(1 - 0.8f * up * up);
    b.ball({0.85f * side * cosine(angle), 0.3f + 0.78f * up, 0.8f * side * sine(angle)}, {0.08f, 0.08f, 0.08f}, petal);
  }
}

void cactus(Builder& b) {
  const int skin = b.patterned(Pattern::kRings, shown(0.36f, 0.58f, 0.32f), shown(0.26f, 0.47f, 0.26f), 0.12f);
  b.limb({0, 0.1f, 0}, {0, 1.9f, 0}, 0.26f, skin);
  b.limb({0.2f, 0.9f, 0}, {0.6f, 0.95f, 0}, 0.15f, skin), b.limb({0.6f, 0.95f, 0}, {0.62f, 1.5f, 0}, 0.15f, skin);
  b.limb({-0.2f, 0.65f, 0}, {-0.55f, 0.7f, 0}, 0.13f, skin), b.limb({-0.55f, 0.7f, 0}, {-0.56f, 1.15f, 0}, 0.13f, skin);
  b.ball({0, 2.15f, 0.05f}, {0.14f, 0.1f, 0.14f}, b.plain(shown(0.93f, 0.4f, 0.5f)));
}

void flower(Builder& b, Hue hue) {
  b.hinge(sway(b, 0.08f));
  const int stem = b.material({.base = shown(0.3f, 0.55f, 0.24f), .second = shown(0.3f, 0.55f, 0.24f), .softness = 0.5f});
  b.tube({0, 0, 0}, {0.03f, 0.62f, 0}, 0.025f, 0.018f, stem);
  for (const float side : {-1.f, 1.f}) b.ball({0.14f * side, 0.2f, 0.02f}, {0.16f, 0.018f, 0.055f}, stem, rotation_z(0.5f * side));
  const int petal = b.material({.base = colour_of(hue), .second = colour_of(hue) * 0.8f, .pattern = Pattern::kMottled, .scale = 0.15f, .softness = 0.5f});
  const Mat3 face = rotation_x(0.9f);  // turned towards the viewer
  const Vec3 heart{0.03f, 0.68f, 0.02f};
  const int count = b.dice.below(3) + 6;
  for (int i = 0; i < count; ++i) {
    const Mat3 turn = face * rotation_y(6.2832f * static_cast<float>(i) / static_cast<float>(count));
    b.ball(heart + turn * Vec3{0.15f, 0.01f, 0}, {0.12f, 0.025f, 0.08f}, petal, turn);
  }
  b.ball(heart, {0.085f, 0.05f, 0.085f}, b.patterned(Pattern::kSpots, hue == Hue::kYellow ? shown(0.45f, 0.27f, 0.12f) : shown(0.96f, 0.78f, 0.2f), shown(0.7f, 0.45f, 0.1f), 0.03f), face);
}

void mushroom(Builder& b, Hue hue) {
  b.lathe_body({0, -0.02f, 0}, 0.42f, 0.13f, {1.1f, 1.05f, 0.85f, 0.75f, 0.75f, 0.8f}, b.patterned(Pattern::kMottled, shown(0.95f, 0.91f, 0.82f), shown(0.85f, 0.78f, 0.67f), 0.15f));
  b.lathe_body({0, 0.36f, 0}, 0.32f, 0.36f, {0.92f, 1, 0.92f, 0.7f, 0.4f, 0.05f}, b.plain(colour_of(hue), 0.35f));
  const int dot = b.plain(hue == Hue::kWhite ? shown(0.72f, 0.5f, 0.35f) : shown(0.97f, 0.95f, 0.9f));
  for (int i = 0; i < 9; ++i) {
    const float angle = 2.4f * static_cast<float>(i), up = 0.08f + 0.85f * static_cast<float>(i) / 9, side = 0.355f * std::sqrt(std::max(0.f, 1 - up * up)) + 0.005f;
    b.ball({side * cosine(angle), 0.38f + 0.27f * up, side * sine(angle)}, {0.05f, 0.04f, 0.05f}, dot);
  }
}

void rock(Builder& b) {
  const float tone = b.dice.uniform(0.42f, 0.6f);
  const int stone = b.patterned(Pattern::kRock, shown(tone, tone * 0.97f, tone * 0.93f), shown(tone * 0.6f, tone * 0.58f, tone * 0.58f), 0.6f, 0.05f);
  b.lump({0, 0.28f, 0}, {0.85f, 0.6f, 0.7f}, 0.1f, 2.6f, stone);
  b.lump({0.6f, 0.12f, 0.35f}, {0.42f, 0.34f, 0.4f}, 0.1f, 2.8f, stone);
}

void potted_plant(Builder& b, Hue hue) {
  b.lathe_body({0, 0, 0}, 0.34f, 0.22f, {0.62f, 0.7f, 0.82f, 0.93f, 1.05f, 1.05f}, b.plain(colour_of(hue), 0.4f));
  b.ball({0, 0.34f, 0}, {0.2f, 0.02f, 0.2f}, b.plain(shown(0.25f, 0.17f, 0.12f)));
  const int leaf = b.material({.base = shown(0.3f, 0.58f, 0.28f), .second = shown(0.16f, 0.4f, 0.2f), .pattern = Pattern::kMottled, .scale = 0.15f, .gloss = 0.25f, .softness = 0.5f});
  for (int i = 0; i < 13; ++i) {
    const float angle = 2.4f * static_cast<float>(i), tilt = 0.25f + 0.075f * static_cast<float>(i), size = 0.36f - 0.008f * static_cast<float>(i);
    const Mat3 turn = rotation_y(angle) * rotation_z(1.5708f - tilt);
    b.ball(Vec3{0, 0.36f, 0} + turn * Vec3{size * 0.95f, 0, 0}, {size, 0.02f, 0.085f}, leaf, turn);
  }
}

}  // namespace

bool build_plant(Builder& b, Kind kind, Hue hue, Hue) {
  switch (kind) {
    case Kind::kTree: tree(b, hue); break;
    case Kind::kPine: pine(b, hue); break;
    case Kind::kPalm: palm(b); break;
    case Kind::kBush: bush(b, hue); break;
    case Kind::kCactus: cactus(b); break;
    case Kind::kFlower: flower(b, hue); break;
    case Kind::kMushroom: mushroom(b, hue); break;
    case Kind::kRock: rock(b); break;
    case Kind::kPlant: potted_plant(b, hue); break;
    default: return false;
  }
  b.steady();
  return true;
}

}  // namespace attelier::world
