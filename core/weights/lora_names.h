// Which layer of a model a LoRA's key means.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/nn/layers.h"
#include "core/weights/lora.h"

namespace attelier {

/// A layer that a LoRA can change: one of the two is set.
struct LoraPlace {
  nn::Linear* linear = nullptr;
  nn::Conv2d* convolution = nullptr;
  nn::Parameter& weight() const { return linear != nullptr ? linear->weight : convolution->weight; }
  std::vector<nn::LowRank>& low_rank() const { return linear != nullptr ? linear->low_rank : convolution->low_rank; }
  explicit operator bool() const { return linear != nullptr || convolution != nullptr; }
};

/// kohya writes paths with underscores for dots, which cannot be read backwards. So every path of the model, in diffusers' spelling and (UNets) in the
/// authors', is written with underscores, and keys of all dialects are looked up in that form.
class LoraNames {
 public:
  explicit LoraNames(const std::vector<LoraTarget>& targets);
  /// An empty place if no target has the layer.
  LoraPlace find(const std::string& key) const;

 private:
  LoraPlace find_in(const std::string& component, std::string_view path) const;
  std::map<std::string, std::map<std::string, LoraPlace, std::less<>>> components_;
};

}  // namespace attelier
