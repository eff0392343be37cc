// Do attention edits do what they say? Pictures of one thing, with the thing's word muted in one place or both, doubled, and with a word muted that names nothing.
#include <algorithm>
#include <sstream>

#include "core/evaluation/metrics.h"
#include "pipelines/evaluation/workbench.h"
#include "pipelines/generate/generate.h"

namespace attelier {
namespace {

enum : size_t { kPlain, kUnheard, kMuted, kDoubled, kIdle, kArms };

/// A scene whose caption names one kind of thing, and its word.
struct NamedThing {
  LabelledScene scene;
  std::string word;
};

bool has_word(const std::string& text, const std::string& word) {
  std::istringstream words(text);
  for (std::string one; words >> one;)
    if (one == word) return true;
  return false;
}

constexpr int kMostTries = 10'000;

/// The held-out scenes from `number` on that ask for one kind by its word alone and begin with an article; `number` ends behind the scene.
NamedThing next_thing(const EvaluationRequest& request, int64_t size, int64_t& number, const Context& context) {
  const WorldWords& words = words_of(request.world);
  for (int tries = 0; tries < kMostTries; ++tries) {
    context.check_stop();
    NamedThing thing{draw_labelled(request.world, held_out_seed(request.seed, number++), {.size = size, .edges = false}), ""};
    const std::vector<int64_t>& count = thing.scene.claims.count;
    const auto named = std::find_if(count.begin(), count.end(), [](int64_t n) { return n > 0; });
    if (named == count.end() || std::any_of(named + 1, count.end(), [](int64_t n) { return n > 0; })) continue;
    thing.word = words.kinds[static_cast<size_t>(named - count.begin())];
    if (has_word(thing.scene.caption, thing.word) && thing.scene.caption.starts_with("a ")) return thing;
  }
  fail(ExitCode::kBadInput, "none of {} scenes from number {} on has a caption that begins with \"a \" and names one kind of thing by its word; choose another --seed or --world", kMostTries, number - kMostTries);
}

EvaluationResult run(const EvaluationRequest& request, const Context& context) {
  Workbench bench(*request.model, context);
  const auto items = static_cast<size_t>(request.pictures);
  const int64_t size = bench.model().native_size(), total = request.pictures * static_cast<int64_t>(kArms);
  const WorldWords& words = words_of(request.world);
  EvaluationResult result;
  result.arms = {{"as it is", "the caption's picture without edits"},
                 {"not looked at", "THING=0: the picture does not attend to the word of the thing, only to those that have read it"},
                 {"muted", "THING=0 and THING=0 site:text_encoder*:*: nor do the other words of the caption"},
                 {"doubled", "THING=2"},
                 {"an article muted", "a=0 and a=0 site:text_encoder*:*: as much is done to words that name nothing"}};
  result.comparisons = {{kPlain, kUnheard}, {kPlain, kMuted}, {kPlain, kDoubled}, {kPlain, kIdle}, {kIdle, kMuted}};
  VerdictTable verdicts(kArms, items);
  Measure changed = blank_measure("changed", "1 - SSIM to the picture without edits", Measure::Better::kNeither, kArms, items);
  int64_t painted = 0, number = 0;
  for (size_t i = 0; i < items; ++i) {
    const NamedThing thing = next_thing(request, size, number, context);
    const auto in_text = [](const std::string& edit) { return edit + " site:text_encoder*:*"; };
    const std::string mute = thing.word + "=0";
    const std::vector<std::vector<std::string>> edits = {{}, {mute}, {mute, in_text(mute)}, {thing.word + "=2"}, {"a=0", in_text("a=0")}};
    EvaluationExample example{thing.scene.caption, {}};
    at::Tensor plain;
    for (size_t arm = 0; arm < kArms; ++arm) {
      nlohmann::json params = {{"prompt", thing.scene.caption}, {"seed", request.seed + i}, {"count", 1}, {"steps", request.steps}, {"guidance_scale", request.guidance}};
      if (!edits[arm].empty()) params["attention"] = edits[arm];
      const at::Tensor picture = bench.make(kGenerateMethod, with_settings(request, params));
      if (arm == kPlain) plain = picture;
      else changed.values[arm][i] = 1 - ssim_between(picture, plain);
      const SceneLabels labels = judge_pictures(*request.judge, picture)[0].labels;
      std::vector<Verdict> kept = compare_labels(thing.scene.claims, labels, words);
      std::erase_if(kept, [](const Verdict& verdict) { return verdict.attribute == "count" || verdict.attribute == "everything"; });
      verdicts.add(arm, i, kept);
      if (i < 48) example.pictures.emplace_back(result.arms[arm].name, to_image(picture));
      context.report("painting", ++painted, total);
    }
    if (i < 48) result.examples.push_back(std::move(example));
  }
  result.measures = verdicts.measures();
  result.measures.push_back(std::move(changed));
  result.procedure = {
      fmt::format("{} captions of the {} world that name one kind of thing, of scenes with seeds that no training uses; five pictures each from the same noise with {} steps and guidance {}, seeds counting up from {}.",
                  request.pictures, name_of(request.world), request.steps, request.guidance, request.seed),
      "\"objects\": the judge, a network trained apart from the model, sees the named thing; \"place\" and the like tell whether the rest of the caption is still followed.",
      "Colours are asked of pictures that lack their thing, too: there they are wrong."};
  return result;
}

}  // namespace

extern const Evaluation kAttentionEvaluation;
const Evaluation kAttentionEvaluation = {"attention", "Whether a muted or doubled word does what it says", 40, true, "generate", run};

}  // namespace attelier
