// Plain against method, on scenes whose truth is known. An evaluation is one small file and one line in the table of evaluations.cpp.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/base/context.h"
#include "core/diffusion/diffusion_model.h"
#include "core/evaluation/comparison.h"
#include "core/evaluation/judgement.h"
#include "core/media/image.h"

namespace attelier {

struct EvaluationRequest {
  int64_t pictures = 0;
  uint64_t seed = 0;
  WorldName world = WorldName::kSmall;
  DiffusionModel* model = nullptr;
  DiffusionModel* against = nullptr;  // a second one to compare with
  const Judge* judge = nullptr;  // of this world; null = there is none
  std::filesystem::path controlnet;
  std::string control = "depth";
  std::filesystem::path lora, recognizer;  // a LoRA, and a classifier of characters
  std::string character;                   // whom the LoRA shows
  double guidance = 4;
  int64_t steps = 30;
  nlohmann::json params = nlohmann::json::object();  // of the method, where they differ from its defaults
};

/// Pictures to look at, one per arm (an empty one where the arm has none), before them what went in.
struct EvaluationExample {
  std::string caption;
  std::vector<std::pair<std::string, Image>> pictures;
};

struct EvaluationResult {
  struct Arm {
    std::string name, help;
  };
  std::vector<Arm> arms;
  std::vector<std::pair<size_t, size_t>> comparisons;  // (plain, method): what is told apart
  std::vector<Measure> measures;
  std::vector<EvaluationExample> examples;
  std::vector<std::string> procedure;  // sentences: what was done, and what cannot be concluded from it
  nlohmann::json facts = nlohmann::json::object();  // what the procedure found, a matched strength for instance
};

struct Evaluation {
  std::string name, summary;
  int64_t pictures = 24;     // by default
  bool needs_judge = false;
  std::string method;        // whose parameters may be set; "" for none
  /// Throws Error; Interrupted within a step of the model when the context was stopped.
  std::function<EvaluationResult(const EvaluationRequest& request, const Context& context)> run;
};

const std::vector<const Evaluation*>& evaluations();
/// nullptr when there is none of that name.
const Evaluation* find_evaluation(const std::string& name);

}  // namespace attelier
