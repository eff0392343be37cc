// attelier evaluate style|generate|attention|controlnet|inpaint|lora|judge: plain against method on scenes whose truth is known.
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "app/cli/console.h"
#include "app/cli/file_set.h"
#include "app/session/evaluation_report.h"
#include "app/session/job.h"
#include "app/session/machine.h"
#include "app/session/output_names.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/weights/model_store.h"
#include "pipelines/evaluation/evaluation.h"
#include "pipelines/method.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

struct EvaluateOptions {
  std::string method, model = "mini", against, world, judge, controlnet, control = "depth", lora, recognizer, character, folder, device = "auto", dtype = "float32";
  int64_t pictures = 0, steps = 30, shown = 12;
  int threads = 0;
  uint64_t seed = 0;
  double guidance = 4;
  bool json = false;
  std::vector<std::string> settings;
};

/// The parameters of --set, as the method's description reads them.
Json read_settings(const EvaluateOptions& options, const Evaluation& evaluation) {
  Json given = Json::object();
  if (options.settings.empty()) return given;
  const Method* method = find_method(evaluation.method);
  if (method == nullptr) fail(ExitCode::kUsage, "--set: evaluate {} runs no method whose parameters could be set", evaluation.name);
  std::vector<std::string> names;
  for (const ParameterDescription& description : method->parameters) names.push_back(description.name);
  for (const std::string& setting : options.settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos) fail(ExitCode::kUsage, "--set {}: expected NAME=VALUE, for instance --set gamma=0.5", setting);
    const std::string name = setting.substr(0, equals);
    const auto found = std::find(names.begin(), names.end(), name);
    const std::string near = found == names.end() ? nearest_name(name, names) : "";
    if (found == names.end()) fail(ExitCode::kUsage, "--set {}: {} has no parameter of that name{}", name, method->name, near.empty() ? "" : fmt::format("; did you mean {}?", near));
    given[name] = parse_parameter(method->parameters[static_cast<size_t>(found - names.begin())], setting.substr(equals + 1));
  }
  std::vector<Problem> problems;
  resolve_parameters(method->parameters, given, "", problems);
  if (!problems.empty()) fail(ExitCode::kUsage, "--set {} {}", problems.front().pointer.substr(1), problems.front().message);
  return given;
}

/// The world that the model learnt from, as the training configurations in its folder say ("training/*.json", /data/source); nothing if they do not.
std::optional<WorldName> world_of_model(const fs::path& model) {
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(model / "training", none)) {
    if (entry.path().extension() != ".json" || !entry.is_regular_file(none)) continue;
    const Json config = Json::parse(read_file(entry.path(), 1 << 20), nullptr, /*allow_exceptions=*/false);
    if (!config.is_object() || !config.contains("data") || !config["data"].is_object() || config.value("objective", Json()) == "vae") continue;
    const Json source = config["data"].value("source", Json());
    if (source == "small_world") return WorldName::kSmall;
    if (source == "world") return WorldName::kFull;
  }
  return std::nullopt;
}

/// The given judge, or the shipped one of the world; null where there is none.
std::unique_ptr<Judge> judge_for(const EvaluateOptions& options, WorldName world, bool required, const Context& context) {
  const fs::path folder = options.judge.empty() ? assets_folder() / (world == WorldName::kSmall ? "judge" : "judge-full") : fs::path(options.judge);
  if (options.judge.empty() && !fs::exists(folder / "config.json")) {
    const std::string missing = fmt::format("there is no judge of the {} world in {}", name_of(world), folder.string());
    if (required) fail(ExitCode::kModel, "{}; train one with attelier train and name its folder with --judge, or choose another --world", missing);
    context.warn("{}: what only a judge can see is left out", missing);
    return nullptr;
  }
  auto judge = load_judge(folder);
  if (judge->config().world != name_of(world))
    fail(ExitCode::kModel, "{}: this judge knows the {} world, but --world is {}; choose the other world or another judge", folder.string(), judge->config().world, name_of(world));
  return judge;
}

