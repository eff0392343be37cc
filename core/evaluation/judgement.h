// What a judge says of pictures, as labels, and whether that agrees with what was asked for.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/models/judge.h"
#include "core/scenes/labelled_scene.h"

namespace attelier {

/// FOLDER/config.json and FOLDER/model.safetensors, in float32 on the CPU. Throws Error(kModel).
std::unique_ptr<Judge> load_judge(const std::filesystem::path& folder);

/// A judge of a world's words, untrained.
JudgeConfig judge_config(WorldName world);

/// The judge's opinion of one picture.
struct Judgement {
  SceneLabels labels;                            // counts, hues and places of kinds that are there, attributes: never unknown but for absent kinds
  std::vector<std::vector<double>> attributes;   // probability of every value of every attribute
  at::Tensor depth;                              // [h, w], see JudgeOutputs; undefined without it
};

/// Pictures f32 [B, 3, H, W] in [0, 1], square, at least the judge's size: reduced to it by averaging areas.
std::vector<Judgement> judge_pictures(const Judge& judge, const at::Tensor& pictures);

/// What the judge's network gets for such pictures: f32 [B, 3, S, S] in [-1, 1].
at::Tensor judge_input(const Judge& judge, const at::Tensor& pictures);

/// One attribute of a caption: asked for and found, or not. Absent where the caption does not ask.
struct Verdict {
  std::string attribute;
  bool right = false;
};
/// "objects": every named kind is there. "colour": so it is, in its hue. "count": as many of every kind as the caption says, and none of those that it
/// denies. "relation": of two named kinds the right one is on the left. Then each scene attribute that the caption names ("place" ...), and "everything".
std::vector<Verdict> compare_labels(const SceneLabels& claims, const SceneLabels& judged, const WorldWords& words);

}  // namespace attelier
