// attelier inspect JOB OUT: where a job's attention goes, as pictures or numbers.
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "app/cli/execute.h"
#include "app/session/attention_view.h"
#include "app/session/output_names.h"
#include "app/session/run.h"
#include "core/media/heat_map.h"
#include "pipelines/attention_watch.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

struct InspectOptions {
  std::string job, out, layer;
  std::vector<std::string> words;
  std::vector<double> place;
  bool received = false, spread = false, cells = false;
  std::optional<int64_t> step, head, style;
  double density = 0.6;
  int64_t megabytes = 1024;
};

/// Keeps the picture of a run that writes none.
Image first_picture(const Trace& trace) {
  for (const auto& [name, tensor] : trace.tensors())
    if (name == "image") return to_image(tensor.slice(0, 0, 1));
  return {};
}

std::string known_words(const std::vector<PromptWord>& words) {
  std::vector<std::string> texts;
  for (const PromptWord& word : words) texts.push_back(word.text);
  return texts.empty() ? "none" : fmt::format("{}", fmt::join(texts, " "));
}

/// As save_map() will see it, before the job takes its time.
void check_ending(const fs::path& out) {
  std::string ending = out.extension().string();
  if (ending == ".npy" || ending == ".csv") return;
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (ending != ".png" && ending != ".jpg" && ending != ".jpeg" && ending != ".webp")
    fail(ExitCode::kUsage, "{}: a map is written as .png, .jpg, .jpeg or .webp over the picture, as .npy or as .csv; end OUT in one of these", out.string());
}

class Inspection {
 public:
  Inspection(const InspectOptions& options, const AttentionWatch& watch, Image picture) : options_(options), watch_(watch), picture_(std::move(picture)) {
    base_.step = options.step;
    base_.head = options.head;
    if (options.style) choose_style();
    if (options.step) check_step();
    if (!options.layer.empty()) choose_layer();
  }

  /// Writes every map that was asked for; returns the files.
  std::vector<fs::path> write() {
    if (!options_.place.empty()) write_one(MapKind::kPlace, {}, "place");
    if (options_.received) write_one(MapKind::kReceived, {}, "received");
    if (options_.spread) write_one(MapKind::kEntropy, {}, "spread");
    if (!options_.words.empty()) {
      std::set<std::string> done;
      for (const std::string& word : options_.words)
        if (done.insert(word).second) write_word(word);
    } else if (files_.empty()) {
      std::set<std::string> done;
      for (const PromptWord& word : watch_.words())
        if (done.insert(word.text).second) write_word(word.text);
    }
    if (files_.empty()) fail(ExitCode::kBadInput, "there are no words to look for; choose --place X,Y, --received or --spread");
    return files_;
  }

 private:
  void check_step() const {
    const std::vector<int64_t> steps = captured_steps(watch_);
    if (std::find(steps.begin(), steps.end(), *options_.step) == steps.end())
      fail(ExitCode::kUsage, "--step is {}; kept were the steps {}", *options_.step, fmt::join(steps, ", "));
  }

  /// The maps are of that picture then.
  void choose_style() {
    const std::vector<Image> styles = watch_.sources();
    if (*options_.style > static_cast<int64_t>(styles.size()))
      fail(ExitCode::kUsage, "--style is {}; the run looked at {} besides itself", *options_.style, styles.empty() ? "no picture" : styles.size() == 1 ? "one picture" : fmt::format("{} pictures", styles.size()));
    base_.source = *options_.style - 1;
    picture_ = styles[static_cast<size_t>(*base_.source)];
  }

  void choose_layer() {
    const std::vector<LayerName> layers = captured_layers(watch_);
    const auto found = std::find_if(layers.begin(), layers.end(), [&](const LayerName& layer) {
      return layer.site == options_.layer || layer.label == options_.layer || layer.label.substr(0, layer.label.find(" · ")) == options_.layer;
    });
    if (found == layers.end()) {
      std::vector<std::string> labels;
      for (const LayerName& layer : layers) labels.push_back(layer.label.substr(0, layer.label.find(" · ")));
      fail(ExitCode::kUsage, "--layer is \"{}\"; the layers are {}", options_.layer, fmt::join(labels, ", "));
    }
    layer_ = *found;
    if (options_.head && *options_.head >= found->heads) fail(ExitCode::kUsage, "--head is {}; the layer {} has the heads 0 to {}", *options_.head, options_.layer, found->heads - 1);
  }

  void write_word(const std::string& text) {
    std::vector<int64_t> tokens;
    for (const PromptWord& word : watch_.words())
      if (word.text == text)
        for (int64_t i = 0; i < word.count; ++i) tokens.push_back(word.first + i);
    if (tokens.empty()) fail(ExitCode::kUsage, "--word is \"{}\"; the prompt's words are {}", text, known_words(watch_.words()));
    write_one(MapKind::kWords, std::move(tokens), text);
  }

