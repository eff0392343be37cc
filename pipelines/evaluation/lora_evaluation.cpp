// A LoRA of one character against the model without it: is it somebody's likeness? A classifier of characters, trained on the world apart from both, says who is seen.
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "core/evaluation/metrics.h"
#include "core/models/backbones/backbone.h"
#include "core/scenes/single_things.h"
#include "core/scenes/world/characters.h"
#include "core/weights/model_files.h"
#include "pipelines/evaluation/workbench.h"
#include "pipelines/generate/generate.h"
#include "pipelines/recognize/preparation.h"

namespace attelier {
namespace {

enum : size_t { kWithout, kWith, kDrawn, kArms };

/// Tells who is on a picture.
class Recognizer {
 public:
  explicit Recognizer(const std::filesystem::path& folder) : config_(ModelFiles(folder).config("backbone")), network_(load_backbone(folder, at::kCPU, at::kFloat)) {
    preparation_ = Preparation::of_model(config_, processor_beside(folder), network_->picture_size());
    preparation_.crop_ratio = 1;  // what is generated fills its frame
  }

  std::vector<std::string> labels() const {
    std::vector<std::string> labels;
    const nlohmann::json names = config_.value("id2label", nlohmann::json::object());
    for (size_t i = 0; i < names.size(); ++i) labels.push_back(names.value(std::to_string(i), std::string()));
    return labels;
  }

  /// The most likely class of f32 [1, 3, H, W] in [0, 1].
  std::string operator()(const at::Tensor& picture) const {
    const c10::InferenceMode inference;
    const at::Tensor logits = network_->forward(to_input(prepare(to_image(picture), preparation_).image, preparation_), {}).logits;
    return labels().at(static_cast<size_t>(logits.argmax(1).item<int64_t>()));
  }

 private:
  nlohmann::json config_;
  std::unique_ptr<Backbone> network_;
  Preparation preparation_;
};

int number_of(const std::string& name) {
  for (int number = 0; number < world::kNamedCharacters; ++number)
    if (world::identity(number).name == name) return number;
  fail(ExitCode::kUsage, "--character {}: the world has nobody of that name; attelier scenes stories shows who is there", name);
}

at::Tensor drawn(int number, uint64_t seed, int64_t size) {
  std::vector<float> rgb = draw_single_character(number, world::Look::kPlain, seed, size);
  return at::from_blob(rgb.data(), {1, size, size, 3}, at::kFloat).permute({0, 3, 1, 2}).contiguous();
}

EvaluationResult run(const EvaluationRequest& request, const Context& context) {
  const Recognizer who(request.recognizer);
  const std::vector<std::string> known = who.labels();
  if (std::find(known.begin(), known.end(), request.character) == known.end())
    fail(ExitCode::kUsage, "--character is \"{}\"; {} knows {}", request.character, request.recognizer.string(), fmt::join(known, ", "));
  const int number = number_of(request.character);
  Workbench bench(*request.model, context);
  const auto items = static_cast<size_t>(request.pictures);
  EvaluationResult result;
  result.arms = {{"without", "the same prompt and seed without the LoRA"}, {"with the LoRA", "the prompt that it was trained on"}, {"drawn", "the world's own pictures of this character through the autoencoder: the most that can be recognised"}};
  result.comparisons = {{kWithout, kWith}};
  Measure identity = blank_measure("recognised as " + request.character, "the classifier's first guess, of " + fmt::format("{}", fmt::join(known, ", ")), Measure::Better::kHigher, kArms, items);
  identity.is_share = true;
  Measure likeness = blank_measure("pictures unlike each other", "1 - SSIM of a picture to the one before it; 0 = always the same picture", Measure::Better::kNeither, kArms, items);
  std::vector<at::Tensor> before(kArms);
  for (size_t i = 0; i < items; ++i) {
    nlohmann::json params = with_settings(request, {{"seed", request.seed + i}, {"count", 1}, {"steps", request.steps}, {"guidance_scale", request.guidance}});
    std::vector<at::Tensor> pictures;
    pictures.reserve(kArms);
    pictures.push_back(bench.make(kGenerateMethod, params));
    context.report("painting", 2 * static_cast<int64_t>(i) + 1, 2 * request.pictures);
    params["lora"] = {request.lora.string()};
    pictures.push_back(bench.make(kGenerateMethod, params));
    pictures.push_back(bench.autoencoded(drawn(number, held_out_seed(request.seed, static_cast<int64_t>(i)), bench.model().native_size())));
    EvaluationExample example{params["prompt"], {}};
    for (size_t arm = 0; arm < kArms; ++arm) {
      const std::string seen = who(pictures[arm]);
      identity.values[arm][i] = seen == request.character ? 1 : 0;
      if (before[arm].defined()) likeness.values[arm][i] = 1 - ssim_between(pictures[arm], before[arm]);
      example.pictures.emplace_back(fmt::format("{}: {}", result.arms[arm].name, seen), to_image(pictures[arm]));
      before[arm] = pictures[arm];
    }
    if (i < 24) result.examples.push_back(std::move(example));
    context.report("painting", 2 * static_cast<int64_t>(i) + 2, 2 * request.pictures);
  }
  result.measures = {identity, likeness};
  result.procedure = {fmt::format("{} seeds, {} steps, guidance {}, the same seed with and without the LoRA, prompt \"{}\".", request.pictures, request.steps, request.guidance, request.params["prompt"].get<std::string>()),
                      fmt::format("A classifier that was trained on the world's pictures of {} characters, and of others as \"somebody else\", names who is seen; chance among its classes is {:.2f}.",
                                  known.size() - 1, 1.0 / static_cast<double>(known.size()))};
  return result;
}

}  // namespace

extern const Evaluation kLoraEvaluation;
const Evaluation kLoraEvaluation = {"lora", "Whether a LoRA of one of the world's characters makes its likeness", 20, false, "generate", run};

}  // namespace attelier
