// StyleID against plain image to image that changes the structure as much: which of them comes nearer to the style?
#include <algorithm>
#include <map>
#include <optional>

#include "core/evaluation/metrics.h"
#include "pipelines/evaluation/workbench.h"
#include "pipelines/generate/generate.h"
#include "pipelines/style/style.h"

namespace attelier {
namespace {

enum : size_t { kContent, kWords, kPlain, kMethod, kDrawn, kArms };

/// A plain scene, a picture of another scene in the wanted style, and the first scene as the world itself paints it in that style.
struct StylePair {
  LabelledScene content, style, target;
  int64_t style_index = 0;
};

/// The first seed at or after a held-out one whose scene is not at night, of which washes and pencils leave nothing.
uint64_t daylight_seed(const EvaluationRequest& request, int64_t number) {
  const WorldWords& words = words_of(request.world);
  const auto daytime = static_cast<size_t>(words.attribute("daytime"));
  const int64_t night = words.value("daytime", "night");
  for (uint64_t seed = held_out_seed(request.seed, number);; ++seed)
    if (draw_labelled(request.world, seed, {.size = 32, .edges = false}).labels.attributes[daytime] != night) return seed;
}

StylePair make_pair(const EvaluationRequest& request, int64_t number, int64_t size) {
  const WorldWords& words = words_of(request.world);
  const int64_t plain = words.value("style", "plain"), styles = static_cast<int64_t>(words.attributes[static_cast<size_t>(words.attribute("style"))].values.size());
  StylePair pair;
  pair.style_index = 1 + number % (styles - 1);
  const uint64_t content = daylight_seed(request, 2 * number), style = daylight_seed(request, 2 * number + 1);
  pair.content = draw_labelled(request.world, content, {.size = size, .style = plain});
  pair.style = draw_labelled(request.world, style, {.size = size, .style = pair.style_index, .edges = false});
  pair.target = draw_labelled(request.world, content, {.size = size, .style = pair.style_index, .edges = false});
  return pair;
}

/// Plain image to image of all contents at the number of steps that changes their structure as StyleID does.
class EqualStructure {
 public:
  /// `paint(item, steps)` makes a picture with so many of the steps; `structure(item, picture)` marks it.
  EqualStructure(size_t items, int64_t steps, std::function<at::Tensor(size_t, int64_t)> paint, std::function<double(size_t, const at::Tensor&)> structure)
      : items_(items), steps_(steps), paint_(std::move(paint)), structure_(std::move(structure)) {}

  /// The steps whose mean structure is nearest to `wanted`, found by bisection: more steps keep less.
  int64_t find(double wanted) {
    int64_t low = 1, high = steps_;
    while (low < high) {
      const int64_t middle = (low + high + 1) / 2;
      if (mean(middle) >= wanted) low = middle;
      else high = middle - 1;
    }
    if (low < steps_ && std::abs(mean(low + 1) - wanted) < std::abs(mean(low) - wanted)) ++low;
    return low;
  }
  double mean(int64_t steps) {
    std::vector<at::Tensor>& row = pictures_[steps];
    if (row.empty())
      for (size_t i = 0; i < items_; ++i) row.push_back(paint_(i, steps));
    double sum = 0;
    for (size_t i = 0; i < items_; ++i) sum += structure_(i, row[i]);
    return sum / static_cast<double>(items_);
  }
  const std::vector<at::Tensor>& pictures(int64_t steps) const { return pictures_.at(steps); }

