// A model made for masks against one that is not: does the repainted part show what was asked, and does it join what was kept?
#include <algorithm>

#include "core/evaluation/metrics.h"
#include "pipelines/evaluation/workbench.h"
#include "pipelines/generate/generate.h"

namespace attelier {
namespace {

enum : size_t { kBlended, kMade, kBoth, kDrawn, kArms };

/// f32 [S, S]: 1 where a box around the scene's first thing lies, a sixteenth of the picture wider on each side; a box in the middle where there is none.
at::Tensor mask_around_thing(const LabelledScene& scene) {
  const int64_t size = scene.size, margin = size / 16;
  int64_t left = size, top = size, right = -1, bottom = -1;
  for (int64_t y = 0; y < size; ++y)
    for (int64_t x = 0; x < size; ++x) {
      if (scene.things[static_cast<size_t>(y * size + x)] != 1) continue;
      left = std::min(left, x), right = std::max(right, x), top = std::min(top, y), bottom = std::max(bottom, y);
    }
  if (right < 0) left = top = size / 3, right = bottom = 2 * size / 3;
  at::Tensor mask = at::zeros({size, size});
  const auto inside = [&](int64_t at) { return std::clamp<int64_t>(at, 0, size); };
  mask.slice(0, inside(top - margin), inside(bottom + 1 + margin)).slice(1, inside(left - margin), inside(right + 1 + margin)).fill_(1);
  return mask;
}

/// Mean step in 8-bit luminance between neighbours on either side of the mask's border.
double step_at_border(const at::Tensor& picture, const at::Tensor& mask) {
  const at::Tensor luminance = (picture[0][0] * 0.299 + picture[0][1] * 0.587 + picture[0][2] * 0.114) * 255;
  double sum = 0, count = 0;
  for (const int64_t axis : {0, 1}) {
    const auto difference = [axis](const at::Tensor& x) { return (x.slice(axis, 1) - x.slice(axis, 0, -1)).abs(); };
    const at::Tensor border = difference(mask);
    sum += (difference(luminance) * border).sum().item<double>();
    count += border.sum().item<double>();
  }
  return count == 0 ? 0 : sum / count;
}

/// PSNR over the pixels where `where` [S, S] is 1.
double psnr_where(const at::Tensor& a, const at::Tensor& b, const at::Tensor& where) {
  const double error = ((a - b).pow(2) * where).sum().item<double>() / std::max(1.0, 3 * where.sum().item<double>());
  return std::min(120.0, -10 * std::log10(std::max(error, 1e-12)));
}

EvaluationResult run(const EvaluationRequest& request, const Context& context) {
  if (request.against == nullptr) fail(ExitCode::kModel, "evaluate inpaint needs a second model, which blends where --model is made for masks: name it with --against");
  Workbench made(*request.model, context), blended(*request.against, context);
  const int64_t size = made.model().native_size();
  if (blended.model().native_size() != size)
    fail(ExitCode::kUsage, "--against makes pictures of {0}x{0}, --model of {1}x{1}; choose a model of the same size", blended.model().native_size(), size);
  const auto items = static_cast<size_t>(request.pictures);
  EvaluationResult result;
  result.arms = {{"blended", "the other model: at every step what is kept is put back, noisy, around what is painted"},
                 {"made for masks", "the model itself, from the same noise"},
                 {"both", "the model itself, and what is kept is put back at every step"},
                 {"drawn", "the world's own picture: the truth itself"}};
  result.comparisons = {{kBlended, kMade}, {kBlended, kBoth}};
  using enum Measure::Better;
  Measure seam = blank_measure("seam", "how much further than in the drawn picture neighbours on either side of the mask's border are apart, in 8-bit steps of luminance", kLower, kArms, items);
  Measure inside = blank_measure("inside", "PSNR in dB of what was repainted against the drawn picture, which is one of many good answers", kHigher, kArms, items);
  Measure outside = blank_measure("outside", "PSNR in dB of what was kept", kHigher, kArms, items);
  VerdictTable verdicts(kArms, items);
  for (size_t i = 0; i < items; ++i) {
    const LabelledScene scene = draw_labelled(request.world, held_out_seed(request.seed, static_cast<int64_t>(i)), {.size = size, .edges = false});
    const at::Tensor drawn = picture_of(scene), mask = mask_around_thing(scene), mask_picture = mask.expand({1, 3, size, size}).contiguous();
    nlohmann::json params = with_settings(request, {{"prompt", scene.caption}, {"seed", request.seed + i}, {"count", 1}, {"steps", request.steps}, {"guidance_scale", request.guidance}});
    std::vector<at::Tensor> pictures;
    for (const size_t arm : {kBlended, kMade, kBoth}) {
      if (arm == kBoth) params["keep_latents"] = true;
      pictures.push_back((arm == kBlended ? blended : made).make(kGenerateMethod, params, {{"image", drawn}, {"mask", mask_picture}}));
      context.report("painting", kDrawn * static_cast<int64_t>(i) + static_cast<int64_t>(pictures.size()), kDrawn * request.pictures);
    }
    pictures.push_back(drawn);
    const double drawn_step = step_at_border(drawn, mask);
    for (size_t arm = 0; arm < kArms; ++arm) {
      seam.values[arm][i] = step_at_border(pictures[arm], mask) - drawn_step;
      if (arm != kDrawn) inside.values[arm][i] = psnr_where(pictures[arm], drawn, mask), outside.values[arm][i] = psnr_where(pictures[arm], drawn, 1 - mask);
      if (request.judge != nullptr) verdicts.add(arm, i, compare_labels(scene.claims, judge_pictures(*request.judge, pictures[arm])[0].labels, words_of(request.world)));
    }
    if (i < 24)
      result.examples.push_back({scene.caption, {{"kept", to_image(drawn * (1 - mask) + 0.5 * mask)}, {"blended", to_image(pictures[0])}, {"made for masks", to_image(pictures[1])}, {"both", to_image(pictures[2])}, {"drawn", to_image(drawn)}}});
  }
  result.measures = {seam, inside, outside};
  for (Measure& measure : verdicts.measures()) result.measures.push_back(std::move(measure));
  result.procedure = {
      fmt::format("{} scenes of the {} world with seeds that no training uses; a box around the first thing is repainted with the scene's caption, {} steps, guidance {}, the same noise for all.",
                  request.pictures, name_of(request.world), request.steps, request.guidance),
      "The judge reads the whole picture, so that what lies outside the box counts too."};
  result.procedure.push_back(request.params.value("strength", 1.0) < 1 ? "With a strength below 1 the start holds a trace of what lies under the mask, for all alike." : "Under the mask all start from noise alone and see no pixel of the thing.");
  return result;
}

}  // namespace

extern const Evaluation kInpaintEvaluation;
const Evaluation kInpaintEvaluation = {"inpaint", "Whether a model made for masks repaints better than one that blends", 24, false, "generate", run};

}  // namespace attelier
