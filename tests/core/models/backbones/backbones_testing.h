// What the tests of backbones share: the fixtures of tests/parity, and gradients held against finite differences.
#pragma once

#include <ATen/core/grad_mode.h>

#include "core/models/backbones/backbone.h"
#include "core/weights/load.h"
#include "core/weights/model_files.h"
#include "tests/core/models/models_testing.h"
#include "tests/testing/errors.h"

namespace attelier {

inline std::filesystem::path backbone_folder(const std::string& model) {
  return std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/backbones" / model;
}

/// Image and results of one case of tests/parity/*_fixtures.py.
struct BackboneCase {
  at::Tensor image;
  std::map<std::string, at::Tensor> out;
  BackboneCase(const std::string& model, const std::string& title) {
    for (const auto& [name, tensor] : read_all(*open_tensors(backbone_folder(model) / "cases" / (title + ".safetensors")))) {
      if (name == "in.image") image = tensor.to(at::kFloat);
      else out[name.substr(4)] = tensor;
    }
  }
};

/// All outputs under the names of the open bench.
inline std::map<std::string, at::Tensor> named_outputs(const BackboneOutputs& outputs) {
  std::map<std::string, at::Tensor> named(outputs.records.begin(), outputs.records.end());
  if (outputs.logits.defined()) named["logits"] = outputs.logits;
  for (size_t i = 0; i < outputs.features.size(); ++i) named[fmt::format("features.{}", i)] = outputs.features[i];
  return named;
}

/// A model with drawn weights and running statistics that are not neutral.
template <typename Model = Backbone>
std::unique_ptr<Model> random_backbone(const nlohmann::json& config, at::ScalarType dtype = at::kFloat, uint64_t seed = 1) {
  std::unique_ptr<Model> model(dynamic_cast<Model*>(make_backbone(config).release()));
  model->initialise(make_generator(seed));
  at::Generator generator = make_generator(seed + 1);
  for (const auto& [name, parameter] : model->named_parameters())
    if (parameter->is_buffer) parameter->value.uniform_(0.5, 1.5, generator);
  model->to(at::kCPU, dtype);
  return model;
}

inline at::Tensor random_image(std::vector<int64_t> shape, at::ScalarType dtype = at::kFloat, uint64_t seed = 7) {
  return at::randn(shape, make_generator(seed), at::TensorOptions().dtype(at::kDouble)).to(dtype);
}

/// The gradients of all learnt parameters and of the picture, in float64, against central differences along a random direction of each.
inline void expect_right_gradients(Backbone& model, at::Tensor image, double limit = 1e-6) {
  const at::AutoGradMode gradients(true);
  const auto loss_of = [&] {
    const BackboneOutputs outputs = model.forward(image, {});
    at::Tensor loss = outputs.logits.defined() ? outputs.logits.tanh().sum() : at::zeros({}, image.options());
    for (const at::Tensor& map : outputs.features) loss = loss + (map * map).mean().sqrt();
    return loss;
  };
  std::vector<std::pair<std::string, at::Tensor>> leaves = {{"image", image}};
  for (const auto& [name, parameter] : model.named_parameters())
    if (!parameter->is_buffer) leaves.emplace_back(name, parameter->value);
  for (auto& [name, leaf] : leaves) leaf.requires_grad_(true);
  loss_of().backward();
  const at::NoGradGuard no_grad;
  at::Generator generator = make_generator(99);
  constexpr double kStep = 1e-5;
  for (auto& [name, leaf] : leaves) {
    ASSERT_TRUE(leaf.grad().defined()) << name << " got no gradient";
    const at::Tensor direction = at::randn(leaf.sizes(), generator, leaf.options().requires_grad(false));
    leaf.add_(direction, kStep);
    const double above = loss_of().item<double>();
    leaf.sub_(direction, 2 * kStep);
    const double below = loss_of().item<double>();
    leaf.add_(direction, kStep);
    const double expected = (above - below) / (2 * kStep), actual = (leaf.grad() * direction).sum().item<double>();
    EXPECT_NEAR(actual, expected, limit * (1 + std::abs(expected))) << name;
  }
}

}  // namespace attelier
