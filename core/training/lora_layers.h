// The trainable part of a LoRA: down and up matrices beside the frozen layers of a model, and the file that they become.
#pragma once

#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "core/weights/lora.h"
#include "core/weights/lora_names.h"

namespace attelier {

/// Two parameters a layer, "unet.down_blocks.0....to_q.down" [r, in(, k, k)] and ".up" [out, r(, 1, 1)], as Hu et al. 2021: y = W x + alpha / r up(down(x)).
class LoraLayers : public nn::Module {
 public:
  /// Layers of `targets` whose path ends in one of `endings` ("to_q", "to_out.0", "ff.net.2"), as PEFT's target_modules.
  LoraLayers(const std::vector<LoraTarget>& targets, const std::vector<std::string>& endings, int64_t rank, double alpha);
  ~LoraLayers() override;

  size_t size() const { return entries_.size(); }
  /// Down uniform with bound 1/sqrt(fan in), up zero: at first the model is what it was.
  void initialise_layers(at::Generator generator, at::Device device);
  /// Puts the matrices beside the layers, until this object ends. Call it once they have their storage; changes of their values are seen at once.
  void attach();

  /// float16; alpha float32, since half precision has no 0.1. Names as kohya's scripts (lora_unet_..., with alpha) or as diffusers and PEFT write them
  /// (unet....lora_A.weight, alpha in the metadata); core/weights/lora.h reads both.
  enum class Naming { kKohya, kDiffusers };
  void write(const std::filesystem::path& file, Naming naming) const;

 private:
  struct Entry {
    std::string component, path;
    LoraPlace place;
    nn::Parameter down, up;
    bool attached = false;
  };
  std::deque<Entry> entries_;
  int64_t rank_;
  double alpha_;
};

/// The endings that no layer of `targets` has.
std::vector<std::string> unmatched_endings(const std::vector<LoraTarget>& targets, const std::vector<std::string>& endings);

}  // namespace attelier