  void write_one(MapKind kind, std::vector<int64_t> tokens, const std::string& label) {
    MapRequest request = base_;
    request.kind = kind;
    if (kind == MapKind::kWords && base_.source) fail(ExitCode::kUsage, "--word and --style do not go together: words are looked at by the picture's own places");
    request.tokens = std::move(tokens);
    if (!options_.place.empty()) {
      request.x = options_.place[0];
      request.y = options_.place[1];
    }
    if (layer_) request.site = site_of(*layer_, kind);
    const MapResult result = compute_maps(watch_, request);
    const fs::path out = options_.out;
    const fs::path file = is_single() ? out : out.parent_path() / fmt::format("{}_{}{}", out.stem().string(), free_label(label), out.extension().string());
    save_map(file, result.map, picture_, whole_range(result.map), options_.density, !options_.cells);
    files_.push_back(file);
  }

  bool is_single() const { return options_.words.size() + (options_.place.empty() ? 0 : 1) + (options_.received ? 1 : 0) + (options_.spread ? 1 : 0) == 1; }
  static std::string sanitised(std::string text) {
    for (char& c : text)
      if (static_cast<unsigned char>(c) < 0x80 && std::isalnum(static_cast<unsigned char>(c)) == 0) c = '-';
    return text;
  }
  /// "it's" and "it-s" are it-s and it-s_2; a word that is called like one of the other maps stands behind it.
  std::string free_label(const std::string& label) {
    const std::string wanted = sanitised(label);
    std::string free = wanted;
    for (int number = 2; !labels_.insert(free).second; ++number) free = fmt::format("{}_{}", wanted, number);
    return free;
  }

  const InspectOptions& options_;
  const AttentionWatch& watch_;
  Image picture_;
  MapRequest base_;
  std::optional<LayerName> layer_;
  std::vector<fs::path> files_;
  std::set<std::string> labels_;
};

}  // namespace

void add_inspect_verb(CLI::App& app, Invocation& invocation) {
  struct State {
    InspectOptions options;
    SettingFlags flags;
  };
  auto state = std::make_shared<State>();
  InspectOptions& o = state->options;
  CLI::App* verb = app.add_subcommand("inspect", "See where a job's attention goes: which places look at a word, what a place looks at");
  verb->add_option("job", o.job, "A job file, a picture that Attelier made, or - for standard input")->required()->type_name("JOB");
  verb->add_option("out", o.out, "The map to write: .png over the picture, .npy or .csv numbers; of several maps each gets its name")->required()->type_name("OUT");
  verb->add_option("--word", o.words, "Where the picture looks at this word of the prompt; may be repeated; without any other choice every word")->type_name("WORD")->take_all();
  verb->add_option("--place", o.place, "What the place X,Y (shares of the picture) looks at")->delimiter(',')->expected(2)->check(CLI::Range(0.0, 1.0))->type_name("X,Y");
  verb->add_flag("--received", o.received, "How much each place is looked at");
  verb->add_flag("--spread", o.spread, "How widely each place looks: the entropy of its attention, in bits");
  verb->add_option("--layer", o.layer, "One layer, as \"down 1.0\" or by its path; otherwise the mean of all")->type_name("LAYER");
  verb->add_option("--step", o.step, "One step, counted from 0; otherwise the mean of all")->type_name("N")->check(CLI::NonNegativeNumber);
  verb->add_option("--head", o.head, "One head; otherwise the mean of all")->type_name("N")->check(CLI::NonNegativeNumber);
  verb->add_option("--style", o.style, "Not in the picture itself but in its style picture N, counted from 1: where in it a place looks, and what of it is used")->type_name("N")->check(CLI::PositiveNumber);
  verb->add_option("--density", o.density, "How much the map covers the picture")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  verb->add_flag("--cells", o.cells, "Every token as one cell, not smoothed");
  verb->add_option("--max-capture-mb", o.megabytes, "Memory for what is kept; longer runs keep every second, fourth, ... step")->check(CLI::Range(1, 1 << 20))->capture_default_str()->type_name("MB");
  state->flags.add_common(*verb, {"", "run"});
  verb->footer("Examples:\n  attelier inspect house.png maps.png\n  attelier inspect house.png house_map.png --word house --layer \"up 3.1\"\n  attelier inspect job.json look.npy --place 0.3,0.6\n  attelier inspect styled.png used.png --style 1 --received");
  verb->callback([state, &invocation] {
    const InspectOptions& options = state->options;
    const fs::path out = options.out;
    check_ending(out);
    const PreparedJob prepared = prepare_job(load_job(options.job), state->flags);
    check_folder(out.has_parent_path() ? out.parent_path() : ".", 1 << 20);
    Context context = invocation.context();
    AttentionWatch watch(options.megabytes << 20);
    Trace trace;
    RunHooks hooks;
    hooks.watch = &watch;
    run_job(prepared.job, context, &trace, hooks);
    if (captured_steps(watch).empty()) fail(ExitCode::kUsage, "the method {} cannot be watched; generate and style can", prepared.job.method->name);
    if (watch.recorder.stride() > 1) context.info("one in {} steps is kept; --max-capture-mb keeps more", watch.recorder.stride());
    const std::vector<fs::path> files = Inspection(options, watch, first_picture(trace)).write();
    invocation.console.clear_line();
    for (const fs::path& file : files) fmt::print("{}\n", file.string());
  });
}

}  // namespace attelier
