#include "core/evaluation/judgement.h"

#include <c10/core/GradMode.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/weights/load.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

int64_t index_of_largest(const at::Tensor& logits) { return logits.argmax().item<int64_t>(); }

}  // namespace

std::unique_ptr<Judge> load_judge(const fs::path& folder) {
  const fs::path config_path = folder / "config.json", weights_path = folder / "model.safetensors";
  if (!fs::is_regular_file(config_path) || !fs::is_regular_file(weights_path))
    fail(ExitCode::kModel, "{}: is no judge: expected the files config.json and model.safetensors; name another folder with --judge", folder.string());
  nlohmann::json config;
  try {
    config = nlohmann::json::parse(read_file(config_path, 1 << 20));
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::kModel, "{}: is not JSON: {}", config_path.string(), error.what());
  }
  auto judge = std::make_unique<Judge>(JudgeConfig::from_json(config));
  const std::optional<WorldName> world = world_of(judge->config().world);
  if (!world) fail(ExitCode::kModel, "{}: \"world\" is \"{}\"; allowed are \"small\" and \"full\"", config_path.string(), judge->config().world);
  const JudgeConfig expected = judge_config(*world);
  const auto same = [](const JudgeConfig::Attribute& a, const JudgeConfig::Attribute& b) { return a.name == b.name && a.values == b.values; };
  if (judge->config().kinds != expected.kinds || judge->config().hues != expected.hues || judge->config().counts != expected.counts ||
      !std::equal(judge->config().attributes.begin(), judge->config().attributes.end(), expected.attributes.begin(), expected.attributes.end(), same))
    fail(ExitCode::kModel, "{}: was trained on other words than those of the {} world; train it again", config_path.string(), judge->config().world);
  load_weights(*judge, *open_tensors(weights_path), at::kCPU, at::kFloat);
  return judge;
}

JudgeConfig judge_config(WorldName world) {
  const WorldWords& words = words_of(world);
  JudgeConfig config;
  config.world = name_of(world);
  config.kinds = words.kinds;
  config.hues = words.hues;
  for (const SceneAttribute& attribute : words.attributes) config.attributes.push_back({attribute.name, attribute.values});
  config.counts = kMostCounted + 1;
  config.depth = world == WorldName::kFull;
  return config;
}

at::Tensor judge_input(const Judge& judge, const at::Tensor& pictures) {
  const int64_t size = judge.config().picture_size;
  return (at::adaptive_avg_pool2d(pictures.to(judge.device(), at::kFloat), {size, size}) * 2 - 1).contiguous(at::MemoryFormat::ChannelsLast);
}

std::vector<Judgement> judge_pictures(const Judge& judge, const at::Tensor& pictures) {
  const c10::NoGradGuard no_grad;
  JudgeOutputs outputs = judge.forward(judge_input(judge, pictures));
  for (at::Tensor* output : {&outputs.counts, &outputs.hues, &outputs.x, &outputs.depth})
    if (output->defined()) *output = output->to(at::kCPU);
  for (at::Tensor& attribute : outputs.attributes) attribute = attribute.to(at::kCPU);
  const auto kinds = static_cast<int64_t>(judge.config().kinds.size());
  std::vector<Judgement> all;
  for (int64_t b = 0; b < pictures.size(0); ++b) {
    Judgement one;
    for (int64_t k = 0; k < kinds; ++k) {
      const int64_t count = index_of_largest(outputs.counts[b][k]);
      one.labels.count.push_back(count);
      one.labels.hue.push_back(count > 0 ? index_of_largest(outputs.hues[b][k]) : -1);
      one.labels.x.push_back(count > 0 ? outputs.x[b][k].item<float>() : -1);
    }
    for (const at::Tensor& attribute : outputs.attributes) {
      const at::Tensor probabilities = at::softmax(attribute[b].to(at::kDouble), 0).contiguous();
      one.labels.attributes.push_back(index_of_largest(probabilities));
      one.attributes.emplace_back(probabilities.data_ptr<double>(), probabilities.data_ptr<double>() + probabilities.numel());
    }
    if (outputs.depth.defined()) one.depth = outputs.depth[b];
    all.push_back(std::move(one));
  }
  return all;
}

std::vector<Verdict> compare_labels(const SceneLabels& claims, const SceneLabels& judged, const WorldWords& words) {
  std::vector<size_t> named;
  bool objects = true, colour = true, count = true, any_hue = false;
  for (size_t k = 0; k < claims.count.size(); ++k) {
    if (claims.count[k] < 0) continue;
    count = count && judged.count[k] == claims.count[k];
    if (claims.count[k] == 0) continue;
    named.push_back(k);
    objects = objects && judged.count[k] > 0;
    if (claims.hue[k] < 0) continue;
    any_hue = true;
    colour = colour && judged.count[k] > 0 && judged.hue[k] == claims.hue[k];
  }
  std::vector<Verdict> verdicts;
  if (!named.empty()) verdicts.push_back({"objects", objects});
  if (any_hue) verdicts.push_back({"colour", colour});
  if (!named.empty()) verdicts.push_back({"count", count});
  if (named.size() == 2 && claims.x[named[0]] >= 0 && claims.x[named[1]] >= 0) {
    const bool there = judged.count[named[0]] > 0 && judged.count[named[1]] > 0;
    verdicts.push_back({"relation", there && (claims.x[named[0]] < claims.x[named[1]]) == (judged.x[named[0]] < judged.x[named[1]])});
  }
  for (size_t a = 0; a < claims.attributes.size(); ++a)
    if (claims.attributes[a] >= 0) verdicts.push_back({words.attributes[a].name, judged.attributes[a] == claims.attributes[a]});
  if (!verdicts.empty()) verdicts.push_back({"everything", std::all_of(verdicts.begin(), verdicts.end(), [](const Verdict& verdict) { return verdict.right; })});
  return verdicts;
}

}  // namespace attelier
