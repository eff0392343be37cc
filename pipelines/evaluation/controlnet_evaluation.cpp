// A ControlNet against the same model without it: does the picture follow the truth that it was given?
#include "core/evaluation/metrics.h"
#include "core/media/edges.h"
#include "pipelines/evaluation/workbench.h"
#include "pipelines/generate/generate.h"

namespace attelier {
namespace {

enum : size_t { kWithout, kWith, kDrawn, kArms };

/// The picture that a ControlNet of this kind reads, f32 [1, 3, S, S] in [0, 1]. Depth: inverse, the nearest 1, the farthest and the sky 0. Edges: lines; of
/// the small world, whose truth has none, those that `--control-prepare canny` finds in the drawn picture.
at::Tensor control_picture(const LabelledScene& scene, const std::string& control, WorldName world) {
  if (control == "edges" && world == WorldName::kSmall) return to_tensor(canny_edges(to_image(picture_of(scene)), 100, 200));
  if (control == "edges") return map_of(scene, scene.edges).expand({1, 3, scene.size, scene.size}).contiguous();
  const at::Tensor metres = map_of(scene, scene.depth), seen = metres > 0, nearness = metres.clamp_min(1e-6).reciprocal();
  if (!seen.any().item<bool>()) return at::zeros({1, 3, scene.size, scene.size});
  const at::Tensor near = nearness.masked_select(seen).max(), far = nearness.masked_select(seen).min();
  return (((nearness - far) / (near - far).clamp_min(1e-12)).clamp(0, 1) * seen).expand({1, 3, scene.size, scene.size}).contiguous();
}

EvaluationResult run(const EvaluationRequest& request, const Context& context) {
  if (request.controlnet.empty()) fail(ExitCode::kModel, "evaluate controlnet needs a ControlNet: name its folder or file with --controlnet");
  Workbench bench(*request.model, context);
  const auto items = static_cast<size_t>(request.pictures);
  EvaluationResult result;
  result.arms = {{"without", "the same prompt and seed without the ControlNet"}, {"with the ControlNet", "guided by the truth"}, {"drawn", "the world's own picture: the truth itself"}};
  result.comparisons = {{kWithout, kWith}};
  using enum Measure::Better;
  Measure edges = blank_measure("edges followed", "agreement of the picture's edges with the truth's: borders, depth steps and folds", kHigher, kArms, items);
  Measure depth = blank_measure("depth followed", "correlation of the depth that the judge sees with the truth", kHigher, kArms, items);
  VerdictTable verdicts(kArms, items);
  for (size_t i = 0; i < items; ++i) {
    const uint64_t seed = held_out_seed(request.seed, static_cast<int64_t>(i));
    const LabelledScene scene = draw_labelled(request.world, seed, {.size = bench.model().native_size()});
    const at::Tensor control = control_picture(scene, request.control, request.world), truth = map_of(scene, scene.edges);
    nlohmann::json params = with_settings(request, {{"prompt", scene.caption}, {"seed", request.seed + i}, {"count", 1}, {"steps", request.steps}, {"guidance_scale", request.guidance}});
    std::vector<at::Tensor> pictures = {bench.make(kGenerateMethod, params)};
    context.report("painting", 2 * static_cast<int64_t>(i) + 1, 2 * request.pictures);
    params["control_model"] = {request.controlnet.string()};
    pictures.push_back(bench.make(kGenerateMethod, params, {{"control", control}}));
    pictures.push_back(picture_of(scene));
    for (size_t arm = 0; arm < kArms; ++arm) {
      edges.values[arm][i] = edge_agreement(edge_strength(pictures[arm]), truth);
      if (request.judge == nullptr) continue;
      const Judgement judgement = judge_pictures(*request.judge, pictures[arm])[0];
      verdicts.add(arm, i, compare_labels(scene.claims, judgement.labels, words_of(request.world)));
      if (judgement.depth.defined())
        depth.values[arm][i] = correlation(judgement.depth, depth_on_grid(map_of(scene, scene.depth), judgement.depth.size(0), judgement.depth.size(1)));
    }
    if (i < 24) result.examples.push_back({scene.caption, {{"control", to_image(control)}, {"without", to_image(pictures[0])}, {"with the ControlNet", to_image(pictures[1])}, {"drawn", to_image(pictures[2])}}});
    context.report("painting", 2 * static_cast<int64_t>(i) + 2, 2 * request.pictures);
  }
  result.measures = {edges};
  if (!std::isnan(depth.values[kDrawn][0])) result.measures.push_back(depth);
  for (Measure& measure : verdicts.measures()) result.measures.push_back(std::move(measure));
  result.procedure = {
      fmt::format("{} scenes of the {} world with seeds that no training uses; {} steps, guidance {}, the same seed with and without.", request.pictures, name_of(request.world), request.steps, request.guidance),
      fmt::format("The ControlNet reads the scene's true {}; its pictures are held against that truth.", request.control == "depth" ? "depth (inverse, near is bright)" : "edges (white on black)")};
  return result;
}

}  // namespace

extern const Evaluation kControlNetEvaluation;
const Evaluation kControlNetEvaluation = {"controlnet", "Whether pictures follow the depth or edges that a ControlNet is given", 24, false, "generate", run};

}  // namespace attelier