WorldName world_for(const EvaluateOptions& options, const fs::path& model, const Context& context) {
  if (!options.world.empty()) return *world_of(options.world);
  if (const auto world = world_of_model(model)) return *world;
  context.warn("{} does not say which world it was trained on; its pictures are asked for in the small one (--world small|full)", model.string());
  return WorldName::kSmall;
}

void check_lora_options(const EvaluateOptions& options, const Json& params) {
  if (options.lora.empty() || options.recognizer.empty() || options.character.empty())
    fail(ExitCode::kUsage, "evaluate lora needs --lora FILE, --recognizer DIR (a classifier of characters: attelier train with \"objective\": \"classify\" and \"characters\") and --character NAME");
  if (!params.contains("prompt")) fail(ExitCode::kUsage, "evaluate lora needs the caption that the LoRA was trained on: --set prompt=\"a picture of mia\"");
}

void evaluate(const EvaluateOptions& options, Invocation& invocation) {
  invocation.what_stays = "nothing was written";
  const auto start = std::chrono::steady_clock::now();
  const Evaluation& evaluation = *find_evaluation(options.method);
  const Json params = read_settings(options, evaluation);
  if (!options.folder.empty()) check_folder(options.folder, int64_t{16} << 20);
  Context context = invocation.context();
  context.device = parse_device(options.device);
  context.dtype = parse_dtype(options.dtype, context.device);
  if (options.threads > 0) at::set_num_threads(options.threads);
  if (options.method == "controlnet" && options.controlnet.empty())
    fail(ExitCode::kModel, "evaluate controlnet needs a ControlNet: name its folder or file with --controlnet (attelier train makes one)");
  if (options.method == "inpaint" && options.against.empty())
    fail(ExitCode::kModel, "evaluate inpaint needs a second model, which blends where --model is made for masks: name it with --against (--model mini-inpaint --against mini)");
  if (options.method == "lora") check_lora_options(options, params);
  const fs::path model_path = resolve_model(options.model);
  const WorldName world = world_for(options, model_path, context);
  const std::unique_ptr<Judge> judge = judge_for(options, world, evaluation.needs_judge, context);
  DiffusionModel model(model_path, context.device, context.dtype);
  std::optional<DiffusionModel> against;
  if (!options.against.empty()) against.emplace(resolve_model(options.against), context.device, context.dtype);

  EvaluationRequest request;
  request.pictures = options.pictures > 0 ? options.pictures : evaluation.pictures;
  request.seed = options.seed;
  request.world = world;
  request.model = &model;
  request.against = against ? &*against : nullptr;
  request.judge = judge.get();
  request.controlnet = options.controlnet.empty() ? fs::path() : resolve_model(options.controlnet);
  request.control = options.control;
  request.lora = options.lora.empty() ? fs::path() : fs::absolute(options.lora);
  request.recognizer = options.recognizer;
  request.character = options.character;
  request.guidance = options.guidance;
  request.steps = options.steps;
  request.params = params;
  EvaluationRecord record;
  record.name = evaluation.name;
  record.summary = evaluation.summary;
  record.seed = options.seed;
  record.settings = {{"model", options.model}, {"model_sha256", model.files().hash(&context)}, {"world", name_of(world)}, {"pictures", request.pictures}, {"seed", request.seed},
                     {"device", context.device.is_cuda() ? "cuda" : "cpu"}, {"dtype", dtype_name(context.dtype)}, {"attelier", version()}};
  if (options.method != "judge") record.settings["steps"] = request.steps, record.settings["guidance"] = request.guidance;
  if (!params.empty()) record.settings["set"] = params;
  if (options.method == "controlnet") record.settings["controlnet"] = options.controlnet, record.settings["control"] = options.control;
  if (against) record.settings["against"] = options.against, record.settings["against_sha256"] = against->files().hash(&context);
  if (options.method == "lora") record.settings["lora"] = options.lora, record.settings["recognizer"] = options.recognizer, record.settings["character"] = options.character;
  record.result = evaluation.run(request, context);
  context.check_stop();
  if (request.pictures < 10) record.result.procedure.push_back("Intervals of fewer than ten pictures are rough: treat them as a trial.");
  record.settings["seconds"] = std::round(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  const Json json = evaluation_json(record);
  std::vector<std::string> written;
  if (!options.folder.empty()) {
    FileSet files(options.folder);
    for (const auto& [name, bytes] : {std::pair{"evaluation_" + evaluation.name + ".json", dump(json, 2) + "\n"}, {"evaluation_" + evaluation.name + ".html", evaluation_page(record, static_cast<size_t>(options.shown))}}) {
      files.add(name, bytes);
      written.push_back((fs::path(options.folder) / name).string());
    }
    context.check_stop();
    files.publish();
  }
  invocation.console.clear_line();
  if (options.json)
    fmt::print("{}\n", dump(json, 2));
  else
    fmt::print("{}{}", evaluation_table(record), written.empty() ? "" : fmt::format("{}\n", fmt::join(written, "\n")));
}

}  // namespace

