// The files of one training run.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "core/base/file_lock.h"
#include "core/training/loss_curve.h"
#include "core/training/training_run.h"

namespace attelier {

/// Creates the run's folder, and keeps every other process from training or exporting there until the lock ends. Throws Error(kBadInput).
FileLock lock_run(const std::filesystem::path& folder);

/// Every function but the constructor needs the folder's lock.
class Journal {
 public:
  /// `config` as it was checked; kept in the checkpoint.
  Journal(std::filesystem::path folder, Json config);

  std::filesystem::path state_path() const { return folder_ / "state.safetensors"; }
  std::filesystem::path model_path() const { return folder_ / "model"; }

  /// Takes away what a killed run left half written.
  void remove_leftovers() const;
  /// Throws Error(kBadInput) when the folder cannot be written or lacks the room for a checkpoint (twice: a new one lies beside the old one until it is
  /// whole) and the model.
  void open(const Optimizer& optimizer) const;
  /// Takes away the checkpoint and the sheets of an earlier run: whoever goes on must not go on with that one.
  void discard_earlier_run() const;
  /// Restores the last checkpoint and returns the step that comes next. `context` hears of values that the configuration has changed since.
  int64_t resume(Optimizer& optimizer, const Context& context);

  void record(int64_t step, double loss);
  /// The loss, smoothed over some fifty steps.
  double smooth_loss() const { return smooth_; }

  /// The loss curve and then the state, each whole or not at all. Throws Error(kNumerical), leaving the last state, if a weight is not finite.
  void save(int64_t step, const Optimizer& optimizer) const;
  void show(const at::Tensor& sheet, int64_t step, const std::vector<Metric>& metrics) const;
  /// Replaces the model by what `write` puts into the folder that it is given, as a whole or not at all. The configuration comes with it, as
  /// training/OBJECTIVE.json: it says which pictures the model learnt from.
  void write_model(const std::function<void(const std::filesystem::path& folder)>& write) const;

 private:
  std::filesystem::path folder_;
  Json config_;
  std::vector<LossPoint> curve_;
  double smooth_ = 0;
  bool any_ = false;
};

}  // namespace attelier
