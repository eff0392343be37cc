#include "pipelines/recognize/recognize.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "core/models/backbones/biformer.h"
#include "core/weights/model_files.h"
#include "pipelines/recognize/preparation.h"
#include "pipelines/recognize/route_drawing.h"
#include "pipelines/recognize/window_drawing.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kDrawnStage = 2;  // whose last block the papers draw

/// The names of `classes` classes: config.json's id2label, or a line each of labels.txt; otherwise "class N".
std::vector<std::string> labels_of(const fs::path& model, const Json& config, int64_t classes) {
  std::vector<std::string> labels;
  for (int64_t i = 0; i < classes; ++i) labels.push_back(fmt::format("class {}", i));
  if (const auto names = config.find("id2label"); names != config.end() && names->is_object()) {
    for (int64_t i = 0; i < classes; ++i)
      if (const auto name = names->find(std::to_string(i)); name != names->end() && name->is_string()) labels[i] = name->get<std::string>();
    return labels;
  }
  const std::string text = read_beside(model, "labels.txt");
  if (text.empty()) return labels;
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (!lines.back().empty() && lines.back().back() == '\r') lines.back().pop_back();
    begin = end + 1;
  }
  if (static_cast<int64_t>(lines.size()) != classes)
    fail(ExitCode::kModel, "{}: its labels.txt has {} lines, the model has {} classes; a line for each class is needed", model.string(), lines.size(),
         classes);
  return lines;
}

/// One picture on its way through the model.
class Recognition {
 public:
  Recognition(const MethodJob& job, const Context& context)
      : job_(job),
        context_(context),
        config_(ModelFiles(job.model_path).config("backbone")),
        model_(load_backbone(job.model_path, context.device, context.dtype)) {
    set_routing();
    const Json& p = job.params;
    preparation_ = Preparation::of_model(config_, processor_beside(job.model_path), p["size"].is_null() ? model_->picture_size() : p["size"].get<int64_t>());
    preparation_.whole = !p["crop"].get<bool>();
    picture_ = prepare(load_image(*job.input("image")), preparation_);
    image_ = to_input(picture_.image, preparation_).to(context.device, context.dtype);
    forward_.stop = context.stop;
    query_ = p["at"].is_null() ? std::array<int64_t, 2>{picture_.image.width / 2, picture_.image.height / 2} : place_of(p["at"]);
  }

  void run(const OutputSink& sink) {
    const std::string show = text_or("show", "");
    context_.report("recognizing", 0, 1);
    outputs_ = model_->forward(image_, forward_, !show.empty());
    context_.report("recognizing", 1, 1);
    for (const at::Tensor& map : outputs_.features) require_finite(map, "the features");
    if (const std::string file = text_or("features", ""); !file.empty()) save_features(file);
    if (job_.trace != nullptr) {
      job_.trace->add("image", image_);
      for (const auto& [name, tensor] : all_outputs()) job_.trace->add(name, tensor);
    }
    sink(classes());
    if (show == "routes") show_routes(sink);
    if (show == "windows") show_windows(sink);
  }

 private:
  std::string text_or(const char* name, const std::string& fallback) const {
    return job_.params[name].is_null() ? fallback : job_.params[name].get<std::string>();
  }

  std::array<int64_t, 2> place_of(const Json& at) const {
    if (at.size() != 2) fail(ExitCode::kBadInput, "/params/at has {} numbers; two are needed, X and Y of a pixel", at.size());
    return picture_.place_of(at[0].get<int64_t>(), at[1].get<int64_t>());
  }

