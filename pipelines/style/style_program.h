// The attention program of StyleID: keys and values from the style, queries mixed with the content's (Chung, Hyun, Heo, CVPR 2024, section 3.2).
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/attention/program.h"

namespace attelier {

/// What one self-attention had in one pass over one picture, [1, H, L, D].
struct SiteFeatures {
  at::Tensor q, k, v;
};
/// By module path.
using StepFeatures = std::map<std::string, SiteFeatures>;

/// True for the self-attentions of these decoder blocks.
bool is_injected(const AttentionSite& site, const std::vector<int64_t>& decoder_blocks);

/// Keeps the features of the chosen blocks and changes nothing: the content's queries or a style's keys and values.
class FeatureRecorder : public AttentionProgram {
 public:
  enum class Kind { kContent, kStyle };
  FeatureRecorder(Kind kind, std::vector<int64_t> decoder_blocks) : kind_(kind), blocks_(std::move(decoder_blocks)) {}
  std::optional<kernels::AttentionControl> control(const AttentionCall& call) override;
  /// The features since the last take.
  StepFeatures take() { return std::exchange(features_, {}); }

 private:
  Kind kind_;
  std::vector<int64_t> blocks_;
  StepFeatures features_;
};

/// How the styles share the picture.
struct StyleMix {
  std::vector<double> weights;    // one per style, positive
  std::vector<at::Tensor> masks;  // per style f32 [h, w] in [0, 1] on the latent grid; empty = everywhere
  bool blend = false;             // one softmax per style, outputs mixed, instead of one over all their tokens; always with masks
};

/// Strength of the injection. `block_gammas` and `block_temperatures` hold one number per entry of `decoder_blocks`, or none: `gamma`, `temperature` for all.
struct StyleStrength {
  double gamma = 0.75, temperature = 1.5;
  std::vector<int64_t> decoder_blocks;
  std::vector<double> block_gammas, block_temperatures = {};
};

/// q^ = gamma Qc + (1 - gamma) q, logits x temperature, K and V of the styles. Where no mask reaches, the picture's own keys, values and queries stay.
class StyleInjection : public AttentionProgram {
 public:
  StyleInjection(StyleStrength strength, StyleMix mix) : strength_(std::move(strength)), mix_(std::move(mix)) {}
  /// The features of the coming pass; they must outlive it. One entry of `styles` per weight.
  void use(const StepFeatures& content, std::vector<const StepFeatures*> styles);
  std::optional<kernels::AttentionControl> control(const AttentionCall& call) override;
  /// Number of calls that were changed so far.
  int64_t injections() const { return injections_; }

 private:
  /// Where masks reach, [1, L] in [0, 1], and each style's share there; the shares and 1 - covered sum to 1.
  struct Maps {
    at::Tensor covered;
    std::vector<at::Tensor> shares;
  };
  const Maps& maps(int64_t height, int64_t width, at::Device device);
  /// A block's own number, or the one for all.
  double of_block(const std::vector<double>& numbers, double all, const AttentionSite& site) const;

  StyleStrength strength_;
  StyleMix mix_;
  const StepFeatures* content_ = nullptr;
  std::vector<const StepFeatures*> styles_;
  std::map<std::pair<int64_t, int64_t>, Maps> maps_;
  int64_t injections_ = 0;
};

}  // namespace attelier
