// Animals, snowmen and robots, built from soft solids; legs, wings and tails hang on joints.
#include "core/scenes/world/builder.h"

namespace attelier::world {
namespace {

int fur(Builder& b, const Colour& colour) {
  return b.material({.base = colour, .second = colour * 0.72f, .pattern = Pattern::kFur, .scale = 0.16f, .bump = 0.006f, .softness = 0.35f});
}
int black(Builder& b) { return b.plain(shown(0.05f, 0.05f, 0.06f), 0.8f); }
void eyes(Builder& b, const Vec3& between, float apart, float size) {
  const int pupil = black(b), shine = b.glowing(shown(1, 1, 1), 0.8f);
  for (const float side : {-1.f, 1.f}) {
    const Vec3 at = between + Vec3{side * apart, 0, 0};
    b.ball(at, {size, size * 1.2f, size * 0.6f}, pupil);
    b.ball(at + Vec3{0.35f * size, 0.45f * size, 0.5f * size}, {0.3f * size, 0.3f * size, 0.2f * size}, shine);
  }
}
/// A leg that swings to and fro about the hip.
void leg(Builder& b, const Vec3& hip, float length, float radius, int skin, float phase, int hoof = -1) {
  b.hinge({MotionKind::kSwing, hip, {1, 0, 0}, 0.25f, 0.6f, phase});
  b.limb(hip, hip - Vec3{0, length - radius, 0}, radius, skin);
  if (hoof >= 0) b.ball(hip - Vec3{0, length - 0.6f * radius, -0.2f * radius}, {1.15f * radius, 0.7f * radius, 1.4f * radius}, hoof);
  b.steady();
}

void cat(Builder& b, Hue hue) {
  const Colour colour = hue == Hue::kOrange ? shown(0.9f, 0.57f, 0.25f) : colour_of(hue);
  const int coat = b.material({.base = colour, .second = colour * 0.55f, .pattern = hue == Hue::kOrange || hue == Hue::kGrey ? Pattern::kStripes : Pattern::kFur, .scale = 0.09f, .bump = 0.003f, .softness = 0.35f});
  const int belly = fur(b, mix(colour, shown(0.96f, 0.93f, 0.88f), 0.6f)), inner = b.plain(shown(0.93f, 0.62f, 0.62f));
  b.ball({0, 0.2f, -0.02f}, {0.17f, 0.22f, 0.19f}, coat), b.ball({0, 0.19f, 0.07f}, {0.12f, 0.17f, 0.12f}, belly);
  b.ball({0, 0.44f, 0.06f}, {0.17f, 0.145f, 0.15f}, coat), b.ball({0, 0.405f, 0.165f}, {0.075f, 0.05f, 0.06f}, belly);
  for (const float side : {-1.f, 1.f}) {
    b.tube({side * 0.1f, 0.52f, 0.05f}, {side * 0.135f, 0.67f, 0.05f}, 0.075f, 0.01f, coat), b.tube({side * 0.102f, 0.53f, 0.085f}, {side * 0.13f, 0.64f, 0.075f}, 0.045f, 0.006f, inner);
    b.limb({side * 0.075f, 0.2f, 0.12f}, {side * 0.075f, 0.04f, 0.15f}, 0.045f, coat), b.ball({side * 0.075f, 0.03f, 0.175f}, {0.05f, 0.032f, 0.06f}, belly), b.ball({side * 0.15f, 0.09f, -0.02f}, {0.075f, 0.1f, 0.13f}, coat);
  }
  eyes(b, {0, 0.465f, 0.19f}, 0.068f, 0.03f), b.ball({0, 0.425f, 0.222f}, {0.018f, 0.013f, 0.012f}, inner);
  b.hinge({MotionKind::kSwing, {0.08f, 0.06f, -0.18f}, {0, 0, 1}, 0.2f, 0.4f, 0});
  b.limb({0.08f, 0.06f, -0.18f}, {0.27f, 0.12f, -0.16f}, 0.038f, coat), b.limb({0.27f, 0.12f, -0.16f}, {0.33f, 0.34f, -0.12f}, 0.035f, coat);
}

void dog(Builder& b, Hue hue) {
  const Colour colour = colour_of(hue);
  const int coat = fur(b, colour), pale = fur(b, mix(colour, shown(0.97f, 0.94f, 0.88f), 0.65f)), dark = fur(b, colour * 0.5f);
  b.limb({0, 0.42f, -0.25f}, {0, 0.45f, 0.16f}, 0.19f, coat), b.ball({0, 0.4f, 0.2f}, {0.16f, 0.19f, 0.16f}, pale);
  b.ball({0, 0.7f, 0.32f}, {0.19f, 0.18f, 0.18f}, coat), b.limb({0, 0.64f, 0.42f}, {0, 0.63f, 0.52f}, 0.085f, pale), b.ball({0, 0.675f, 0.61f}, {0.045f, 0.035f, 0.03f}, black(b));
  for (const float side : {-1.f, 1.f}) {
    b.ball({side * 0.19f, 0.68f, 0.29f}, {0.05f, 0.16f, 0.09f}, dark, rotation_z(side * 0.25f));
    leg(b, {side * 0.11f, 0.4f, 0.16f}, 0.4f, 0.06f, coat, side > 0 ? 0 : 0.5f, pale), leg(b, {side * 0.11f, 0.4f, -0.3f}, 0.4f, 0.065f, coat, side > 0 ? 0.5f : 0, pale);
  }
  eyes(b, {0, 0.745f, 0.475f}, 0.075f, 0.03f);
  b.ring({0, 0.55f, 0.26f}, 0.155f, 0.03f, b.plain(shown(0.8f, 0.16f, 0.14f), 0.4f), rotation_x(0.5f));
  b.hinge({MotionKind::kSwing, {0, 0.5f, -0.42f}, {0, 0, 1}, 0.5f, 1.1f, 0}), b.limb({0, 0.5f, -0.42f}, {0, 0.76f, -0.55f}, 0.05f, coat);
}

void bird(Builder& b, Hue hue) {
  const int coat = fur(b, colour_of(hue)), belly = fur(b, mix(colour_of(hue), shown(0.98f, 0.95f, 0.88f), 0.7f)), wing = fur(b, colour_of(hue) * 0.65f), beak = b.plain(shown(0.95f, 0.62f, 0.15f), 0.3f);
  b.ball({0, 0.2f, 0}, {0.13f, 0.13f, 0.18f}, coat, rotation_x(-0.3f)), b.ball({0, 0.175f, 0.05f}, {0.1f, 0.1f, 0.13f}, belly, rotation_x(-0.3f)), b.ball({0, 0.33f, 0.12f}, {0.1f, 0.1f, 0.1f}, coat);
  b.tube({0, 0.32f, 0.2f}, {0, 0.305f, 0.3f}, 0.03f, 0.004f, beak), eyes(b, {0, 0.355f, 0.19f}, 0.05f, 0.02f);
  b.ball({0, 0.2f, -0.24f}, {0.06f, 0.02f, 0.13f}, wing, rotation_x(0.35f));
  for (const float side : {-1.f, 1.f}) {
    b.hinge({MotionKind::kSwing, {side * 0.11f, 0.26f, 0}, {0, 0, 1}, 0.35f * side, 1.2f, 0});
    b.ball({side * 0.14f, 0.22f, -0.05f}, {0.03f, 0.085f, 0.15f}, wing, rotation_x(-0.4f)), b.steady();
    b.limb({side * 0.05f, 0.1f, 0.02f}, {side * 0.05f, 0.02f, 0.04f}, 0.012f, beak), b.ball({side * 0.05f, 0.012f, 0.06f}, {0.03f, 0.012f, 0.045f}, beak);
  }
}

void sheep(Builder& b, Hue hue) {
  const Colour colour = hue == Hue::kBlack ? shown(0.22f, 0.2f, 0.2f) : mix(colour_of(hue), shown(0.95f, 0.93f, 0.87f), 0.2f);
  const int wool = b.material({.base = colour, .second = colour * 0.8f, .pattern = Pattern::kLeaves, .scale = 0.22f, .bump = 0.02f, .softness = 0.5f}), face = b.plain(shown(0.24f, 0.2f, 0.19f), 0.15f);
  b.lump({0, 0.62f, -0.05f}, {0.42f, 0.38f, 0.56f}, 0.07f, 7, wool), b.lump({0, 0.93f, 0.45f}, {0.2f, 0.15f, 0.18f}, 0.08f, 6, wool);
  b.ball({0, 0.78f, 0.58f}, {0.14f, 0.18f, 0.17f}, face, rotation_x(0.4f)), eyes(b, {0, 0.83f, 0.7f}, 0.08f, 0.026f);
  const int white = b.plain(shown(0.95f, 0.95f, 0.92f));
  for (const float side : {-1.f, 1.f}) {
    b.ball({side * 0.083f, 0.832f, 0.708f}, {0.034f, 0.04f, 0.012f}, white);
    b.ball({side * 0.21f, 0.84f, 0.5f}, {0.1f, 0.04f, 0.06f}, face, rotation_z(-0.4f * side));
    leg(b, {side * 0.2f, 0.42f, 0.25f}, 0.42f, 0.06f, face, side > 0 ? 0 : 0.5f), leg(b, {side * 0.2f, 0.42f, -0.35f}, 0.42f, 0.06f, face, side > 0 ? 0.5f : 0);
  }
}

void cow(Builder& b, Hue hue) {
  const Colour colour = colour_of(hue), patches = hue == Hue::kWhite ? shown(0.16f, 0.14f, 0.14f) : shown(0.95f, 0.92f, 0.87f);
  const int coat = b.material({.base = colour, .second = patches, .pattern = Pattern::kSpots, .scale = 0.55f, .softness = 0.2f}), pink = b.plain(shown(0.93f, 0.68f, 0.64f), 0.2f), horn = b.plain(shown(0.92f, 0.88f, 0.75f), 0.4f), dark = b.plain(shown(0.2f, 0.17f, 0.16f));
  b.rounded({0, 0.9f, -0.15f}, {0.42f, 0.42f, 0.85f}, 0.36f, coat), b.limb({0, 1.05f, 0.6f}, {0, 1.25f, 0.85f}, 0.22f, coat);
  b.rounded({0, 1.28f, 1}, {0.23f, 0.23f, 0.3f}, 0.2f, coat), b.rounded({0, 1.14f, 1.25f}, {0.2f, 0.14f, 0.15f}, 0.12f, pink), eyes(b, {0, 1.36f, 1.25f}, 0.13f, 0.04f);
  for (const float side : {-1.f, 1.f}) {
    b.ball({0.08f * side, 1.16f, 1.4f}, {0.03f, 0.04f, 0.02f}, dark), b.tube({side * 0.14f, 1.45f, 0.92f}, {side * 0.24f, 1.64f, 0.95f}, 0.05f, 0.012f, horn);
    b.ball({side * 0.3f, 1.36f, 0.88f}, {0.14f, 0.05f, 0.08f}, coat, rotation_z(-0.3f * side));
    leg(b, {side * 0.27f, 0.65f, 0.45f}, 0.65f, 0.11f, coat, side > 0 ? 0 : 0.5f, dark), leg(b, {side * 0.27f, 0.65f, -0.75f}, 0.65f, 0.11f, coat, side > 0 ? 0.5f : 0, dark);
  }
  b.ball({0, 0.5f, -0.45f}, {0.2f, 0.14f, 0.2f}, pink), b.limb({0, 1.1f, -1}, {0, 0.6f, -1.1f}, 0.035f, coat), b.ball({0, 0.52f, -1.12f}, {0.06f, 0.1f, 0.06f}, dark);
}

void duck(Builder& b, Hue hue) {
  b.move({MotionKind::kBob, {}, {0, 1, 0}, 0.02f, 0.5f, b.dice.uniform()});
  const int coat = fur(b, hue == Hue::kYellow ? shown(0.99f, 0.84f, 0.3f) : colour_of(hue)), wing = fur(b, colour_of(hue) * 0.82f), beak = b.plain(shown(0.95f, 0.55f, 0.12f), 0.4f);
  b.ball({0, 0.15f, 0}, {0.19f, 0.15f, 0.25f}, coat), b.tube({0, 0.16f, -0.14f}, {0, 0.3f, -0.32f}, 0.12f, 0.01f, coat), b.limb({0, 0.22f, 0.14f}, {0, 0.36f, 0.18f}, 0.075f, coat);
  b.ball({0, 0.4f, 0.2f}, {0.11f, 0.105f, 0.115f}, coat), b.ball({0, 0.375f, 0.33f}, {0.06f, 0.02f, 0.075f}, beak), eyes(b, {0, 0.43f, 0.285f}, 0.06f, 0.02f);
  for (const float side : {-1.f, 1.f}) b.ball({side * 0.17f, 0.18f, -0.03f}, {0.045f, 0.09f, 0.17f}, wing, rotation_x(0.2f));
}

void rabbit(Builder& b, Hue hue) {
  const Colour colour = mix(colour_of(hue), shown(0.95f, 0.93f, 0.9f), 0.15f);
  const int coat = fur(b, colour), pale = fur(b, mix(colour, shown(0.98f, 0.96f, 0.93f), 0.7f)), inner = b.plain(shown(0.93f, 0.68f, 0.68f));
  b.ball({0, 0.17f, -0.06f}, {0.15f, 0.17f, 0.19f}, coat), b.ball({0, 0.14f, 0.05f}, {0.1f, 0.12f, 0.1f}, pale), b.ball({0, 0.35f, 0.1f}, {0.125f, 0.115f, 0.12f}, coat), b.ball({0, 0.16f, -0.26f}, {0.065f, 0.065f, 0.065f}, pale);
  for (const float side : {-1.f, 1.f}) {
    b.hinge({MotionKind::kSwing, {side * 0.05f, 0.43f, 0.08f}, {0, 0, 1}, 0.1f * side, 0.5f, 0});
    b.ball({side * 0.075f, 0.55f, 0.05f}, {0.042f, 0.15f, 0.028f}, coat, rotation_z(-0.15f * side)), b.ball({side * 0.076f, 0.55f, 0.07f}, {0.024f, 0.12f, 0.016f}, inner, rotation_z(-0.15f * side)), b.steady();
    b.ball({side * 0.1f, 0.05f, 0.1f}, {0.05f, 0.045f, 0.12f}, pale), b.ball({side * 0.12f, 0.11f, -0.06f}, {0.07f, 0.1f, 0.12f}, coat);
  }
  eyes(b, {0, 0.375f, 0.2f}, 0.065f, 0.024f), b.ball({0, 0.335f, 0.22f}, {0.018f, 0.013f, 0.012f}, inner);
}

void penguin(Builder& b) {
  const int coat = b.plain(shown(0.14f, 0.16f, 0.2f), 0.25f), white = b.plain(shown(0.95f, 0.95f, 0.93f), 0.15f), orange = b.plain(shown(0.95f, 0.58f, 0.14f), 0.3f);
  b.lathe_body({0, 0.04f, 0}, 0.6f, 0.25f, {0.55f, 1, 1.05f, 0.9f, 0.66f, 0.5f}, coat), b.ball({0, 0.29f, 0.07f}, {0.19f, 0.26f, 0.19f}, white);
  b.ball({0, 0.68f, 0.01f}, {0.165f, 0.155f, 0.16f}, coat), b.ball({0, 0.66f, 0.06f}, {0.12f, 0.1f, 0.12f}, white), b.tube({0, 0.65f, 0.15f}, {0, 0.63f, 0.27f}, 0.04f, 0.006f, orange), eyes(b, {0, 0.705f, 0.165f}, 0.055f, 0.022f);
  for (const float side : {-1.f, 1.f}) {
    b.hinge({MotionKind::kSwing, {side * 0.22f, 0.5f, 0}, {0, 0, 1}, 0.3f * side, 0.8f, 0});
    b.ball({side * 0.28f, 0.37f, 0}, {0.035f, 0.18f, 0.085f}, coat, rotation_z(side * 0.35f)), b.steady(), b.ball({side * 0.1f, 0.03f, 0.09f}, {0.075f, 0.03f, 0.12f}, orange);
  }
}

void fish(Builder& b, Hue hue, Hue second) {
  const int scales = b.material({.base = colour_of(hue), .second = mix(colour_of(second), shown(0.98f, 0.95f, 0.9f), 0.4f), .pattern = Pattern::kRings, .scale = 0.2f, .gloss = 0.6f}), fin = b.material({.base = colour_of(hue) * 0.8f, .second = colour_of(hue), .softness = 0.6f});
  b.ball({0, 0.18f, 0}, {0.26f, 0.16f, 0.1f}, scales);
  b.hinge({MotionKind::kSwing, {-0.22f, 0.18f, 0}, {0, 1, 0}, 0.4f, 1, 0}), b.ball({-0.34f, 0.24f, 0}, {0.12f, 0.05f, 0.015f}, fin, rotation_z(-0.7f)), b.ball({-0.34f, 0.12f, 0}, {0.12f, 0.05f, 0.015f}, fin, rotation_z(0.7f)), b.steady();
  b.ball({0, 0.34f, 0}, {0.13f, 0.06f, 0.015f}, fin);
  for (const float side : {-1.f, 1.f}) b.ball({0.17f, 0.21f, 0.07f * side}, {0.032f, 0.032f, 0.02f}, black(b)), b.ball({0.02f, 0.13f, 0.1f * side}, {0.07f, 0.035f, 0.02f}, fin, rotation_y(0.5f * side));
}

void snowman(Builder& b, Hue hue, Hue second) {
  const int snow = b.patterned(Pattern::kMottled, shown(0.97f, 0.98f, 1), shown(0.88f, 0.92f, 0.98f), 0.3f, 0.01f), coal = black(b), twig = b.plain(shown(0.35f, 0.24f, 0.16f)), scarf = b.patterned(Pattern::kRings, colour_of(hue), mix(colour_of(hue), shown(1, 1, 1), 0.5f), 0.12f);
  b.ball({0, 0.45f, 0}, {0.52f, 0.48f, 0.52f}, snow), b.ball({0, 1.02f, 0}, {0.38f, 0.35f, 0.38f}, snow), b.ball({0, 1.42f, 0}, {0.26f, 0.25f, 0.26f}, snow);
  b.tube({0, 1.42f, 0.22f}, {0.04f, 1.4f, 0.52f}, 0.05f, 0.006f, b.plain(shown(0.95f, 0.5f, 0.13f))), eyes(b, {0, 1.5f, 0.235f}, 0.09f, 0.03f);
  for (int i = 0; i < 3; ++i) b.ball({0, 0.86f + 0.16f * static_cast<float>(i), 0.36f + 0.02f * static_cast<float>(i % 2)}, {0.035f, 0.035f, 0.03f}, coal);
  b.ring({0, 1.23f, 0}, 0.23f, 0.075f, scarf), b.rounded({0.17f, 1.03f, 0.31f}, {0.075f, 0.2f, 0.03f}, 0.03f, scarf, rotation_x(-0.25f));
  for (const float side : {-1.f, 1.f}) b.tube({side * 0.3f, 1.08f, 0}, {side * 0.78f, 1.36f, 0.05f}, 0.025f, 0.015f, twig), b.tube({side * 0.62f, 1.27f, 0.03f}, {side * 0.74f, 1.22f, 0.1f}, 0.014f, 0.008f, twig);
  const int hat = b.plain(second == Hue::kWhite ? shown(0.16f, 0.16f, 0.2f) : colour_of(second) * 0.6f, 0.2f);
  b.tube({0, 1.62f, 0}, {0, 1.65f, 0}, 0.3f, 0.3f, hat), b.tube({0, 1.65f, 0}, {0, 1.92f, 0}, 0.2f, 0.19f, hat);
}

void robot(Builder& b, Hue hue, Hue second) {
  const int paint = b.plain(colour_of(hue), 0.7f), metal = b.plain(shown(0.66f, 0.68f, 0.72f), 0.85f), trim = b.plain(colour_of(second), 0.6f), eye = b.glowing(shown(0.5f, 0.95f, 1), 1.4f);
  b.rounded({0, 0.72f, 0}, {0.34f, 0.34f, 0.24f}, 0.08f, paint), b.rounded({0, 0.74f, 0.23f}, {0.2f, 0.16f, 0.03f}, 0.02f, metal), b.rounded({0, 1.22f, 0}, {0.28f, 0.2f, 0.22f}, 0.07f, paint);
  b.tube({0, 1.02f, 0}, {0, 1.1f, 0}, 0.1f, 0.1f, metal), b.tube({0, 1.4f, 0}, {0, 1.56f, 0}, 0.015f, 0.015f, metal), b.ball({0, 1.6f, 0}, {0.055f, 0.055f, 0.055f}, b.glowing(shown(1, 0.35f, 0.25f), 1.2f));
  b.rounded({0, 1.12f, 0.215f}, {0.14f, 0.03f, 0.02f}, 0.015f, metal);
  for (int i = 0; i < 3; ++i) b.ball({-0.12f + 0.12f * static_cast<float>(i), 0.78f, 0.26f}, {0.04f, 0.04f, 0.02f}, i == 1 ? eye : trim);
  for (const float side : {-1.f, 1.f}) {
    b.ball({side * 0.12f, 1.26f, 0.21f}, {0.075f, 0.075f, 0.04f}, metal), b.ball({side * 0.12f, 1.26f, 0.24f}, {0.05f, 0.05f, 0.03f}, eye), b.tube({side * 0.27f, 1.22f, 0}, {side * 0.34f, 1.22f, 0}, 0.08f, 0.06f, trim);
    b.hinge({MotionKind::kSwing, {side * 0.38f, 0.95f, 0}, {1, 0, 0}, 0.5f, 0.5f, side > 0 ? 0 : 0.5f});
    b.ball({side * 0.39f, 0.95f, 0}, {0.1f, 0.1f, 0.1f}, trim), b.limb({side * 0.43f, 0.9f, 0}, {side * 0.45f, 0.6f, 0.06f}, 0.05f, metal), b.ball({side * 0.45f, 0.53f, 0.08f}, {0.085f, 0.085f, 0.085f}, paint), b.steady();
    b.limb({side * 0.16f, 0.42f, 0}, {side * 0.16f, 0.12f, 0}, 0.07f, metal), b.rounded({side * 0.17f, 0.07f, 0.05f}, {0.13f, 0.07f, 0.18f}, 0.05f, trim);
  }
}

}  // namespace

bool build_animal(Builder& b, Kind kind, Hue hue, Hue second) {
  switch (kind) {
    case Kind::kCat: cat(b, hue); break;
    case Kind::kDog: dog(b, hue); break;
    case Kind::kBird: bird(b, hue); break;
    case Kind::kSheep: sheep(b, hue); break;
    case Kind::kCow: cow(b, hue); break;
    case Kind::kDuck: duck(b, hue); break;
    case Kind::kRabbit: rabbit(b, hue); break;
    case Kind::kPenguin: penguin(b); break;
    case Kind::kFish: fish(b, hue, second); break;
    case Kind::kSnowman: snowman(b, hue, second); break;
    case Kind::kRobot: robot(b, hue, second); break;
    default: return false;
  }
  b.steady();
  return true;
}

}  // namespace attelier::world
