// The training loop: objective, optimiser, checkpoints, loss curve and sheets. A killed run resumes from its last checkpoint.
#pragma once

#include <filesystem>
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

/// What is trained: modules, a loss for each step, and what to show and to keep. objectives.h lists the kinds.
class Objective {
 public:
  virtual ~Objective() = default;
  virtual nn::Module& module() = 0;
  /// Gives module() its first weights, float32 on `device`. Their storage stays the same from here on.
  virtual void initialise(at::Generator generator, at::Device device);
  /// Prepares the pictures as they stand at `step` (0 or where a run resumes).
  virtual void prepare(int64_t step, const Context& context) = 0;
  /// The loss of one micro-batch, a scalar with a graph. Random numbers depend on (seed, step, micro) alone.
  virtual at::Tensor loss(int64_t step, int64_t micro, const Context& context) = 0;
  virtual void end_step() {}
  /// A step has failed: waits for whatever runs beside it.
  virtual void abandon_step() {}
  /// Figures on pictures that training never sees.
  virtual std::vector<Metric> validate(const Context& context) = 0;
  /// Pictures to look at, [3, H, W] in [0, 1]; undefined where there are none.
  virtual at::Tensor sheet(const Context& context) = 0;
  /// Writes the model (float16, the layout that core/weights reads) into `folder`, which is empty. Called with the averaged weights in place.
  virtual void export_model(const std::filesystem::path& folder, const Context& context) = 0;
};

/// Thrown on a stop request when the state for --resume is on the disk.
class StateSaved : public Interrupted {};

struct TrainingOptions {
  bool resume = false;       // go on from the last checkpoint
  bool restart = false;      // begin again although there is one
  bool export_only = false;  // train nothing: model/, sheet and figures from the last checkpoint
};

struct TrainingResult {
  int64_t steps = 0;
  double loss = 0;
  std::vector<Metric> metrics;
};

/// Runs CONFIG to its last step. Everything wrong with the configuration is reported together, before any work. Under config "output" (relative to the
/// configuration's folder) it keeps state.safetensors, losses.csv, losses.png, sheet.png, sheets/, figures.json, model/ (always a whole one, with
/// the configuration as model/training/OBJECTIVE.json) and lock: a second process that wants to train there is refused.
/// A checkpoint that finds the disk full leaves the last one whole and is tried again; at the end it is an error. A loss, gradient or weight that is not
/// finite stops with Error(kNumerical) and the last good checkpoint. On a stop request the state is written and StateSaved is thrown, during the export
/// too (Interrupted before the first step of a new run). --restart takes the old checkpoint away before the first step.
/// Killed at any moment and resumed, a run ends with the same weights, bit for bit, on the same machine with as many threads.
TrainingResult train(const std::filesystem::path& config_path, const TrainingOptions& options, const Context& context);

}  // namespace attelier
