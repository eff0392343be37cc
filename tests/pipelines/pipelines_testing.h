// Tiny random models in diffusers folders, made from the seeds of tests/parity/seeded_models.py, and runs of methods on them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "pipelines/method.h"
#include "tests/testing/errors.h"

namespace attelier {

/// A folder of this test program, removed at its end. The user's cache is inside, so that no test touches the real one.
const std::filesystem::path& test_folder();

/// Folders of models, written on first use: "sd" (SD1.5's structure, narrow, with text encoder and tokenizer), "inpainting" (9 input channels), "xl"
/// (UNet without text encoders), "controlnet" and "controlnet-2".
std::filesystem::path seeded_model(const std::string& name);
/// The same, opened in float32 and shared by all tests.
DiffusionModel& shared_model(const std::string& name = "sd");

/// tests/parity/fixtures/pipelines/NAME.
std::string pipeline_fixture(const std::string& name);
/// All tensors of a fixture file.
const std::map<std::string, at::Tensor>& fixture_tensors(const std::string& file);

struct MethodRun {
  std::vector<MethodOutput> outputs;
  std::map<std::string, at::Tensor> trace;
  std::map<std::string, int64_t> progress;  // reports per stage
  std::vector<std::string> warnings;
  int64_t previews = 0;
};

using Inputs = std::map<std::string, std::vector<std::filesystem::path>>;

/// Runs a method with `params` over its defaults.
MethodRun run_method(const std::string& method, DiffusionModel& model, const Json& params, const Inputs& inputs = {}, Context context = {}, AttentionWatch* watch = nullptr);

/// max |a - b| / max |b|.
double relative_difference(const at::Tensor& a, const at::Tensor& b);

}  // namespace attelier
