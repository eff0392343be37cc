#include "core/training/lora_layers.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "core/base/parameters.h"
#include "core/weights/tensor_file.h"

namespace attelier {
namespace {

bool matches(const std::string& path, const std::string& ending) { return path == ending || path.ends_with("." + ending); }

LoraPlace place_of(nn::Module& module) { return {dynamic_cast<nn::Linear*>(&module), dynamic_cast<nn::Conv2d*>(&module)}; }

void visit_layers(const std::vector<LoraTarget>& targets, const std::function<void(const std::string& component, const std::string& path, const LoraPlace& place)>& visitor) {
  for (const LoraTarget& target : targets)
    target.module->visit([&](const std::string& path, nn::Module& module) {
      if (const LoraPlace place = place_of(module)) visitor(target.component, path, place);
    });
}

std::string kohya_prefix(const std::string& component, bool two_encoders) {
  if (component == "text_encoder") return two_encoders ? "lora_te1_" : "lora_te_";
  return component == "text_encoder_2" ? "lora_te2_" : "lora_" + component + "_";
}

}  // namespace

LoraLayers::LoraLayers(const std::vector<LoraTarget>& targets, const std::vector<std::string>& endings, int64_t rank, double alpha) : rank_(rank), alpha_(alpha) {
  visit_layers(targets, [&](const std::string& component, const std::string& path, const LoraPlace& place) {
    if (std::none_of(endings.begin(), endings.end(), [&](const std::string& ending) { return matches(path, ending); })) return;
    Entry& entry = entries_.emplace_back();
    entry.component = component, entry.path = path, entry.place = place;
    entry.down.shape = place.weight().shape;
    entry.up.shape = std::vector<int64_t>(entry.down.shape.size(), 1);
    entry.up.shape[0] = entry.down.shape[0], entry.up.shape[1] = rank;
    entry.down.shape[0] = rank;
    add(component + "." + path + ".down", entry.down);
    add(component + "." + path + ".up", entry.up);
  });
}

LoraLayers::~LoraLayers() {
  for (Entry& entry : entries_)
    if (entry.attached) std::erase_if(entry.place.low_rank(), [&](const nn::LowRank& beside) { return beside.down.is_same(entry.down.value); });
}

void LoraLayers::initialise_layers(at::Generator generator, at::Device device) {
  c10::NoGradGuard no_grad;
  for (Entry& entry : entries_) {
    const double fan_in = static_cast<double>(c10::multiply_integers(entry.down.shape) / rank_);
    entry.down.value = at::empty(entry.down.shape, at::kFloat).uniform_(-1 / std::sqrt(fan_in), 1 / std::sqrt(fan_in), generator).to(device);
    entry.up.value = at::zeros(entry.up.shape, at::kFloat).to(device);
  }
}

void LoraLayers::attach() {
  for (Entry& entry : entries_) {
    if (entry.attached) continue;
    entry.place.low_rank().push_back({entry.down.value, entry.up.value, alpha_ / static_cast<double>(rank_)});
    entry.attached = true;
  }
}

void LoraLayers::write(const std::filesystem::path& file, Naming naming) const {
  const bool two_encoders = std::any_of(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.component == "text_encoder_2"; });
  NamedTensors tensors;
  Json adapter = Json::object();
  // What diffusers makes a LoraConfig of, the component before each key.
  const auto describe = [&](Json& config, const std::string& component) {
    if (config.contains(component + ".r")) return;
    config[component + ".r"] = rank_, config[component + ".lora_alpha"] = alpha_;
    config[component + ".rank_pattern"] = config[component + ".alpha_pattern"] = Json::object();
    config[component + ".target_modules"] = Json::array();
    config[component + ".bias"] = "none";
    for (const char* absent : {".use_dora", ".use_rslora", ".lora_bias"}) config[component + absent] = false;
  };
  for (const Entry& entry : entries_) {
    const at::Tensor down = entry.down.value.detach().to(at::kHalf), up = entry.up.value.detach().to(at::kHalf);
    if (naming == Naming::kDiffusers) {
      const std::string name = entry.component + "." + entry.path;
      tensors.emplace_back(name + ".lora_A.weight", down);
      tensors.emplace_back(name + ".lora_B.weight", up);
      describe(adapter, entry.component);
      adapter[entry.component + ".target_modules"].push_back(entry.path);
      continue;
    }
    std::string name = entry.path;
    std::replace(name.begin(), name.end(), '.', '_');
    name = kohya_prefix(entry.component, two_encoders) + name;
    tensors.emplace_back(name + ".lora_down.weight", down);
    tensors.emplace_back(name + ".lora_up.weight", up);
    tensors.emplace_back(name + ".alpha", at::full({}, alpha_, at::kFloat));
  }
  std::map<std::string, std::string> metadata = {{"format", "pt"}};
  if (naming == Naming::kDiffusers) {
    metadata["lora_adapter_metadata"] = adapter.dump();
  } else {
    metadata["ss_network_module"] = "networks.lora";
    metadata["ss_network_dim"] = std::to_string(rank_);
    metadata["ss_network_alpha"] = fmt::format("{}", alpha_);
  }
  write_safetensors(file, tensors, metadata);
}

std::vector<std::string> unmatched_endings(const std::vector<LoraTarget>& targets, const std::vector<std::string>& endings) {
  std::vector<std::string> unmatched = endings;
  visit_layers(targets, [&](const std::string&, const std::string& path, const LoraPlace&) { std::erase_if(unmatched, [&](const std::string& ending) { return matches(path, ending); }); });
  return unmatched;
}

}  // namespace attelier
