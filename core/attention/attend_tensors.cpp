#include "core/attention/attend_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "core/base/error.h"
#include "kernels/probes.h"
#include "kernels/reference/attention_reference.h"

namespace attelier {
namespace {

using kernels::AttentionControl;

void collect_texts(const nlohmann::json& json, std::set<std::string>& texts) {
  if (json.is_string()) texts.insert(json.get<std::string>());
  if (json.is_structured())
    for (const nlohmann::json& item : json) collect_texts(item, texts);
}

void check_names(const TensorTable& inputs, const nlohmann::json& control) {
  for (const char* name : {"q", "k", "v"})
    if (!inputs.contains(name)) fail(ExitCode::kBadInput, "the inputs lack the tensor {}; q, k and v are needed", name);
  std::set<std::string> used = {"q", "k", "v"};
  collect_texts(control, used);
  std::vector<std::string> superfluous;
  for (const auto& [name, tensor] : inputs) {
    if (!used.contains(name)) superfluous.push_back(name);
    if (tensor.is_floating_point() && (name == "q" || name == "k" || name == "v") && !at::isfinite(tensor).all().item<bool>())
      fail(ExitCode::kBadInput, "the tensor {} holds NaN or Inf", name);
  }
  if (!superfluous.empty())
    fail(ExitCode::kBadInput, "the inputs hold {}, which the control does not name; leave them out, or name them in a field of the control", fmt::join(superfluous, ", "));
}

void check_capture_sizes(const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, int64_t limit) {
  int64_t keys = control.sources.empty() ? k.size(2) : 0;
  for (const kernels::Source& source : control.sources) keys += (source.k.defined() ? source.k : k).size(2);
  for (size_t i = 0; i < control.probes.size(); ++i) {
    const int64_t bytes = 4 * c10::multiply_integers(kernels::probe_shape(control.probes[i], q.size(0), q.size(1), q.size(2), keys));
    if (bytes > limit)
      fail(ExitCode::kBadInput, "/probes/{}: would hold {} bytes, more than the limit of {}; choose fewer rows, keys or heads, reduce the heads, or raise --max-capture-bytes", i,
           bytes, limit);
  }
}

}  // namespace

TensorTable attend_tensors(const TensorTable& inputs, const nlohmann::json& json, const AttendOptions& options) {
  check_names(inputs, json);
  AttentionControl control = parse_attention_control(json, inputs);
  at::Tensor q = inputs.at("q"), k = inputs.at("k"), v = inputs.at("v");
  check_attention_control(json, control, q, k, v);
  check_capture_sizes(control, q, k, options.maximum_capture_bytes);
  if (!options.reference) {
    q = q.to(options.device);
    k = k.to(options.device);
    v = v.to(options.device);
    control = matched_to(std::move(control), q);
  }
  kernels::AttentionResult result = options.reference ? kernels::reference::attention(q, k, v, control) : kernels::attention(q, k, v, control);
  if (!result.lse.defined()) {
    // The fused operators keep L to themselves, or not to the last digits; as a probe it is exact.
    AttentionControl only_lse = control;
    only_lse.probes = {kernels::Probe{}};
    result.lse = kernels::attention(q, k, v, only_lse).probes[0].value;
  }
  const auto plain = [](const at::Tensor& x) { return x.to(at::kCPU, at::kFloat).contiguous(); };
  TensorTable outputs = {{"o", plain(result.o)}, {"lse", plain(result.lse)}};
  for (size_t i = 0; i < result.probes.size(); ++i) {
    outputs[fmt::format("probe.{}", i)] = plain(result.probes[i].value);
    if (result.probes[i].index.defined()) outputs[fmt::format("probe.{}.index", i)] = result.probes[i].index.cpu().contiguous();
  }
  return outputs;
}

}  // namespace attelier