 private:
  size_t items_;
  int64_t steps_;
  std::function<at::Tensor(size_t, int64_t)> paint_;
  std::function<double(size_t, const at::Tensor&)> structure_;
  std::map<int64_t, std::vector<at::Tensor>> pictures_;
};

/// Everything that is measured on one picture.
class Marks {
 public:
  Marks(const EvaluationRequest& request, const std::vector<StylePair>& pairs) : request_(request), pairs_(pairs) {
    using enum Measure::Better;
    const size_t items = pairs.size();
    structure_ = blank_measure("structure kept", "agreement of edges with the content's truth; 1 the same, 0 unrelated", kHigher, kArms, items);
    colour_ = blank_measure("distance to the style's colours", "distance of colour statistics to the style picture", kLower, kArms, items);
    depth_ = blank_measure("depth kept", "correlation of the depth that the judge sees with the content's truth", kHigher, kArms, items);
    recognised_ = blank_measure("style recognised", "the judge names the wanted style", kHigher, kArms, items);
    recognised_.is_share = true;
    confidence_ = blank_measure("probability of the style", "that the judge gives to the wanted style", kHigher, kArms, items);
    objects_ = blank_measure("things kept", "the judge still sees every thing of the content", kHigher, kArms, items);
    objects_.is_share = true;
  }

  void add(size_t arm, size_t item, const at::Tensor& picture) {
    const StylePair& pair = pairs_[item];
    structure_.values[arm][item] = structure(item, picture);
    colour_.values[arm][item] = colour_distance(picture, picture_of(pair.style));
    if (request_.judge == nullptr) return;
    const Judgement judgement = judge_pictures(*request_.judge, picture)[0];
    const WorldWords& words = words_of(request_.world);
    const auto style = static_cast<size_t>(words.attribute("style"));
    recognised_.values[arm][item] = judgement.labels.attributes[style] == pair.style_index ? 1 : 0;
    confidence_.values[arm][item] = judgement.attributes[style][static_cast<size_t>(pair.style_index)];
    for (const Verdict& verdict : compare_labels(pair.content.claims, judgement.labels, words))
      if (verdict.attribute == "objects") objects_.values[arm][item] = verdict.right ? 1 : 0;
    if (judgement.depth.defined())
      depth_.values[arm][item] = correlation(judgement.depth, depth_on_grid(map_of(pair.content, pair.content.depth), judgement.depth.size(0), judgement.depth.size(1)));
  }

  double structure(size_t item, const at::Tensor& picture) const { return edge_agreement(edge_strength(picture), map_of(pairs_[item].content, pairs_[item].content.edges)); }

  std::vector<Measure> measures() const {
    std::vector<Measure> all = {structure_};
    const auto measured = [](const Measure& measure) { return std::any_of(measure.values[kContent].begin(), measure.values[kContent].end(), [](double value) { return !std::isnan(value); }); };
    for (const Measure* measure : {&depth_, &objects_, &colour_, &recognised_, &confidence_})
      if (measured(*measure)) all.push_back(*measure);
    return all;
  }

