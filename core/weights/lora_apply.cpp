// LoRAs put on a model and taken off again.
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/weights/lora.h"
#include "core/weights/lora_names.h"
#include "core/weights/quote.h"

namespace attelier {
namespace {

// One LoRA's matrices in the form that the layer computes with: down [r, in] and up [out, r], or 4-D for convolutions.
struct Addition {
  at::Tensor down, up;
  double scale = 1;
};

bool is_unit(const at::Tensor& tensor) { return tensor.dim() == 2 || (tensor.size(2) == 1 && tensor.size(3) == 1); }

Addition fit(const LoraLayer& layer, const LoraUse& use, const LoraPlace& place) {
  const std::vector<int64_t>& shape = place.weight().shape;
  const auto reject = [&] {
    fail(ExitCode::kModel, "{}: layer {}: down [{}] and up [{}] do not fit the model's weight [{}]; this LoRA was made for another model", use.lora->path().string(),
         in_quotes(layer.key), fmt::join(layer.down.sizes(), ", "), fmt::join(layer.up.sizes(), ", "), fmt::join(shape, ", "));
  };
  if (layer.up.size(0) != shape[0] || layer.down.size(1) != shape[1]) reject();
  const double scale = use.weight * (use.ignore_alpha ? 1 : layer.scale);
  if (shape.size() == 2) {
    if (!is_unit(layer.down)) reject();
    return {layer.down.flatten(1), layer.up.flatten(1), scale};
  }
  const at::Tensor down = layer.down.dim() == 2 ? layer.down.unsqueeze(2).unsqueeze(3) : layer.down;
  if (down.size(2) != shape[2] || down.size(3) != shape[3]) reject();
  return {down, layer.up.flatten(1).unsqueeze(2).unsqueeze(3), scale};
}

// scale * up @ down in float32, shaped as the weight.
at::Tensor difference(const Addition& addition, at::Device device) {
  const at::Tensor up = addition.up.flatten(1).to(device, at::kFloat), down = addition.down.to(device, at::kFloat);
  std::vector<int64_t> shape = down.sizes().vec();
  shape[0] = up.size(0);
  return addition.scale * at::matmul(up, down.flatten(1)).reshape(shape);
}

bool is_prepared(nn::Module& module) {
  const auto parameters = module.named_parameters();
  return std::any_of(parameters.begin(), parameters.end(), [](const nn::NamedParameter& entry) { return entry.parameter->is_prepared(); });
}

}  // namespace

// What remove() needs: the layer, and the weight it had, or the number of additions it was given.
struct AppliedLoras::Change {
  LoraPlace place;
  at::Tensor original;                // merged; defined only then
  std::vector<at::Tensor> additions;  // run time: the `down` of each, by which it is found again
};

AppliedLoras::AppliedLoras() = default;
AppliedLoras::~AppliedLoras() { remove(); }
AppliedLoras::AppliedLoras(AppliedLoras&& other) noexcept : changes_(std::exchange(other.changes_, {})), reports_(std::exchange(other.reports_, {})) {}
AppliedLoras& AppliedLoras::operator=(AppliedLoras&& other) noexcept {
  if (this == &other) return *this;
  remove();
  changes_ = std::exchange(other.changes_, {});
  reports_ = std::exchange(other.reports_, {});
  return *this;
}

AppliedLoras::AppliedLoras(const std::vector<LoraTarget>& targets, const std::vector<LoraUse>& uses, LoraMode mode) {
  c10::NoGradGuard no_grad;
  const LoraNames names(targets);
  std::vector<std::pair<LoraPlace, std::vector<Addition>>> plan;  // in the order of the files, each layer once
  std::map<const nn::Parameter*, size_t> planned;
  for (const LoraUse& use : uses) {
    LoraReport& report = reports_.emplace_back();
    for (const LoraLayer& layer : use.lora->layers()) {
      const LoraPlace place = layer.down.defined() ? names.find(layer.key) : LoraPlace{};
      if (!place) {
        report.unmatched.push_back(layer.key);
        continue;
      }
      if (!place.weight().value.defined()) fail(ExitCode::kUnexpected, "layer {} has no weight yet: load the model before its LoRAs", in_quotes(layer.key));
      Addition addition = fit(layer, use, place);
      ++report.applied;
      if (addition.scale == 0) continue;
      const auto [entry, is_new] = planned.emplace(&place.weight(), plan.size());
      if (is_new) plan.emplace_back(place, std::vector<Addition>());
      plan[entry->second].second.push_back(std::move(addition));
    }
    if (report.applied == 0)
      fail(ExitCode::kModel, "{}: none of its {} layers (the first is {}) exists in this model; it was made for another family of models", use.lora->path().string(),
           report.unmatched.size(), report.unmatched.empty() ? "none" : in_quotes(report.unmatched.front()));
  }

  // A failure from here on (memory) undoes what was done: the destructor of a half-built object does not run.
  try {
    std::vector<nn::Module*> prepared;
    if (mode == LoraMode::kMerged)
      for (const LoraTarget& target : targets)
        if (is_prepared(*target.module)) prepared.push_back(target.module);
    for (const auto& [place, additions] : plan) {
      at::Tensor& weight = place.weight().value;
      Change change{place, {}, {}};
      if (mode == LoraMode::kMerged) {
        at::Tensor sum = place.weight().dense().to(at::kFloat);
        for (const Addition& addition : additions) sum = sum + difference(addition, weight.device());
        change.original = weight;
        changes_.push_back(std::move(change));
        weight = sum.to(weight.scalar_type());
        continue;
      }
      for (const Addition& addition : additions) {
        // detach: a tensor of its own even where nothing had to be converted, so that remove() finds this addition and no other.
        nn::LowRank low_rank{addition.down.to(weight.device(), weight.scalar_type()).detach(), addition.up.to(weight.device(), weight.scalar_type()), addition.scale};
        change.additions.push_back(low_rank.down);
        place.low_rank().push_back(std::move(low_rank));
      }
      changes_.push_back(std::move(change));
    }
    for (nn::Module* module : prepared) module->prepare_for_inference();
  } catch (...) {
    remove();
    throw;
  }
}

void AppliedLoras::remove() {
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
    if (change->original.defined()) change->place.weight().value = change->original;
    std::vector<nn::LowRank>& low_rank = change->place.low_rank();
    for (const at::Tensor& down : change->additions)
      low_rank.erase(std::remove_if(low_rank.begin(), low_rank.end(), [&](const nn::LowRank& entry) { return entry.down.is_same(down); }), low_rank.end());
  }
  changes_.clear();
}

}  // namespace attelier
