// What the tests of upscalers share: tiny random models that tests/parity/rgt_fixtures.py draws as well.
#pragma once

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "core/models/upscalers/rgt.h"
#include "tests/testing/errors.h"
#include "tests/testing/seeded_weights.h"

namespace attelier {

/// TINY of rgt_fixtures.py, with changes.
inline RgtConfig tiny_config(const nlohmann::json& changes = nlohmann::json::object()) {
  nlohmann::json config = {{"upscale", 2}, {"depth", {4, 4}}, {"embed_dim", 64}, {"num_heads", {4, 4}}, {"split_size", {4, 8}}};
  config.update(changes);
  return RgtConfig::from_json(config);
}

inline at::Tensor random_picture(uint64_t seed, int64_t batch, int64_t height, int64_t width) { return at::rand({batch, 3, height, width}, make_generator(seed)); }

/// The largest difference, relative to the largest value of `expected`.
inline double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  if (actual.sizes() != expected.sizes()) return std::numeric_limits<double>::infinity();
  return (actual.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>() / expected.to(at::kDouble).abs().max().item<double>();
}

/// Runs every test without gradients, as inference does, and on one thread.
class UpscalerTest : public ::testing::Test {
 protected:
  UpscalerTest() { at::set_num_threads(1); }

 private:
  c10::NoGradGuard no_grad_;
};

}  // namespace attelier
