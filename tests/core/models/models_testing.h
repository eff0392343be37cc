// What the tests of models share: the fixtures of tests/parity/model_fixtures.py and the comparison with their results.
#pragma once

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "core/attention/program.h"
#include "core/base/context.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/weights/load.h"

namespace attelier {

/// Tiny random models against what diffusers and transformers compute from them. One model = one folder; its cases lie beside it.
inline std::filesystem::path fixture_folder(const std::string& model) {
  return std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/models" / model;
}

inline nlohmann::json fixture_config(const std::string& model) { return nlohmann::json::parse(read_file(fixture_folder(model) / "config.json")); }

/// The fixture's model in float32, its weights as the file holds them.
template <typename ModuleType, typename Config>
std::unique_ptr<ModuleType> fixture_model(const std::string& model) {
  auto module = std::make_unique<ModuleType>(Config::from_json(fixture_config(model)));
  load_weights(*module, *open_tensors(fixture_folder(model) / "model.safetensors"), at::kCPU, at::kFloat);
  return module;
}

/// Inputs and results of one case, without their prefixes.
struct FixtureCase {
  std::map<std::string, at::Tensor> in, out;
  FixtureCase(const std::string& model, const std::string& title) {
    for (const auto& [name, tensor] : read_all(*open_tensors(fixture_folder(model) / (title + ".safetensors"))))
      (name.starts_with("in.") ? in : out)[name.substr(name.find('.') + 1)] = tensor;
  }
  at::Tensor input(const std::string& name) const {
    const auto found = in.find(name);
    return found == in.end() ? at::Tensor() : found->second;
  }
};

/// The largest difference, relative to the largest value of `expected`.
inline double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  if (actual.sizes() != expected.sizes()) return std::numeric_limits<double>::infinity();
  return (actual.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>() / expected.to(at::kDouble).abs().max().item<double>();
}

inline ::testing::AssertionResult close(const at::Tensor& actual, const at::Tensor& expected, double limit = 1e-5) {
  const double error = relative_error(actual, expected);
  if (error <= limit) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "relative error " << error << ", shape [" << fmt::format("{}", fmt::join(actual.sizes(), ", ")) << "] for ["
                                       << fmt::format("{}", fmt::join(expected.sizes(), ", ")) << "]";
}

/// Answers nothing at every site: must be the plain model, bit for bit.
class SilentProgram : public AttentionProgram {
 public:
  std::optional<kernels::AttentionControl> control(const AttentionCall& call) override {
    visited.push_back(call.site);
    return std::nullopt;
  }
  std::vector<AttentionSite> visited;
};

/// Runs every test without gradients, as inference does, and on one thread: these models are too small for more.
class ModelTest : public ::testing::Test {
 protected:
  ModelTest() { at::set_num_threads(1); }

 private:
  c10::NoGradGuard no_grad_;
};

}  // namespace attelier