 private:
  const EvaluationRequest& request_;
  const std::vector<StylePair>& pairs_;
  Measure structure_, colour_, depth_, recognised_, confidence_, objects_;
};

EvaluationResult run(const EvaluationRequest& request, const Context& context) {
  Workbench bench(*request.model, context);
  const auto items = static_cast<size_t>(request.pictures);
  std::vector<StylePair> pairs;
  for (size_t i = 0; i < items; ++i) {
    context.check_stop();
    pairs.push_back(make_pair(request, static_cast<int64_t>(i), bench.model().native_size()));
    context.report("drawing pairs", static_cast<int64_t>(i) + 1, request.pictures);
  }
  EvaluationResult result;
  result.arms = {{"content", "the content as it is: nothing done"},
                 {"img2img, style in words", "image to image, prompted with the content's caption in the wanted style"},
                 {"img2img, no words", "image to image without prompt and guidance: what the model does without knowing the style"},
                 {"StyleID", "attelier style: the style comes from the style picture, without words"},
                 {"drawn", "the content in that style by the world itself, in its own colours"}};
  result.comparisons = {{kWords, kMethod}, {kPlain, kMethod}};
  Marks marks(request, pairs);

  std::vector<at::Tensor> styled;
  double wanted = 0;
  for (size_t i = 0; i < items; ++i) {
    styled.push_back(bench.make(kStyleMethod, with_settings(request, {{"cache", false}}), {{"content", picture_of(pairs[i].content)}, {"style", picture_of(pairs[i].style)}}));
    wanted += marks.structure(i, styled[i]) / static_cast<double>(items);
    context.report("painting with StyleID", static_cast<int64_t>(i) + 1, request.pictures);
  }

  // Bisection looks at most at so many strengths.
  int64_t rounds = 1;
  while ((int64_t{1} << rounds) < request.steps) ++rounds;
  const auto search = [&](bool with_words, const std::string& stage) {
    int64_t painted = 0;
    auto found = std::make_unique<EqualStructure>(
        items, request.steps,
        [&, with_words, stage](size_t i, int64_t steps) mutable {
          nlohmann::json params = {{"seed", request.seed + i}, {"steps", request.steps}, {"strength", (static_cast<double>(steps) + 0.5) / static_cast<double>(request.steps)}};
          if (steps == request.steps) params["strength"] = 1.0;
          params["prompt"] = with_words ? pairs[i].target.caption : "";
          params["guidance_scale"] = with_words ? request.guidance : 1.0;
          const at::Tensor picture = bench.make(kGenerateMethod, params, {{"image", picture_of(pairs[i].content)}});
          ++painted;
          context.report(stage, painted, std::max(painted, (rounds + 1) * request.pictures));
          return picture;
        },
        [&](size_t i, const at::Tensor& picture) { return marks.structure(i, picture); });
    const int64_t steps = found->find(wanted);
    return std::make_pair(std::move(found), steps);
  };
  const auto [words, words_steps] = search(true, "searching the strength of img2img with words");
  const auto [plain, plain_steps] = search(false, "searching the strength of img2img without words");

  for (size_t i = 0; i < items; ++i) {
    context.check_stop();
    const std::vector<at::Tensor> pictures = {picture_of(pairs[i].content), words->pictures(words_steps)[i], plain->pictures(plain_steps)[i], styled[i], picture_of(pairs[i].target)};
    for (size_t arm = 0; arm < kArms; ++arm) marks.add(arm, i, pictures[arm]);
    if (i >= 24) continue;
    EvaluationExample example{pairs[i].target.caption, {}};
    example.pictures.emplace_back("style picture", to_image(picture_of(pairs[i].style)));
    for (size_t arm = 0; arm < kArms; ++arm) example.pictures.emplace_back(result.arms[arm].name, to_image(pictures[arm]));
    result.examples.push_back(std::move(example));
  }
  result.measures = marks.measures();
  const auto share = [&](int64_t steps) { return static_cast<double>(steps) / static_cast<double>(request.steps); };
  result.facts = {{"strength_with_words", share(words_steps)}, {"strength_without_words", share(plain_steps)}, {"styleid_mean_structure", wanted}};
  result.procedure = {
      fmt::format("{} pairs of the {} world, of scenes with seeds that no training uses: a plain content and another scene in one of the styles, which take turns; none at night.", request.pictures, name_of(request.world)),
      fmt::format("StyleID paints each content with its style picture, {}.", request.params.empty() ? "at its own defaults" : "with the parameters " + request.params.dump()),
      fmt::format("Equal structure: the strength of image to image ({} steps) is searched by bisection until the mean structure kept is nearest to StyleID's on the same pairs: {:.2f} with words "
                  "(guidance {}), {:.2f} without. What difference in structure is left is the first row of the differences.", request.steps, share(words_steps), request.guidance, share(plain_steps)),
      "Image to image with words is told the style's name, which the model may have learnt in training; StyleID is told nothing and sees one picture. Without words, image to image cannot know the style: it is the null that the method must beat.",
      "Differences are paired: the same content, style and seed."};
  return result;
}

}  // namespace

extern const Evaluation kStyleEvaluation;
const Evaluation kStyleEvaluation = {"style", "StyleID against image to image at equal structure: how far the style moved", 25, false, "style", run};

}  // namespace attelier