  /// What BiFormer's weights leave open.
  void set_routing() {
    const Json& p = job_.params;
    const std::string choice = p["routing"];
    if (p["n_win"].is_null() && p["topks"].is_null() && p["auto_pad"].is_null() && choice == "learned") return;
    auto* biformer = dynamic_cast<BiFormer*>(model_.get());
    if (biformer == nullptr)
      fail(ExitCode::kBadInput, "n_win, topks, auto_pad and routing are BiFormer's; {} is another model, leave them out", job_.model_path.string());
    BiFormerRouting routing = biformer->config().routing;
    const auto read = [&](const char* name, std::vector<int64_t>& values) {
      if (p[name].is_null()) return;
      const auto given = p[name].get<std::vector<int64_t>>();
      if (given.size() != 1 && given.size() != values.size())
        fail(ExitCode::kBadInput, "/params/{} has {} numbers; give one, or one for each of the {} stages", name, given.size(), values.size());
      for (size_t i = 0; i < values.size(); ++i)
        if (given.size() > 1 || values[i] > 0) values[i] = given[given.size() > 1 ? i : 0];
    };
    read("n_win", routing.n_win);
    read("topks", routing.topks);
    if (!p["auto_pad"].is_null()) routing.auto_pad = p["auto_pad"];
    routing.choice = choice == "self" ? BiFormerRouting::Choice::kSelf : choice == "all" ? BiFormerRouting::Choice::kAll : BiFormerRouting::Choice::kLearned;
    biformer->set_routing(routing);
  }

  NamedTensors all_outputs() const {
    NamedTensors tensors;
    if (outputs_.logits.defined()) tensors.emplace_back("logits", outputs_.logits);
    for (size_t i = 0; i < outputs_.features.size(); ++i) tensors.emplace_back(fmt::format("features.{}", i), outputs_.features[i]);
    tensors.insert(tensors.end(), outputs_.records.begin(), outputs_.records.end());
    return tensors;
  }

