#include "pipelines/evaluation/workbench.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/scenes/world/dice.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

const char* help_of(const std::string& attribute) {
  if (attribute == "objects") return "every thing that the caption names is there";
  if (attribute == "colour") return "every thing that it names is there in its colour";
  if (attribute == "count") return "as many of every kind as it says";
  if (attribute == "relation") return "of captions of two things: both are there, each on its side";
  if (attribute == "everything") return "all that the caption says at once";
  return "as the caption says, where it says it";
}

}  // namespace

uint64_t held_out_seed(uint64_t seed, int64_t number) { return world::mix64(world::mix64(seed, 0xe7a1), static_cast<uint64_t>(number)); }

at::Tensor picture_of(const LabelledScene& scene) {
  return at::from_blob(const_cast<float*>(scene.rgb.data()), {1, scene.size, scene.size, 3}, at::kFloat).permute({0, 3, 1, 2}).contiguous();
}

at::Tensor map_of(const LabelledScene& scene, const std::vector<float>& values) {
  return at::from_blob(const_cast<float*>(values.data()), {scene.size, scene.size}, at::kFloat).clone();
}

Workbench::Workbench(DiffusionModel& model, const Context& context) : model_(model), context_(context), quiet_(context) {
  quiet_.progress = {};
  quiet_.preview = {};
  std::error_code error;
  const fs::path base = fs::temp_directory_path(error);
  std::string name = ((error ? fs::path("/tmp") : base) / "attelier-evaluate-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) fail(ExitCode::kBadInput, "{}: no temporary folder can be made: {}; set TMPDIR to a folder with room", name, std::strerror(errno));
  folder_ = name;
}

Workbench::~Workbench() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

at::Tensor Workbench::make(const Method& method, const nlohmann::json& params, const std::vector<std::pair<std::string, at::Tensor>>& inputs) {
  context_.check_stop();
  std::vector<Problem> problems;
  MethodJob job;
  job.params = resolve_parameters(method.parameters, params, "/params", problems);
  if (!problems.empty()) fail(ExitCode::kBadInput, "{} {}", problems.front().pointer, problems.front().message);
  job.model = &model_;
  for (const auto& [name, picture] : inputs) {
    const fs::path path = folder_ / fmt::format("{}_{}.png", name, job.inputs[name].size());
    save_image(path, to_image(picture));
    job.inputs[name].push_back(path);
  }
  at::Tensor made;
  method.run(job, quiet_, [&](const MethodOutput& output) { made = to_tensor(output.image); });
  return made;
}

at::Tensor Workbench::autoencoded(const at::Tensor& picture) {
  const c10::InferenceMode inference;
  context_.check_stop();
  ForwardContext forward;
  forward.stop = context_.stop;
  return (model_.decode(model_.encode(picture * 2 - 1, {}, forward), forward) / 2 + 0.5).clamp(0, 1).to(at::kCPU, at::kFloat);
}

void VerdictTable::add(size_t arm, size_t item, const std::vector<Verdict>& verdicts) {
  for (const Verdict& verdict : verdicts) {
    auto found = std::find_if(found_.begin(), found_.end(), [&](const Measure& measure) { return measure.name == verdict.attribute; });
    if (found == found_.end()) {
      found_.push_back(blank_measure(verdict.attribute, help_of(verdict.attribute), Measure::Better::kHigher, arms_, items_));
      found_.back().is_share = true;
      found = found_.end() - 1;
    }
    found->values[arm][item] = verdict.right ? 1 : 0;
  }
}

std::vector<Measure> VerdictTable::measures() const {
  static const std::vector<std::string> order = {"objects", "colour", "count", "relation", "place", "daytime", "weather", "style", "everything"};
  std::vector<Measure> sorted = found_;
  const auto rank = [&](const Measure& measure) { return std::find(order.begin(), order.end(), measure.name) - order.begin(); };
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Measure& a, const Measure& b) { return rank(a) < rank(b); });
  return sorted;
}

nlohmann::json with_settings(const EvaluationRequest& request, nlohmann::json params) {
  for (const auto& [name, value] : request.params.items()) {
    if (params.contains(name))
      fail(ExitCode::kUsage, "--set {}={}: the evaluation chooses this parameter itself; {}", name, value.dump(),
           name == "steps" ? "use --steps" : name == "guidance_scale" ? "use --guidance" : name == "seed" ? "use --seed" : "leave it out");
    params[name] = value;
  }
  return params;
}

Measure blank_measure(const std::string& name, const std::string& help, Measure::Better better, size_t arms, size_t items) {
  return {name, help, better, false, std::vector<std::vector<double>>(arms, std::vector<double>(items, kNotMeasured))};
}

}  // namespace attelier
