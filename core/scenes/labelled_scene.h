// Scenes of either world with everything that can be asked about them: what a judge learns from, and what methods are measured on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attelier {

/// kSmall: the flat world of small_world.h, a stage with cut-outs. kFull: the 3D world of core/scenes/world.
enum class WorldName { kSmall, kFull };
std::string_view name_of(WorldName world);  // "small", "full"
std::optional<WorldName> world_of(std::string_view name);

/// Something that a picture has one of: "place", "daytime", "weather" (full world only), "style".
struct SceneAttribute {
  std::string name;
  std::vector<std::string> values;
};

/// The words of a world; labels are indices into them.
struct WorldWords {
  std::vector<std::string> kinds, hues;
  std::vector<SceneAttribute> attributes;

  /// Index of an attribute, of a value in it; -1 if there is none.
  int64_t attribute(std::string_view name) const;
  int64_t value(std::string_view attribute_name, std::string_view name) const;
};
const WorldWords& words_of(WorldName world);

inline constexpr int64_t kMostCounted = 3;  // three stands for more, too
/// What is true of a picture, or what a caption says. -1 = unknown, not said, or not the same for all of a kind.
struct SceneLabels {
  std::vector<int64_t> count;       // per kind, 0 to kMostCounted
  std::vector<int64_t> hue;         // per kind; unknown in a picture without colours
  std::vector<float> x;             // per kind: centre in widths of the picture, where there is exactly one
  std::vector<int64_t> attributes;  // per attribute
};

struct LabelledScene {
  int64_t size = 0;
  std::vector<float> rgb;    // size x size x 3, [0, 1]
  std::vector<float> edges;  // size x size: 1 on the outlines of things and their folds, else 0; of the small world the contrast of its plain drawing
  std::vector<float> depth;  // size x size in metres, 0 = sky
  std::vector<uint16_t> things;  // size x size: 0 surroundings, else 1 + the thing's number
  SceneLabels labels;        // what can be seen
  SceneLabels claims;        // what the caption says
  std::string caption;
};

struct LabelledSceneOptions {
  int64_t size = 256;
  std::optional<int64_t> style = std::nullopt;  // index of the attribute "style"; absent = the world's own choice
  bool independent = false;      // small world: independent_scene, for judges
  uint64_t detail = 0;           // another number: the same scene by another hand (small world: other clouds, textures and light, too)
  bool edges = true;             // false: none are made, which saves time
};

/// The scene of a seed; with another style it is the same scene, repainted. The same seed gives the same bits everywhere.
LabelledScene draw_labelled(WorldName world, uint64_t seed, const LabelledSceneOptions& options);

}  // namespace attelier