  void save_features(const std::string& file) const {
    NamedTensors tensors = all_outputs();
    for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kCPU, at::isFloatingType(tensor.scalar_type()) ? at::kFloat : at::kLong).contiguous();
    write_safetensors(file, tensors);
  }

  MethodOutput classes() const {
    MethodOutput output;
    output.params = job_.params;
    const std::string name = job_.input("image")->filename().string();
    output.result = {{"picture", name}, {"size", {picture_.image.width, picture_.image.height}}, {"top", Json::array()}};
    output.text = name + "\n";
    if (!outputs_.logits.defined()) {
      output.text += "  the model has no classes\n";
      return output;
    }
    const at::Tensor logits = require_finite(outputs_.logits[0].to(at::kCPU, at::kDouble), "the logits"), probabilities = at::softmax(logits, 0);
    const std::vector<std::string> labels = labels_of(job_.model_path, config_, logits.size(0));
    const at::Tensor order = at::argsort(logits, /*stable=*/true, /*dim=*/0, /*descending=*/true);
    const int64_t count = std::min(job_.params["top"].get<int64_t>(), logits.size(0));
    for (int64_t i = 0; i < count; ++i) {
      const int64_t number = order[i].item<int64_t>();
      const double probability = probabilities[number].item<double>();
      output.result["top"].push_back({{"class", number}, {"label", labels[number]}, {"probability", probability}, {"logit", logits[number].item<double>()}});
      output.text += fmt::format("  {:6.2f} %  {:>5}  {}\n", 100 * probability, number, labels[number]);
    }
    return output;
  }

  void show(const OutputSink& sink, Image image, const std::string& label, Json result = nullptr) const {
    MethodOutput output;
    output.image = std::move(image);
    output.params = job_.params;
    output.label = label;
    output.result = std::move(result);
    sink(std::move(output));
  }

  void show_routes(const OutputSink& sink) const {
    const std::vector<BlockRoutes> blocks = read_routes(outputs_.records);
    if (blocks.empty()) fail(ExitCode::kBadInput, "--show routes: {} chooses no regions; choose a BiFormer", job_.model_path.string());
    const Json& p = job_.params;
    const bool usual = std::any_of(blocks.begin(), blocks.end(), [](const BlockRoutes& one) { return one.stage == kDrawnStage; });
    const int64_t stage = !p["stage"].is_null() ? p["stage"].get<int64_t>() : usual ? kDrawnStage : blocks.back().stage;
    const BlockRoutes* drawn = nullptr;
    std::vector<std::string> there;
    for (const BlockRoutes& one : blocks) {
      there.push_back(fmt::format("{}.{}", one.stage, one.block));
      if (one.stage == stage && (p["block"].is_null() || one.block == p["block"])) drawn = &one;
    }
    if (drawn == nullptr)
      fail(ExitCode::kBadInput, "--stage {} --block {}: no regions are chosen there; STAGE.BLOCK may be {}", stage,
           p["block"].is_null() ? "(any)" : p["block"].dump(), fmt::join(there, ", "));
    const auto [x, y] = query_;
    show(sink, draw_routes(picture_.image, *drawn, x, y), "routes",
         {{"picture_shown", {picture_.image.width, picture_.image.height}}, {"blocks", routes_json(blocks, x, y)}});
    show(sink, draw_in_degree(picture_.image, *drawn), "in_degree");
    const auto& biformer = dynamic_cast<const BiFormer&>(*model_);
    const std::array<int64_t, 2> map = biformer.map_sizes(picture_.image.height, picture_.image.width)[drawn->stage];
    const AttentionQuery query{drawn->stage, drawn->block, std::min(y / drawn->stride(), map[0] - 1), std::min(x / drawn->stride(), map[1] - 1)};
    const at::Tensor weights = biformer.attention_of(image_, forward_, query)[0];
    const int64_t heads = weights.size(0);
    if (!p["head"].is_null() && p["head"] >= heads) fail(ExitCode::kBadInput, "--head {}: stage {} has heads 0 to {}", p["head"].dump(), stage, heads - 1);
    const at::Tensor drawn_weights = p["head"].is_null() ? weights.mean(0) : weights[p["head"].get<int64_t>()];
    show(sink,
         draw_attention(picture_.image, drawn_weights, drawn->stride(), x, y,
                        fmt::format("stage {}, block {}, {}", drawn->stage, drawn->block,
                                    p["head"].is_null() ? fmt::format("mean of {} heads", heads) : "head " + p["head"].dump())),
         "attention");
  }

  void show_windows(const OutputSink& sink) const {
    const std::vector<CellWindows> cells = read_windows(outputs_.records);
    if (cells.empty()) fail(ExitCode::kBadInput, "--show windows: {} has no learned windows; choose a ViTAEv2 with VSA", job_.model_path.string());
    const Json& p = job_.params;
    const std::string wanted = text_or("cell", cells.back().cell);
    const auto cell = std::find_if(cells.begin(), cells.end(), [&](const CellWindows& one) { return one.cell == wanted; });
    if (cell == cells.end()) {
      std::vector<std::string> there;
      for (const CellWindows& one : cells) there.push_back(one.cell);
      fail(ExitCode::kBadInput, "--cell {}: has no learned windows; there are {}", wanted, fmt::join(there, ", "));
    }
    const std::optional<int64_t> head = p["head"].is_null() ? std::nullopt : std::optional<int64_t>(p["head"].get<int64_t>());
    show(sink, draw_windows(picture_.image, *cell, head), "windows",
         {{"picture_shown", {picture_.image.width, picture_.image.height}}, {"cells", windows_json(cells)}});
    show(sink, draw_query(picture_.image, *cell, query_[0], query_[1]), "query");
    show(sink, draw_coverage(picture_.image, *cell), "coverage");
  }

  const MethodJob& job_;
  const Context& context_;
  Json config_;
  std::unique_ptr<Backbone> model_;
  Preparation preparation_;
  PreparedPicture picture_;
  at::Tensor image_;
  ForwardContext forward_;
  std::array<int64_t, 2> query_ = {0, 0};  // in the prepared picture
  BackboneOutputs outputs_;
};

void run(const MethodJob& job, const Context& context, const OutputSink& sink) {
  const c10::InferenceMode inference;
  Recognition(job, context).run(sink);
}

