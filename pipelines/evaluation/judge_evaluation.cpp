// The judge itself: how often it is right on pictures that it never saw, whose truth is known.
#include "pipelines/evaluation/workbench.h"

namespace attelier {
namespace {

EvaluationResult run(const EvaluationRequest& request, const Context& context) {
  Workbench bench(*request.model, context);
  const auto items = static_cast<size_t>(request.pictures);
  EvaluationResult result;
  result.arms = {{"as drawn", "the world's own picture"}, {"autoencoded", "the same picture through the model's autoencoder, as soft as anything that the model paints"}};
  VerdictTable verdicts(result.arms.size(), items);
  for (size_t i = 0; i < items; ++i) {
    const LabelledScene scene = draw_labelled(request.world, held_out_seed(request.seed, static_cast<int64_t>(i)), {.size = bench.model().native_size(), .edges = false});
    const at::Tensor drawn = picture_of(scene), autoencoded = bench.autoencoded(drawn);
    const std::vector<Judgement> judgements = judge_pictures(*request.judge, at::cat({drawn, autoencoded}));
    for (size_t arm = 0; arm < 2; ++arm) verdicts.add(arm, i, compare_labels(scene.claims, judgements[arm].labels, words_of(request.world)));
    if (i < 24) result.examples.push_back({scene.caption, {{"as drawn", to_image(drawn)}, {"autoencoded", to_image(autoencoded)}}});
    context.report("judging pictures", static_cast<int64_t>(i) + 1, request.pictures);
  }
  result.measures = verdicts.measures();
  result.procedure = {
      fmt::format("{} scenes of the {} world with seeds that no training uses were drawn, and the judge was asked whether each shows what its caption says.", request.pictures, name_of(request.world)),
      "Shares are of those pictures whose caption says something of the kind; pencil drawings are not asked for colours, nor captions without a time of day for it.",
      "A judge that is right this often is the ceiling of every agreement that it finds in generated pictures."};
  return result;
}

}  // namespace

extern const Evaluation kJudgeEvaluation;
const Evaluation kJudgeEvaluation = {"judge", "How often the judge is right on pictures whose truth is known", 200, true, "", run};

}  // namespace attelier
