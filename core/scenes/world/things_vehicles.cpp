// Cars, trains, boats, balloons and aeroplanes, and the toys of the garden.
#include "core/scenes/world/builder.h"

namespace attelier::world {
namespace {

int rubber(Builder& b) { return b.plain(shown(0.12f, 0.12f, 0.13f), 0.15f); }
int glass(Builder& b) { return b.plain(shown(0.3f, 0.42f, 0.5f), 1); }
int chrome(Builder& b) { return b.plain(shown(0.75f, 0.76f, 0.78f), 0.8f); }

/// A wheel in the plane of x and y that rolls while the vehicle moves.
void wheel(Builder& b, const Vec3& centre, float radius, int tyre, int rim) {
  b.tube(centre - Vec3{0, 0, 0.11f}, centre + Vec3{0, 0, 0.11f}, radius, radius, tyre);
  const float out = centre.z > 0 ? 0.12f : -0.12f;
  b.tube(centre, centre + Vec3{0, 0, out}, 0.6f * radius, 0.55f * radius, rim);
}

void car(Builder& b, Hue hue) {
  const int paint = b.plain(colour_of(hue), 0.75f), pane = glass(b), tyre = rubber(b), rim = chrome(b);
  b.rounded({0, 0.6f, 0}, {1.7f, 0.32f, 0.75f}, 0.2f, paint);
  b.rounded({-0.15f, 1.05f, 0}, {0.95f, 0.4f, 0.66f}, 0.24f, paint);
  b.rounded({-0.15f, 1.08f, 0}, {0.8f, 0.22f, 0.68f}, 0.1f, pane), b.rounded({-0.15f, 1.06f, 0}, {0.97f, 0.22f, 0.54f}, 0.1f, pane);
  b.rounded({-0.12f, 1.05f, 0}, {0.05f, 0.38f, 0.685f}, 0.03f, paint);
  for (const float x : {-1.05f, 1.05f})
    for (const float z : {-0.68f, 0.68f}) wheel(b, {x, 0.34f, z}, 0.34f, tyre, rim);
  for (const float z : {-0.5f, 0.5f}) b.ball({1.66f, 0.66f, z}, {0.08f, 0.11f, 0.13f}, b.glowing(shown(1, 0.95f, 0.75f), 0.9f)), b.ball({-1.67f, 0.68f, z}, {0.05f, 0.09f, 0.13f}, b.plain(shown(0.7f, 0.08f, 0.08f), 0.6f));
  for (const float x : {-1.72f, 1.72f}) b.rounded({x, 0.42f, 0}, {0.06f, 0.08f, 0.7f}, 0.05f, rim);
  b.rounded({0.25f, 0.72f, 0.755f}, {0.09f, 0.02f, 0.02f}, 0.015f, rim);
}

void bus(Builder& b, Hue hue, Hue second) {
  const int paint = b.plain(colour_of(hue), 0.6f), pane = glass(b), tyre = rubber(b), rim = chrome(b), band = b.plain(mix(colour_of(second), shown(0.96f, 0.95f, 0.9f), 0.6f), 0.5f);
  b.rounded({0, 1.45f, 0}, {2.7f, 1.05f, 1}, 0.25f, paint), b.rounded({0, 1.2f, 0}, {2.72f, 0.14f, 1.02f}, 0.1f, band);
  for (int i = 0; i < 5; ++i) b.rounded({-2.05f + 0.92f * static_cast<float>(i), 1.85f, 0}, {0.38f, 0.34f, 1.015f}, 0.1f, pane);
  b.rounded({2.45f, 1.7f, 0}, {0.28f, 0.5f, 0.8f}, 0.12f, pane);
  for (const float x : {-1.6f, 1.6f})
    for (const float z : {-0.92f, 0.92f}) wheel(b, {x, 0.45f, z}, 0.45f, tyre, rim);
  for (const float z : {-0.7f, 0.7f}) b.ball({2.68f, 0.8f, z}, {0.07f, 0.12f, 0.14f}, b.glowing(shown(1, 0.95f, 0.75f), 0.9f));
}

void train(Builder& b, Hue hue, Hue second) {
  const int paint = b.plain(colour_of(hue), 0.55f), dark = b.plain(shown(0.15f, 0.15f, 0.17f), 0.4f), trim = b.plain(colour_of(second), 0.5f), brass = b.plain(shown(0.85f, 0.68f, 0.25f), 0.8f);
  b.block({0, 0.62f, 0}, {2.9f, 0.14f, 0.7f}, dark);
  b.tube({-0.6f, 1.25f, 0}, {2.6f, 1.25f, 0}, 0.58f, 0.58f, paint), b.tube({2.6f, 1.25f, 0}, {2.72f, 1.25f, 0}, 0.54f, 0.46f, dark);
  for (const float x : {0.1f, 1.1f, 2.1f}) b.tube({x - 0.05f, 1.25f, 0}, {x + 0.05f, 1.25f, 0}, 0.6f, 0.6f, brass);
  b.rounded({-1.6f, 1.45f, 0}, {0.95f, 0.75f, 0.75f}, 0.08f, trim), b.rounded({-1.6f, 2.25f, 0}, {1.1f, 0.09f, 0.88f}, 0.08f, dark);
  b.rounded({-1.6f, 1.75f, 0}, {0.45f, 0.28f, 0.77f}, 0.06f, glass(b));
  b.lathe_body({2.1f, 1.7f, 0}, 0.75f, 0.26f, {0.7f, 0.6f, 0.6f, 0.7f, 1, 1.05f}, dark), b.ball({0.8f, 1.85f, 0}, {0.25f, 0.28f, 0.25f}, brass);
  const int steel = b.plain(shown(0.6f, 0.12f, 0.1f), 0.4f);
  for (const float x : {-2.1f, -1.f, 0.4f, 1.3f, 2.2f})
    for (const float z : {-0.68f, 0.68f}) wheel(b, {x, 0.42f, z}, x < 0 ? 0.42f : 0.34f, dark, steel);
  b.ball({2.75f, 1.62f, 0}, {0.1f, 0.16f, 0.16f}, b.glowing(shown(1, 0.93f, 0.7f), 1.2f));
}

void boat(Builder& b, Hue hue, Hue second) {
  b.hinge({MotionKind::kSwing, {0, 0, 0}, {0, 0, 1}, 0.04f, 0.3f, b.dice.uniform()});
  const int hull = b.plain(colour_of(hue), 0.4f), wood = b.patterned(Pattern::kWood, shown(0.62f, 0.44f, 0.27f), shown(0.5f, 0.34f, 0.2f), 0.4f), pale = b.plain(shown(0.95f, 0.93f, 0.88f), 0.2f);
  // Hull: the lower half of an ellipsoid cut by its deck.
  b.ball({0, 0.3f, 0}, {1.6f, 0.52f, 0.58f}, hull), b.ball({0, 0.36f, 0}, {1.63f, 0.5f, 0.6f}, pale), b.block({0, 0.76f, 0}, {1.32f, 0.14f, 0.46f}, wood);
  b.ball({1.1f, 0.62f, 0}, {0.75f, 0.28f, 0.4f}, hull, rotation_z(0.25f));
  b.tube({0.1f, 0.7f, 0}, {0.1f, 3.7f, 0}, 0.05f, 0.03f, wood), b.tube({0.1f, 1.1f, 0}, {-1.35f, 1.05f, 0}, 0.035f, 0.03f, wood);
  const int sail = b.material({.base = mix(colour_of(second), shown(0.97f, 0.95f, 0.9f), 0.7f), .second = mix(colour_of(second), shown(0.97f, 0.95f, 0.9f), 0.2f), .pattern = Pattern::kStripes, .scale = 0.9f, .softness = 0.6f});
  // Right triangles: thin roofs sheared until one side stands upright.
  b.roof({-0.62f, 2.32f, 0}, {1.3f, 1.2f, 0.015f}, sail, Mat3{{{1, 0.54f, 0}, {0, 1, 0}, {0, 0, 1}}});
  b.roof({0.68f, 2.05f, 0}, {1, 1.1f, 0.015f}, pale, Mat3{{{1, -0.45f, 0}, {0, 1, 0}, {0, 0, 1}}});
  b.block({0.32f, 3.6f, 0}, {0.22f, 0.11f, 0.01f}, b.plain(colour_of(hue)));
}

void balloon(Builder& b, Hue hue, Hue second) {
  b.move({MotionKind::kBob, {}, {0, 1, 0}, 0.25f, 0.15f, b.dice.uniform()});
  const Colour other = hue == second ? shown(0.96f, 0.94f, 0.88f) : mix(colour_of(second), shown(0.97f, 0.95f, 0.9f), 0.35f);
  b.lathe_body({0, 1.7f, 0}, 4.7f, 2, {0.2f, 0.42f, 0.95f, 1.12f, 0.85f, 0.05f}, b.material({.base = colour_of(hue), .second = other, .pattern = Pattern::kStripes, .scale = 1.25f, .gloss = 0.2f, .softness = 0.2f}));
  const int basket = b.patterned(Pattern::kWeave, shown(0.66f, 0.47f, 0.27f), shown(0.45f, 0.3f, 0.17f), 0.16f), rope = b.plain(shown(0.35f, 0.27f, 0.2f));
  b.rounded({0, 0.45f, 0}, {0.5f, 0.4f, 0.5f}, 0.06f, basket), b.rounded({0, 0.86f, 0}, {0.54f, 0.06f, 0.54f}, 0.05f, b.plain(colour_of(hue) * 0.7f));
  for (const float x : {-0.42f, 0.42f})
    for (const float z : {-0.42f, 0.42f}) b.tube({x, 0.85f, z}, {0.85f * x, 1.9f, 0.85f * z}, 0.018f, 0.018f, rope);
}

void aeroplane(Builder& b, Hue hue, Hue second) {
  const int paint = b.plain(colour_of(hue), 0.6f), trim = b.plain(mix(colour_of(second), shown(0.96f, 0.94f, 0.9f), 0.5f), 0.5f);
  b.lathe_body({-1.9f, 0.7f, 0}, 3.7f, 0.52f, {0.12f, 0.4f, 0.85f, 1.05f, 1, 0.45f}, paint, rotation_z(-0.5f * kPi));
  b.ball({0.25f, 1.12f, 0}, {0.45f, 0.26f, 0.3f}, glass(b));
  b.rounded({0.35f, 0.62f, 0}, {0.48f, 0.06f, 2.3f}, 0.05f, trim), b.rounded({0.35f, 1.35f, 0}, {0.42f, 0.05f, 2}, 0.045f, trim);
  for (const float z : {-1.4f, 1.4f}) b.tube({0.35f, 0.65f, z}, {0.35f, 1.35f, z}, 0.03f, 0.03f, paint);
  b.rounded({-1.7f, 0.8f, 0}, {0.25f, 0.04f, 0.8f}, 0.03f, trim), b.rounded({-1.75f, 1.1f, 0}, {0.25f, 0.36f, 0.04f}, 0.035f, trim);
  b.hinge({MotionKind::kSpin, {1.85f, 0.7f, 0}, {1, 0, 0}, 0, 1.3f, b.dice.uniform()});
  b.ball({1.86f, 0.7f, 0}, {0.14f, 0.14f, 0.14f}, trim), b.ball({1.88f, 0.7f, 0}, {0.03f, 0.75f, 0.07f}, b.plain(shown(0.35f, 0.23f, 0.15f), 0.4f));
  b.steady();
  for (const float z : {-0.5f, 0.5f}) b.tube({0.7f, 0.17f, z - 0.06f}, {0.7f, 0.17f, z + 0.06f}, 0.17f, 0.17f, rubber(b)), b.tube({0.7f, 0.2f, z}, {0.6f, 0.6f, 0.5f * z}, 0.03f, 0.03f, paint);
}

void ball(Builder& b, Hue hue, Hue second) {
  const Colour other = hue == second || hue == Hue::kWhite ? shown(0.97f, 0.96f, 0.92f) * (hue == Hue::kWhite ? 0.6f : 1) : mix(colour_of(second), shown(0.97f, 0.96f, 0.92f), 0.6f);
  b.ball({0, 0.35f, 0}, {0.35f, 0.35f, 0.35f}, b.material({.base = colour_of(hue), .second = b.dice.chance(0.5f) ? other : colour_of(hue), .pattern = Pattern::kStripes, .scale = 0.46f, .gloss = 0.6f}), rotation_z(0.4f) * rotation_y(0.5f));
}

void cube(Builder& b, Hue hue) { b.rounded({0, 0.3f, 0}, {0.3f, 0.3f, 0.3f}, 0.05f, b.plain(colour_of(hue), 0.35f)); }

void umbrella(Builder& b, Hue hue, Hue second) {
  const Colour other = hue == second ? shown(0.97f, 0.95f, 0.9f) : mix(colour_of(second), shown(0.97f, 0.95f, 0.9f), 0.7f);
  b.tube({0, -0.1f, 0}, {0, 2.15f, 0}, 0.035f, 0.03f, b.plain(shown(0.9f, 0.88f, 0.83f)));
  b.lathe_body({0, 1.7f, 0}, 0.5f, 1.25f, {1, 0.98f, 0.82f, 0.5f, 0.2f, 0.03f}, b.material({.base = colour_of(hue), .second = other, .pattern = Pattern::kRings, .scale = 0.7f, .softness = 0.5f}));
  b.ball({0, 2.22f, 0}, {0.05f, 0.05f, 0.05f}, b.plain(colour_of(hue)));
}

}  // namespace

bool build_vehicle(Builder& b, Kind kind, Hue hue, Hue second) {
  switch (kind) {
    case Kind::kCar: car(b, hue); break;
    case Kind::kBus: bus(b, hue, second); break;
    case Kind::kTrain: train(b, hue, second); break;
    case Kind::kBoat: boat(b, hue, second); break;
    case Kind::kBalloon: balloon(b, hue, second); break;
    case Kind::kAeroplane: aeroplane(b, hue, second); break;
    case Kind::kBall: ball(b, hue, second); break;
    case Kind::kCube: cube(b, hue); break;
    case Kind::kUmbrella: umbrella(b, hue, second); break;
    default: return false;
  }
  b.steady();
  return true;
}

}  // namespace attelier::world