ParameterDescriptions parameters() {
  using enum ParameterType;
  return {
      {.name = "top",
       .label = "Classes",
       .help = "How many of the most probable classes are named.",
       .type = kInteger,
       .default_value = 5,
       .minimum = 1,
       .maximum = 100000},
      {.name = "size",
       .label = "Size",
       .help = "Side of the square that the model sees; absent = the size that it was made for.",
       .type = kInteger,
       .default_value = nullptr,
       .minimum = 1,
       .maximum = 8192,
       .unit = "px"},
      {.name = "crop",
       .label = "Crop",
       .help = "The model sees the middle square, as in the papers; false: the whole picture, its shorter side of that size, sides multiples of 32.",
       .type = kBoolean,
       .default_value = true},
      {.name = "features",
       .label = "Features",
       .help = "Also write logits, features and what attention chose to this file.",
       .type = kText,
       .default_value = nullptr},
      {.name = "show",
       .label = "Show",
       .help = "Also draw what attention chose: routes (the regions of a BiFormer) or windows (the learned windows of a ViTAEv2).",
       .type = kChoice,
       .default_value = nullptr,
       .choices = {"routes", "windows"}},
      {.name = "at",
       .label = "Query",
       .help = "X,Y: the pixel of the picture whose attention is drawn; absent = the middle.",
       .type = kIntegers,
       .default_value = nullptr,
       .minimum = 0,
       .unit = "px"},
      {.name = "stage",
       .label = "Stage",
       .help = "Of the drawn block, from 0; absent = 2, or the last one that routes.",
       .type = kInteger,
       .default_value = nullptr,
       .minimum = 0,
       .maximum = 3},
      {.name = "block",
       .label = "Block",
       .help = "Of the stage, from 0; absent = the last.",
       .type = kInteger,
       .default_value = nullptr,
       .minimum = 0,
       .maximum = 1000},
      {.name = "cell",
       .label = "Cell",
       .help = "Whose windows are drawn, as the checkpoint names it: 2.NC.0; absent = the last.",
       .type = kText,
       .default_value = nullptr},
      {.name = "head",
       .label = "Head",
       .help = "The only one drawn, from 0; absent = all, or their mean.",
       .type = kInteger,
       .default_value = nullptr,
       .minimum = 0,
       .maximum = 1000},
      {.name = "n_win",
       .label = "Regions",
       .help = "BiFormer: regions along each side, one number or one for each stage; absent = the model's own.",
       .type = kIntegers,
       .default_value = nullptr,
       .minimum = 1,
       .maximum = 256,
       .advanced = true},
      {.name = "topks",
       .label = "Chosen regions",
       .help = "BiFormer: how many regions each attends to, one number or one for each stage (dense stages keep theirs); absent = the model's own.",
       .type = kIntegers,
       .default_value = nullptr,
       .minimum = -2,
       .maximum = 65536,
       .advanced = true},
      {.name = "auto_pad",
       .label = "Padding",
       .help = "BiFormer: pad maps that the regions do not divide; absent = the model's own.",
       .type = kBoolean,
       .default_value = nullptr,
       .advanced = true},
      {.name = "routing",
       .label = "Routing",
       .help = "BiFormer: the learned choice of regions; self: each its own (plain windows); all: dense attention.",
       .type = kChoice,
       .default_value = "learned",
       .choices = {"learned", "self", "all"},
       .advanced = true},
  };
}

fs::path find_backbone(const fs::path& path, const Json&) {
  const ModelFiles files(path);
  if (!files.has("backbone"))
    fail(ExitCode::kModel, "{}: has no backbone (BiFormer, ViTAEv2 or ViT with its config.json); it has {}; choose another with --model",
         path.string(), fmt::join(files.components(), ", "));
  return path;
}

}  // namespace

const Method kRecognizeMethod = {
    .name = "recognize",
    .summary = "Say what pictures show; draw what attention chose",
    .parameters = parameters(),
    .inputs = {{"image", "a picture", true, false}},
    .examples = {"cat.jpg --model biformer_small/", "cat.jpg --model biformer_small/ --show routes --at 210,140",
                 "cat.jpg --model vsa_small/ --show windows --features cat.safetensors"},
    .run = run,
    .find_model = find_backbone,
    .takes_files = true,
    .makes_files = false,
};

}  // namespace attelier
