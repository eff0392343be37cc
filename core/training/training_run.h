// The training loop: objective, optimiser, checkpoints, loss curve and sheets. A killed run resumes from its last checkpoint.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/context.h"
#include "core/base/parameters.h"
#include "core/nn/module.h"
#include "core/training/optimizer.h"

namespace attelier {

/// One figure of a validation ("psnr astronaut", 24.1).
struct Metric {
  std::string name;
  double value = 0;
};

/// What is trained: modules, a loss for each step, and what to show and to keep.
class Objective {
 public:
  virtual ~Objective() = default;
  virtual nn::Module& module() = 0;
  /// Draws the first weights.
  virtual void initialise(at::Generator generator) { module().initialise(generator); }
  /// Prepares the pictures as they stand at `step` (0 or where a run resumes).
  virtual void prepare(int64_t step, const Context& context) = 0;
  /// The loss of one micro-batch, a scalar with a graph. Random numbers depend on (seed, step, micro) alone.
  virtual at::Tensor loss(int64_t step, int64_t micro, const Context& context) = 0;
  virtual void end_step() {}
  /// Figures on pictures that training never sees.
  virtual std::vector<Metric> validate(const Context& context) = 0;
  /// Pictures to look at, [3, H, W] in [0, 1].
  virtual at::Tensor sheet(const Context& context) = 0;
  /// Writes the model (float16, diffusers layout) into `folder`. Called with the averaged weights in place.
  virtual void export_model(const std::filesystem::path& folder, const Context& context) = 0;
};

/// Builds the objective of a configuration by its "objective": "vae" or "text_to_image". Errors name the JSON pointer.
std::unique_ptr<Objective> make_objective(const Json& config, const std::filesystem::path& base_folder);

struct TrainingResult {
  int64_t steps = 0;
  double loss = 0;
  std::vector<Metric> metrics;
};

/// Runs CONFIG to its last step. Under config "output" (relative to the configuration's folder) it keeps state.safetensors, losses.csv, losses.png,
/// sheet.png and model/. A loss or gradient that is not finite stops with Error(kNumerical), the last good checkpoint stays.
/// On a stop request the state is written and Interrupted is thrown. With `export_only` nothing is trained: model/ and the figures are made from the state.
TrainingResult train(const std::filesystem::path& config_path, bool resume, bool export_only, const Context& context);

}  // namespace attelier