void add_evaluate_verb(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<EvaluateOptions>();
  std::vector<std::string> names, lines;
  for (const Evaluation* evaluation : evaluations()) {
    names.push_back(evaluation->name);
    lines.push_back(fmt::format("  {:<11} {} ({} pictures by default)", evaluation->name, evaluation->summary, evaluation->pictures));
  }
  CLI::App* verb = app.add_subcommand("evaluate", "Measure a method against doing without it, on scenes whose truth is known");
  verb->add_option("method", options->method, fmt::format("{}", fmt::join(names, ", ")))->required()->check(CLI::IsMember(names));
  verb->add_option("--model", options->model, "A model's path or name")->type_name("PATH")->capture_default_str();
  verb->add_option("--against", options->against, "inpaint: a text-to-image model of the same size, which blends")->type_name("PATH");
  verb->add_option("--pictures", options->pictures, "Held-out scenes; more of them make the intervals shorter")->check(CLI::Range(int64_t{2}, int64_t{100000}));
  verb->add_option("--seed", options->seed, "Seed of scenes, noise and intervals")->capture_default_str();
  verb->add_option("--out", options->folder, "An existing folder for evaluation_METHOD.html and evaluation_METHOD.json")->type_name("DIR");
  verb->add_flag("--json", options->json, "Print the JSON instead of a table");
  verb->add_option("--world", options->world, "small or full; absent = the one that the model was trained on")->check(CLI::IsMember({"small", "full"}));
  verb->add_option("--judge", options->judge, "A judge's folder; absent = the shipped one")->type_name("DIR");
  verb->add_option("--controlnet", options->controlnet, "controlnet: the ControlNet's path or name")->type_name("PATH");
  verb->add_option("--control", options->control, "controlnet: what it reads, depth or edges")->check(CLI::IsMember({"depth", "edges"}))->capture_default_str();
  verb->add_option("--lora", options->lora, "lora: the LoRA's path")->type_name("FILE");
  verb->add_option("--recognizer", options->recognizer, "lora: folder of a classifier of characters")->type_name("DIR");
  verb->add_option("--character", options->character, "lora: the name of the character that it shows")->type_name("NAME");
  verb->add_option("--steps", options->steps, "Denoising steps of generate and of image to image")->check(CLI::Range(2, 1000))->capture_default_str();
  verb->add_option("--guidance", options->guidance, "Guidance of generate and of image to image with words")->check(CLI::Range(0.0, 1000.0))->capture_default_str();
  verb->add_option("--set", options->settings, "A parameter of the method that differs from its default, as in --set gamma=0.5; may be repeated")->type_name("NAME=VALUE")->allow_extra_args(false);
  verb->add_option("--show", options->shown, "Rows of pictures on the page, at most 48")->check(CLI::Range(0, 48))->capture_default_str();
  verb->add_option("--device", options->device, "auto, cpu or cuda")->capture_default_str();
  verb->add_option("--dtype", options->dtype, "float32, bfloat16 or float16")->capture_default_str();
  verb->add_option("--threads", options->threads, "CPU threads, 0 = all")->check(CLI::Range(0, 4096));
  verb->footer(fmt::format("Methods:\n{}\n\nExample:\n  attelier evaluate style --pictures 25 --out .", fmt::join(lines, "\n")));
  verb->callback([options, &invocation] { evaluate(*options, invocation); });
}

}  // namespace attelier
