// The small world that the shipped models know: houses, trees, boats, animals and weather, drawn in several styles, with a caption that says what is there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attelier {

enum class Place { kMeadow, kSea, kMountains, kDesert, kSnow, kForest };
enum class Daytime { kUnnamed, kDay, kSunset, kNight };
enum class Style { kPlain, kWatercolour, kOilPainting, kPencil, kPoster, kMosaic };
enum class Thing { kHouse, kTree, kPine, kBoat, kBall, kCat, kBird, kFlower, kLighthouse, kCar, kBalloon, kMushroom };
enum class Hue { kRed, kOrange, kYellow, kGreen, kBlue, kPurple, kPink, kWhite, kBlack, kBrown };

/// One thing and where it stands.
struct SceneObject {
  Thing thing = Thing::kHouse;
  Hue hue = Hue::kRed;
  double x = 0.5;     // centre, in widths of the picture
  double size = 0.4;  // height, in heights of the picture
};

/// A place, a time of day, a style and one or two things, the first to the left of the second.
struct SceneDescription {
  Place place = Place::kMeadow;
  Daytime daytime = Daytime::kUnnamed;
  Style style = Style::kPlain;
  std::vector<SceneObject> objects;
};

inline constexpr int kThingCount = 12, kHueCount = 10, kPlaceCount = 6, kDaytimeCount = 4, kStyleCount = 6;
std::string_view name_of(Thing thing);
std::string_view name_of(Hue hue);
/// "meadow", "day", "oil painting"; kUnnamed and kPlain are "unnamed" and "plain".
std::string_view name_of(Place place);
std::string_view name_of(Daytime daytime);
std::string_view name_of(Style style);

/// A scene; the same seed gives the same scene everywhere.
SceneDescription random_scene(uint64_t seed);

/// A scene whose parts do not depend on each other: none to three things, also twice the same, in any hue at any place. What a judge learns from, so
/// that it cannot guess one attribute from another.
SceneDescription independent_scene(uint64_t seed);

/// One of several wordings of the scene ("a red house by the sea at sunset"), lower case.
std::string caption(const SceneDescription& scene, uint64_t wording_seed);

/// What is behind the picture, size x size each, row major. The scene is a stage: a level ground seen from eye height, and things that stand on it or fly
/// above it like cut-outs, each at one distance.
struct StageMaps {
  std::vector<float> depth;      // metres, 0 = sky
  std::vector<uint16_t> things;  // 0 surroundings, else 1 + index in the scene's objects
};

/// Draws the scene into `rgb` (size x size x 3, row major, values in [0, 1]). `detail_seed` varies horizon, light, clouds, textures and strokes. The truth
/// goes to `maps` where they are given; styles do not change it.
void draw_scene(const SceneDescription& scene, uint64_t detail_seed, int64_t size, float* rgb, StageMaps* maps = nullptr);

/// Captions of `count` random scenes: what a vocabulary is learnt from.
std::vector<std::string> caption_sample(int64_t count);

}  // namespace attelier
