// What a piece of work runs with: nothing is global. Passed by reference through pipelines, models and training.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace attelier {

/// One report of progress: `done` of `total` units of `stage` ("inversion", "sampling", "decode"); total 0 = unknown.
struct Progress {
  std::string_view stage;
  int64_t done = 0;
  int64_t total = 0;
};

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Carries device, dtype, stop token, progress, preview and log of one job. Callbacks may be empty; they are called from the working thread.
struct Context {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  std::stop_token stop;
  std::function<void(const Progress&)> progress;
  /// Step index and a rough picture of the current estimate, f32 [B, 3, h, w] in [0, 1], small (the latent's size).
  std::function<void(int64_t step, const at::Tensor& picture)> preview;
  std::function<void(LogLevel, const std::string&)> log;

  at::TensorOptions options() const { return at::TensorOptions().device(device).dtype(dtype); }
  void report(std::string_view stage, int64_t done, int64_t total) const {
    if (progress) progress({stage, done, total});
  }
  template <typename... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) const {
    if (log) log(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  void warn(fmt::format_string<Args...> format, Args&&... args) const {
    if (log) log(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
  }
  /// Throws Interrupted once a stop was requested. Long work calls it at least ten times a second.
  void check_stop() const {
    if (stop.stop_requested()) throw Interrupted();
  }
};

/// A CPU generator that draws the same numbers as torch.Generator().manual_seed(seed), bit for bit.
at::Generator make_generator(uint64_t seed);

}  // namespace attelier
