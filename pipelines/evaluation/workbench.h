// What evaluations share: held-out scenes, methods as functions from pictures to pictures, and marks.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "pipelines/evaluation/evaluation.h"
#include "pipelines/method.h"

namespace attelier {

/// The seed of held-out scene `number`: another stream than any training's.
uint64_t held_out_seed(uint64_t seed, int64_t number);

/// f32 [1, 3, S, S] in [0, 1].
at::Tensor picture_of(const LabelledScene& scene);
/// One of the scene's maps, f32 [S, S].
at::Tensor map_of(const LabelledScene& scene, const std::vector<float>& values);

/// Runs methods on pictures in memory; files that methods want to read lie in a folder that goes away with this.
class Workbench {
 public:
  Workbench(DiffusionModel& model, const Context& context);
  ~Workbench();
  Workbench(const Workbench&) = delete;
  Workbench& operator=(const Workbench&) = delete;

  /// The method's picture, rounded to 8 bits as a user gets it: f32 [1, 3, H, W] in [0, 1]. `params` are those that differ from the defaults.
  at::Tensor make(const Method& method, const nlohmann::json& params, const std::vector<std::pair<std::string, at::Tensor>>& inputs = {});

  /// The picture through the model's autoencoder and back: what any picture of this model can be at best.
  at::Tensor autoencoded(const at::Tensor& picture);

  DiffusionModel& model() { return model_; }
  const Context& context() const { return context_; }

 private:
  DiffusionModel& model_;
  const Context& context_;
  Context quiet_;  // the same without progress of its own: an evaluation counts pictures
  std::filesystem::path folder_;
};

/// Measures that are shares, made as verdicts come in: items of which an arm has no verdict stay unmeasured.
class VerdictTable {
 public:
  VerdictTable(size_t arms, size_t items) : arms_(arms), items_(items) {}
  void add(size_t arm, size_t item, const std::vector<Verdict>& verdicts);
  /// In the order "objects", "colour", "count", "relation", scene attributes, "everything".
  std::vector<Measure> measures() const;

 private:
  size_t arms_, items_;
  std::vector<Measure> found_;
};

/// `params`, which the evaluation chooses, and what the user has set beside them. Throws Error(kUsage) where both name the same.
nlohmann::json with_settings(const EvaluationRequest& request, nlohmann::json params);

/// A measure of this many arms and items, nothing measured yet.
Measure blank_measure(const std::string& name, const std::string& help, Measure::Better better, size_t arms, size_t items);

}  // namespace attelier
