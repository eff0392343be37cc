// How fast one part of a model runs here, and how much memory it takes.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/session/operator_profile.h"
#include "core/base/context.h"

namespace attelier {

struct BenchSettings {
  std::string what = "unet";  // unet, vae (decoder), text, backbone or upscaler
  int64_t height = 0, width = 0;  // pixels, 0 = the model's own
  int64_t batch = 1, threads = 0, repeat = 3, warmup = 1;
  bool tiling = false, with_baseline = false, with_profile = false;
  bool with_program = false;  // with an attention program that answers nothing; the baseline is the same without one, run by turns
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
};

struct BenchTimes {
  std::vector<double> seconds;            // on the clock
  std::vector<double> processor_seconds;  // of all threads, waiting included: steadier on a busy machine, best on one thread
  int64_t peak_bytes = 0;  // of the process since the model was ready
  double median() const;
  double processor_median() const;
  double fastest() const;
  double slowest() const;
};

struct BenchResult {
  BenchSettings settings;
  std::string model;
  BenchTimes ours;
  std::optional<BenchTimes> baseline;  // the same layers on libtorch's own operators, or without a program
  std::vector<OperatorTime> profile;   // of one more run, where asked for
  double multiply_adds = 0;            // of one picture (Backbone::multiply_adds); 0 = not counted
  nlohmann::json to_json() const;
};

/// `random`: `path` is a folder with config.json, or with unet/, vae/, text_encoder/ or backbone/config.json, and the weights are drawn; else a model.
/// Throws Error; reports progress and can be stopped between and inside runs.
BenchResult bench_model(const std::filesystem::path& path, bool random, const BenchSettings& settings, const Context& context);

}  // namespace attelier
