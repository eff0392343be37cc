// A picture's way into noise, and the features its latents have on the way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/diffusion/diffusion_model.h"
#include "pipelines/style/style_program.h"
#include "pipelines/style/style_schedule.h"

namespace attelier {

/// What every UNet call of a run shares.
struct StyleRun {
  DiffusionModel& model;
  const StyleSchedule& schedule;
  const at::Tensor& embeds;  // [1, S, C]
  const Context& context;

  /// The prediction f32 [1, C, h, w] for a latent at inversion step k.
  at::Tensor predict(int64_t k, int64_t step, const at::Tensor& latent, AttentionProgram* program, Row row) const;
};

/// One inverted picture. Features are a function of latent and timestep alone, so those that do not fit in memory are computed again from the
/// trajectory, bit for bit the same.
class Inversion {
 public:
  Inversion(FeatureRecorder::Kind kind, std::vector<int64_t> decoder_blocks) : recorder_(kind, std::move(decoder_blocks)), subject_(kind == FeatureRecorder::Kind::kStyle) {}

  /// Inverts `latent` f32 [1, C, h, w]; features are kept for steps below `kept_steps` while they stay below `budget` bytes. `stage` names the progress.
  void run(const StyleRun& run, const at::Tensor& latent, int64_t kept_steps, uint64_t budget, const std::string& stage);
  /// Takes over a stored trajectory.
  void adopt(const at::Tensor& latents) { latents_ = latents; }

  /// [steps + 1, C, h, w] float32: row k enters inversion step k.
  const at::Tensor& latents() const { return latents_; }
  at::Tensor end() const { return latents_.slice(0, latents_.size(0) - 1); }
  /// The features of step k; a kept one is handed out once.
  StepFeatures features(const StyleRun& run, int64_t k, int64_t step);

 private:
  FeatureRecorder recorder_;
  int64_t subject_;
  at::Tensor latents_;
  std::vector<StepFeatures> features_;  // by step, empty = not kept
};

}  // namespace attelier
