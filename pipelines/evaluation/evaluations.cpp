#include "pipelines/evaluation/evaluation.h"

namespace attelier {

extern const Evaluation kStyleEvaluation, kGenerateEvaluation, kAttentionEvaluation, kControlNetEvaluation, kInpaintEvaluation, kLoraEvaluation, kJudgeEvaluation;

const std::vector<const Evaluation*>& evaluations() {
  static const std::vector<const Evaluation*> all = {&kStyleEvaluation, &kGenerateEvaluation, &kAttentionEvaluation, &kControlNetEvaluation, &kInpaintEvaluation, &kLoraEvaluation, &kJudgeEvaluation};
  return all;
}

const Evaluation* find_evaluation(const std::string& name) {
  for (const Evaluation* evaluation : evaluations())
    if (evaluation->name == name) return evaluation;
  return nullptr;
}

}  // namespace attelier
