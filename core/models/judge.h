// A small convolutional network that says what a picture of a drawn world shows: how many things of each kind, their colours and places, where and when
// the scene is, and in which style. Trained on the world's truth, apart from every model that it judges.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/nn/module.h"

namespace attelier {

/// config.json of a judge: the words that its outputs stand for, and its sizes. Errors name the key and the value (Error(kModel)).
struct JudgeConfig {
  struct Attribute {
    std::string name;
    std::vector<std::string> values;
  };
  std::string world;                       // whose pictures it learnt from
  std::vector<std::string> kinds, hues;
  std::vector<Attribute> attributes;       // place, daytime, style ...
  int64_t counts = 4;                      // 0, 1, ... counts - 1 or more
  int64_t picture_size = 128;
  std::vector<int64_t> widths = {24, 48, 96, 128};  // at 1/2, 1/4, 1/8 and 1/16 of the picture, multiples of 8
  bool depth = false;

  static JudgeConfig from_json(const nlohmann::json& config);
  nlohmann::json to_json() const;
};

/// Logits. K kinds, H hues, V values of attribute a.
struct JudgeOutputs {
  at::Tensor counts;                   // [B, K, counts]
  at::Tensor hues;                     // [B, K, H], given that the kind is there
  at::Tensor x;                        // [B, K], in widths of the picture, given that exactly one is there
  std::vector<at::Tensor> attributes;  // [B, V] each
  at::Tensor depth;                    // [B, S/8, S/8]: log depth up to a shift and a scale of the picture; undefined without it
};

class Judge : public nn::Module {
 public:
  explicit Judge(const JudgeConfig& config);
  ~Judge() override;
  /// x [B, 3, S, S] in [-1, 1], S = picture_size or another multiple of 16. Differentiable.
  JudgeOutputs forward(const at::Tensor& x) const;
  const JudgeConfig& config() const { return config_; }
  /// Where its weights are.
  at::Device device() const;

 private:
  struct Layers;
  JudgeConfig config_;
  std::unique_ptr<Layers> layers_;
};

}  // namespace attelier
