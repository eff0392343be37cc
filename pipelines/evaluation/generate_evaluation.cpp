// Does a model paint what captions say? Held-out captions, one picture each, read by the judge.
#include <algorithm>

#include "core/evaluation/metrics.h"
#include "pipelines/evaluation/workbench.h"
#include "pipelines/generate/generate.h"

namespace attelier {
namespace {

enum : size_t { kOther, kOwn, kDrawn, kArms };
constexpr int64_t kSeedsOfOne = 4;  // pictures of one caption, for the diversity

EvaluationResult run(const EvaluationRequest& request, const Context& context) {
  Workbench bench(*request.model, context);
  const auto items = static_cast<size_t>(request.pictures);
  const int64_t size = bench.model().native_size(), repeated = std::max<int64_t>(2, request.pictures / 8);
  const int64_t total = request.pictures + repeated * (kSeedsOfOne - 1);
  EvaluationResult result;
  result.arms = {{"another caption", "the model's picture held against the next scene's caption: agreement by chance"},
                 {"its caption", "the model's picture held against the caption that it was asked for"},
                 {"drawn", "the world's own picture through the model's autoencoder: the most that this judge can find"}};
  result.comparisons = {{kOther, kOwn}};

  int64_t painted = 0;
  const auto paint = [&](const LabelledScene& scene, uint64_t seed) {
    const at::Tensor picture = bench.make(kGenerateMethod, with_settings(request, {{"prompt", scene.caption}, {"seed", seed}, {"count", 1}, {"steps", request.steps}, {"guidance_scale", request.guidance}}));
    context.report("painting", ++painted, total);
    return picture;
  };
  std::vector<LabelledScene> scenes;
  std::vector<at::Tensor> pictures;
  VerdictTable verdicts(kArms, items);
  const WorldWords& words = words_of(request.world);
  const auto judged = [&](const at::Tensor& picture) { return judge_pictures(*request.judge, picture)[0].labels; };
  for (size_t i = 0; i < items; ++i) {
    scenes.push_back(draw_labelled(request.world, held_out_seed(request.seed, static_cast<int64_t>(i)), {.size = size, .edges = false}));
    pictures.push_back(paint(scenes[i], request.seed + i));
    const at::Tensor drawn = bench.autoencoded(picture_of(scenes[i]));
    verdicts.add(kDrawn, i, compare_labels(scenes[i].claims, judged(drawn), words));
    if (i < 48) result.examples.push_back({scenes[i].caption, {{"generated", to_image(pictures[i])}, {"drawn", to_image(drawn)}}});
  }
  for (size_t i = 0; i < items; ++i) {
    const SceneLabels labels = judged(pictures[i]);
    verdicts.add(kOwn, i, compare_labels(scenes[i].claims, labels, words));
    verdicts.add(kOther, i, compare_labels(scenes[(i + 1) % items].claims, labels, words));
  }
  result.measures = verdicts.measures();
  const auto colour = std::find_if(result.measures.begin(), result.measures.end(), [](const Measure& measure) { return measure.name == "colour"; });
  if (colour != result.measures.end()) {
    Measure one = *colour;
    one.name = "one thing in its colour";
    one.help = "of captions of one thing: it is there, in its colour";
    for (size_t arm = 0; arm < kArms; ++arm)
      for (size_t i = 0; i < items; ++i) {
        const SceneLabels& claims = scenes[arm == kOther ? (i + 1) % items : i].claims;
        if (std::count_if(claims.count.begin(), claims.count.end(), [](int64_t count) { return count > 0; }) != 1) one.values[arm][i] = kNotMeasured;
      }
    result.measures.push_back(std::move(one));
  }

  Measure various = blank_measure("diversity", fmt::format("mean of 1 - SSIM over pairs of {} pictures of one caption at 64x64; drawn: the world's own variety", kSeedsOfOne), Measure::Better::kNeither, kArms, items);
  for (int64_t i = 0; i < repeated && i < request.pictures; ++i) {
    const auto item = static_cast<size_t>(i);
    std::vector<at::Tensor> same = {pictures[item]}, drawn = {picture_of(scenes[item])};
    for (int64_t k = 1; k < kSeedsOfOne; ++k) {
      same.push_back(paint(scenes[item], request.seed + static_cast<uint64_t>(request.pictures + i * kSeedsOfOne + k)));
      drawn.push_back(picture_of(draw_labelled(request.world, held_out_seed(request.seed, i), {.size = size, .detail = static_cast<uint64_t>(k), .edges = false})));
    }
    various.values[kOwn][item] = diversity(at::cat(same));
    various.values[kDrawn][item] = diversity(at::cat(drawn));
  }
  result.measures.push_back(std::move(various));
  result.procedure = {
      fmt::format("{} captions of the {} world, of scenes with seeds that no training uses; one picture each with {} steps and guidance {}, seeds counting up from {}.", request.pictures,
                  name_of(request.world), request.steps, request.guidance, request.seed),
      "The judge, a network trained apart from the model on drawn pictures alone, says what each picture shows; shares are of the captions that say something of the kind.",
      "The pictures are new; simple captions are few in a small world, so that a model may have seen their words in training."};
  return result;
}

}  // namespace

extern const Evaluation kGenerateEvaluation;
const Evaluation kGenerateEvaluation = {"generate", "Whether pictures show what their captions say, attribute by attribute", 48, true, "generate", run};

}  // namespace attelier
