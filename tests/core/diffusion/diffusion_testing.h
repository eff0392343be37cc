// What the scheduler tests share: the cases and tensors that tests/parity/scheduler_fixtures.py wrote, and checks of error messages.
#pragma once

#include <ATen/Version.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <limits>
#include <string>

#include "core/base/error.h"
#include "core/diffusion/scheduler.h"
#include "core/weights/tensor_file.h"
#include "tests/testing/errors.h"

namespace attelier {

using Json = nlohmann::json;

struct SchedulerFixtures {
  Json configs, cases;
  std::map<std::string, at::Tensor> tensors;

  const at::Tensor& tensor(const std::string& name) const { return tensors.at(name); }
  std::unique_ptr<Scheduler> scheduler(const Json& item) const {
    return make_scheduler(configs.at(item.at("config").get<std::string>()), item.at("class_name"), item.at("options"));
  }
};

inline const SchedulerFixtures& fixtures() {
  static const SchedulerFixtures loaded = [] {
    const std::filesystem::path folder = std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/diffusion";
    std::ifstream file(folder / "cases.json");
    const Json json = Json::parse(file);
    return SchedulerFixtures{json.at("configs"), json.at("cases"), read_all(*open_tensors(folder / "schedulers.safetensors"))};
  }();
  return loaded;
}

/// The config that Stable Diffusion 1.5 ships.
inline const Json& sd_config() { return fixtures().configs.at("sd"); }

inline at::Tensor as_tensor(const std::vector<double>& values) { return at::tensor(values).to(at::kFloat); }

/// The largest difference over the largest value; 0 means equal bits.
inline double relative_difference(const at::Tensor& actual, const at::Tensor& expected) {
  if (actual.sizes() != expected.sizes() || actual.scalar_type() != expected.scalar_type()) return std::numeric_limits<double>::infinity();
  const at::Tensor a = actual.to(at::kDouble), e = expected.to(at::kDouble);
  if (at::equal(a, e)) return 0;
  return ((a - e).abs().max() / e.abs().max().clamp_min(1e-12)).item<double>();
}

/// What "the same" means: equal bits where torch computes as it did for the fixtures, by vectorised kernels (AVX2 and newer) whose square roots are rounded
/// right; a few last places elsewhere. MKL takes roots of other last bits on some processors, and PyTorch itself does not repeat the fixtures there.
inline double same() {
  static const double tolerance = [] {
    const at::Tensor values = at::linspace(1e-3, 1, 1000, at::kFloat), roots = values.sqrt();
    const float *value = values.const_data_ptr<float>(), *root = roots.const_data_ptr<float>();
    bool rounds_right = at::get_cpu_capability() != "DEFAULT";
    for (int64_t i = 0; i < values.numel(); ++i) rounds_right = rounds_right && root[i] == std::sqrt(value[i]);
    return rounds_right ? 0 : 2e-6;
  }();
  return tolerance;
}

}  // namespace attelier
