// A scene as data: objects made of parts, joints that move them, ground, water, sky and lights. Nothing here depends on a picture's size.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/scenes/world/kinds.h"
#include "core/scenes/world/material.h"
#include "core/scenes/world/shape.h"
#include "core/scenes/world/terrain.h"

namespace attelier::world {

/// How a joint moves with time t in seconds, s = sin(2 pi (frequency t + phase)).
enum class MotionKind : unsigned char {
  kNone,
  kSwing,   // turn by amplitude * s radians about the axis through the pivot
  kSpin,    // turn by 2 pi frequency t about the axis through the pivot
  kSway,    // shear along the axis, growing with the height above the pivot: deformation
  kSquash,  // stretch by 1 + amplitude * s along y from the pivot, the volume kept: deformation
  kBob,     // shift by amplitude * s along the axis
  kBounce,  // shift by amplitude * |s| along the axis
  kTravel,  // shift by amplitude * t along the axis
  kFall,    // shift by amplitude * (t frequency + phase), wrapped to one period, against the axis
};

struct Motion {
  MotionKind kind = MotionKind::kNone;
  Vec3 pivot{}, axis{0, 1, 0};
  float amplitude = 0, frequency = 0, phase = 0;
};

/// space(t) = space(parent) * placement * motion(t). A root's placement puts the object into the world; other joints' is the identity, so that at rest
/// every joint of an object shares the object's space.
struct Joint {
  int parent = -1;
  Affine placement{};
  Motion motion{};
};

/// One solid. `rest` takes its local space to the object's, which is also the space of its material.
struct Part {
  Shape shape;
  Affine rest{};
  int joint = 0, material = 0;
  int object = -1;  // -1: belongs to the surroundings
  Kind kind = Kind::kGround;
};

/// One instance, as masks, captions and questions know it. Instance masks hold index + 1.
struct Object {
  Kind kind = Kind::kHouse;
  Hue hue = Hue::kRed;
  std::string name{};         // of a character, else empty
  std::string description{};  // of a character: "with a red scarf and a blue hat"
  Vec3 position{};          // of its foot, at rest
  float yaw = 0, size = 1;  // size: height in metres, about
  int support = -1;         // the object that it stands on
  int character = -1;       // number of the identity
};

struct Sky {
  Colour zenith{0.18f, 0.36f, 0.75f}, horizon{0.62f, 0.75f, 0.9f}, glow{1, 0.8f, 0.5f};
  Colour cloud_light{1, 1, 1}, cloud_dark{0.55f, 0.6f, 0.7f};
  float clouds = 0.4f;  // share of the sky
  float stars = 0;      // 0 none to 1
  bool moon = false;
  uint32_t seed = 0;
};

struct Lamp {
  Vec3 position;
  Colour colour;
  float reach = 3;  // metres after which the light has fallen to a half
  bool shadows = false;
};

struct Light {
  Vec3 sun{0.5f, 0.7f, 0.5f};  // unit vector towards it (or the moon)
  Colour sun_colour{2.6f, 2.4f, 2.1f};
  float sun_radius = 0.02f;    // radians: penumbras of the documentation setting
  Colour above{0.6f, 0.75f, 1}, below{0.3f, 0.28f, 0.22f};  // ambient light from above and below
  std::vector<Lamp> lamps;
  Colour fog{0.7f, 0.78f, 0.88f};
  float fog_density = 0.004f;  // per metre
  float exposure = 1;
};

/// Which material the ground has where.
struct GroundLook {
  Material low, steep, high;        // by default; on slopes; above `high_from` metres
  float steep_from = 0.7f, high_from = 1e9f;
  Material path;                    // a winding path, where path_width > 0 metres
  float path_width = 0, path_bend = 0, path_phase = 0, path_offset = 0;
  Material shore;                   // within `shore_height` metres above the water
  float shore_height = 0;
};

/// Where a picture of the scene is best taken from.
struct Viewpoint {
  Vec3 eye{0, 1.6f, 8}, target{0, 1, 0};
  float field_of_view = 0.8f;  // of the width, radians
};

struct Scene {
  uint64_t seed = 0;
  Place place = Place::kMeadow;
  Daytime daytime = Daytime::kNoon;
  Weather weather = Weather::kClear;
  std::vector<Object> objects;
  std::vector<Part> parts;
  std::vector<Joint> joints;
  std::vector<Material> materials;
  std::shared_ptr<const Terrain> terrain;  // may be null: indoors
  GroundLook ground;
  float water_level = -1e9f;
  Colour water_deep{0.02f, 0.12f, 0.18f}, water_shallow{0.12f, 0.42f, 0.42f};
  Sky sky;
  Light light;
  Viewpoint view;

  bool has_water() const { return water_level > -1e8f; }
  float ground_height(float x, float z) const { return terrain && terrain->exists() ? terrain->height(x, z) : 0; }
};

}  // namespace attelier::world
