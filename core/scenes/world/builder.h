// How things are put together: solids with materials, in the space of the object under construction.
#pragma once

#include <initializer_list>
#include <utility>

#include "core/scenes/world/dice.h"
#include "core/scenes/world/functions.h"
#include "core/scenes/world/scene.h"

namespace attelier::world {

/// Linear colour from display values.
inline Colour shown(float red, float green, float blue) { return linear_from_display(Colour{red, green, blue}); }

class Builder {
 public:
  Builder(Scene& scene, Dice dice) : dice(dice), scene_(scene) {}

  /// A new object; what is built next belongs to it. Its space has the foot at the origin, y up, its front towards +z.
  int begin(Kind kind, Hue hue, const Vec3& position, float yaw, float scale);
  /// Back to the surroundings: parts in world space, of class `kind`, in no object. `position`, `yaw` and `scale` place what comes.
  void surroundings(Kind kind, const Vec3& position = {}, float yaw = 0, float scale = 1);
  /// Motion of the whole object, composed after those that were added before. In world axes for an object of yaw 0.
  void move(const Motion& motion);
  /// What is built until the next `steady()` hangs on a joint of its own, itself on the present one.
  void hinge(const Motion& motion);
  void steady() { joint_ = root_; }
  /// What is built next belongs to this class instead of the object's (for surroundings).
  void set_kind(Kind kind) { kind_ = kind; }

  int material(const Material& material);
  int plain(const Colour& colour, float gloss = 0);
  int patterned(Pattern pattern, const Colour& base, const Colour& second, float scale, float bump = 0, float gloss = 0);
  int glowing(const Colour& colour, float emission);

  void ball(const Vec3& centre, const Vec3& radii, int material, const Mat3& turn = {});
  void block(const Vec3& centre, const Vec3& half, int material, const Mat3& turn = {});
  void rounded(const Vec3& centre, const Vec3& half, float radius, int material, const Mat3& turn = {});
  /// From a to b with the radii there.
  void tube(const Vec3& a, const Vec3& b, float radius_a, float radius_b, int material);
  /// The same with round ends and one radius.
  void limb(const Vec3& a, const Vec3& b, float radius, int material);
  /// About the y axis before the turn.
  void ring(const Vec3& centre, float radius, float thickness, int material, const Mat3& turn = {});
  void lathe_body(const Vec3& foot, float height, float radius, const std::array<float, 6>& radii, int material, const Mat3& turn = {});
  void lump(const Vec3& centre, const Vec3& radii, float waves, float frequency, int material);
  /// A roof: ridge along z, half sides (x: half width, y: half height, z: half length).
  void roof(const Vec3& centre, const Vec3& half, int material, const Mat3& turn = {});

  Scene& scene() { return scene_; }
  Object& object() { return scene_.objects[static_cast<size_t>(object_)]; }

  Dice dice;

 private:
  void add(Shape shape, const Affine& rest, int material);

  Scene& scene_;
  int object_ = -1, root_ = -1, joint_ = -1;
  Kind kind_ = Kind::kGround;
};

/// Builds the inside of an object of any kind but characters at the builder's present place. `second` is a colour for details.
void build_thing(Builder& builder, Kind kind, Hue hue, Hue second);

/// Height of the kind as built at scale 1, in metres, and the radius of the disc that it stands on.
struct Extent {
  float height, radius;
};
Extent extent_of(Kind kind);

/// The families, one file each; false if the kind is not of the family.
bool build_plant(Builder& b, Kind kind, Hue hue, Hue second);
bool build_building(Builder& b, Kind kind, Hue hue, Hue second);
bool build_vehicle(Builder& b, Kind kind, Hue hue, Hue second);
bool build_animal(Builder& b, Kind kind, Hue hue, Hue second);
bool build_furniture(Builder& b, Kind kind, Hue hue, Hue second);
bool build_table_thing(Builder& b, Kind kind, Hue hue, Hue second);

}  // namespace attelier::world
