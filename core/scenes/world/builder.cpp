#include "core/scenes/world/builder.h"

namespace attelier::world {
namespace {

Affine placed(const Vec3& position, float yaw, float scale) { return {rotation_y(yaw) * scaling({scale, scale, scale}), position}; }

/// Turns y onto the unit vector `axis`.
Mat3 y_towards(const Vec3& axis) {
  const Vec3 side = normalised(std::fabs(axis.x) < 0.9f ? cross(axis, {1, 0, 0}) : cross(axis, {0, 0, 1}));
  return from_columns(cross(axis, side) * -1.f, axis, side * -1.f);
}

}  // namespace

int Builder::begin(Kind kind, Hue hue, const Vec3& position, float yaw, float scale) {
  scene_.joints.push_back({-1, placed(position, yaw, scale), {}});
  root_ = joint_ = static_cast<int>(scene_.joints.size()) - 1;
  object_ = static_cast<int>(scene_.objects.size());
  scene_.objects.push_back({.kind = kind, .hue = hue, .position = position, .yaw = yaw, .size = scale * extent_of(kind).height});
  kind_ = kind;
  return object_;
}

void Builder::surroundings(Kind kind, const Vec3& position, float yaw, float scale) {
  scene_.joints.push_back({-1, placed(position, yaw, scale), {}});
  root_ = joint_ = static_cast<int>(scene_.joints.size()) - 1;
  object_ = -1;
  kind_ = kind;
}

void Builder::move(const Motion& motion) {
  scene_.joints.push_back({root_, {}, motion});
  root_ = joint_ = static_cast<int>(scene_.joints.size()) - 1;
}

void Builder::hinge(const Motion& motion) {
  scene_.joints.push_back({joint_, {}, motion});
  joint_ = static_cast<int>(scene_.joints.size()) - 1;
}

int Builder::material(const Material& material) {
  scene_.materials.push_back(material);
  return static_cast<int>(scene_.materials.size()) - 1;
}
int Builder::plain(const Colour& colour, float gloss) { return material({.base = colour, .second = colour, .gloss = gloss}); }
int Builder::patterned(Pattern pattern, const Colour& base, const Colour& second, float scale, float bump, float gloss) {
  return material({.base = base, .second = second, .pattern = pattern, .scale = scale, .bump = bump, .gloss = gloss});
}
int Builder::glowing(const Colour& colour, float emission) { return material({.base = colour, .second = colour, .emission = emission}); }

void Builder::add(Shape shape, const Affine& rest, int material) {
  scene_.parts.push_back({std::move(shape), rest, joint_, material, object_, kind_});
}

void Builder::ball(const Vec3& centre, const Vec3& radii, int material, const Mat3& turn) { add({.kind = ShapeKind::kBall}, {turn * scaling(radii), centre}, material); }
void Builder::block(const Vec3& centre, const Vec3& half, int material, const Mat3& turn) { add({.kind = ShapeKind::kBlock}, {turn * scaling(half), centre}, material); }
void Builder::rounded(const Vec3& centre, const Vec3& half, float radius, int material, const Mat3& turn) {
  add({.kind = ShapeKind::kRoundedBlock, .a = radius, .size = maximum(half - Vec3{radius, radius, radius}, {0, 0, 0})}, {turn, centre}, material);
}
void Builder::tube(const Vec3& a, const Vec3& b, float radius_a, float radius_b, int material) {
  const Vec3 way = b - a;
  const float size = length(way);
  const Mat3 turn = y_towards(way / size);
  // The local radius is 1 at a.
  if (radius_a >= radius_b) add({.kind = ShapeKind::kFrustum, .a = radius_b / radius_a}, {turn * scaling({radius_a, 0.5f * size, radius_a}), (a + b) * 0.5f}, material);
  else add({.kind = ShapeKind::kFrustum, .a = radius_a / radius_b}, {turn * scaling({radius_b, -0.5f * size, radius_b}), (a + b) * 0.5f}, material);
}
void Builder::limb(const Vec3& a, const Vec3& b, float radius, int material) {
  const Vec3 way = b - a;
  const float size = std::max(1e-4f, length(way));
  add({.kind = ShapeKind::kRoundedBlock, .a = radius, .size = {0, 0.5f * size, 0}}, {y_towards(way / size), (a + b) * 0.5f}, material);
}
void Builder::ring(const Vec3& centre, float radius, float thickness, int material, const Mat3& turn) {
  add({.kind = ShapeKind::kRing, .a = thickness / radius}, {turn * scaling({radius, radius, radius}), centre}, material);
}
void Builder::lathe_body(const Vec3& foot, float height, float radius, const std::array<float, 6>& radii, int material, const Mat3& turn) {
  // Local y runs from 0 to 1; scaling all axes by the height keeps distances true.
  std::array<float, 6> scaled = radii;
  for (float& r : scaled) r *= radius / height;
  add(lathe(scaled), {turn * scaling({height, height, height}), foot}, material);
}
void Builder::lump(const Vec3& centre, const Vec3& radii, float waves, float frequency, int material) {
  add({.kind = ShapeKind::kLump, .a = waves, .b = frequency, .c = dice.uniform(0, 6.28f)}, {scaling(radii), centre}, material);
}
void Builder::roof(const Vec3& centre, const Vec3& half, int material, const Mat3& turn) { add({.kind = ShapeKind::kPrism}, {turn * scaling(half), centre}, material); }

void build_thing(Builder& b, Kind kind, Hue hue, Hue second) {
  build_plant(b, kind, hue, second) || build_building(b, kind, hue, second) || build_vehicle(b, kind, hue, second) || build_animal(b, kind, hue, second) ||
      build_furniture(b, kind, hue, second) || build_table_thing(b, kind, hue, second);
}

Extent extent_of(Kind kind) {
  switch (kind) {
    case Kind::kHouse: return {4.6f, 3.0f};
    case Kind::kTower: return {7, 1.8f};
    case Kind::kLighthouse: return {9, 1.9f};
    case Kind::kWindmill: return {7, 2.4f};
    case Kind::kCastle: return {7.5f, 4.6f};
    case Kind::kTent: return {2, 1.7f};
    case Kind::kWell: return {2.2f, 1};
    case Kind::kFence: return {1, 2};
    case Kind::kBridge: return {1.6f, 3};
    case Kind::kTree: return {4.6f, 1.5f};
    case Kind::kPine: return {5.2f, 1.3f};
    case Kind::kPalm: return {5, 1.4f};
    case Kind::kBush: return {1.1f, 0.9f};
    case Kind::kCactus: return {2.2f, 0.7f};
    case Kind::kFlower: return {0.9f, 0.3f};
    case Kind::kMushroom: return {0.7f, 0.4f};
    case Kind::kRock: return {0.9f, 0.9f};
    case Kind::kCar: return {1.45f, 1.7f};
    case Kind::kBus: return {2.6f, 2.7f};
    case Kind::kTrain: return {2.3f, 3};
    case Kind::kBoat: return {3.4f, 1.6f};
    case Kind::kBalloon: return {6.4f, 2};
    case Kind::kAeroplane: return {1.4f, 2};
    case Kind::kCat: return {0.62f, 0.4f};
    case Kind::kDog: return {0.85f, 0.55f};
    case Kind::kBird: return {0.4f, 0.3f};
    case Kind::kSheep: return {1, 0.7f};
    case Kind::kCow: return {1.5f, 1.1f};
    case Kind::kDuck: return {0.5f, 0.35f};
    case Kind::kRabbit: return {0.62f, 0.3f};
    case Kind::kPenguin: return {0.85f, 0.35f};
    case Kind::kFish: return {0.35f, 0.4f};
    case Kind::kTable: return {0.75f, 0.9f};
    case Kind::kChair: return {0.95f, 0.35f};
    case Kind::kSofa: return {0.85f, 1.1f};
    case Kind::kBed: return {0.9f, 1.2f};
    case Kind::kLamp: return {1.6f, 0.3f};
    case Kind::kBookshelf: return {1.9f, 0.6f};
    case Kind::kPicture: return {0.7f, 0.5f};
    case Kind::kRug: return {0.02f, 1.3f};
    case Kind::kWindow: return {1.3f, 0.8f};
    case Kind::kDoor: return {2, 0.5f};
    case Kind::kPlant: return {1, 0.35f};
    case Kind::kApple: return {0.085f, 0.045f};
    case Kind::kOrange: return {0.085f, 0.045f};
    case Kind::kPear: return {0.115f, 0.042f};
    case Kind::kLemon: return {0.065f, 0.045f};
    case Kind::kBanana: return {0.06f, 0.09f};
    case Kind::kGrapes: return {0.09f, 0.08f};
    case Kind::kMelon: return {0.17f, 0.1f};
    case Kind::kMug: return {0.1f, 0.06f};
    case Kind::kBottle: return {0.3f, 0.045f};
    case Kind::kBowl: return {0.09f, 0.12f};
    case Kind::kVase: return {0.34f, 0.1f};
    case Kind::kTeapot: return {0.17f, 0.13f};
    case Kind::kCake: return {0.19f, 0.14f};
    case Kind::kCandle: return {0.2f, 0.05f};
    case Kind::kBook: return {0.05f, 0.13f};
    case Kind::kBall: return {0.7f, 0.35f};
    case Kind::kCube: return {0.6f, 0.42f};
    case Kind::kSnowman: return {1.7f, 0.6f};
    case Kind::kRobot: return {1.4f, 0.4f};
    case Kind::kUmbrella: return {2.2f, 1.2f};
    case Kind::kStreetLamp: return {3.6f, 0.3f};
    case Kind::kBench: return {0.85f, 0.8f};
    case Kind::kPerson: return {1.6f, 0.4f};
    case Kind::kBear: return {1.5f, 0.5f};
    case Kind::kFox: return {1.3f, 0.4f};
    default: return {1, 0.5f};
  }
}

}  // namespace attelier::world
