#include "core/attention/control_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <initializer_list>
#include <stdexcept>

#include "core/base/error.h"
#include "core/base/parameters.h"

namespace attelier {
namespace {

using kernels::AttentionControl;
using kernels::Probe;
using kernels::Source;

template <typename... Args>
[[noreturn]] void refuse(const std::string& pointer, fmt::format_string<Args...> format, Args&&... args) {
  fail(ExitCode::kBadInput, "{}: {}", pointer.empty() ? "/" : pointer, fmt::format(format, std::forward<Args>(args)...));
}

/// A JSON value and where it stands.
class Node {
 public:
  Node(const Json& json, std::string pointer, const TensorTable& tensors) : json_(json), pointer_(std::move(pointer)), tensors_(tensors) {}

  const std::string& pointer() const { return pointer_; }
  bool has(const char* name) const { return json_.contains(name); }
  bool is_text() const { return json_.is_string(); }
  bool is_array() const { return json_.is_array(); }
  Node field(const char* name) const { return {json_.at(name), pointer_ + "/" + name, tensors_}; }

  /// The value must be an object with no other fields than these.
  void check_fields(std::initializer_list<const char*> known) const {
    if (!json_.is_object()) refuse(pointer_, "is {}; it must be an object", json_.type_name());
    const std::vector<std::string> names(known.begin(), known.end());
    for (const auto& [name, value] : json_.items()) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      const std::string near = nearest_name(name, names);
      refuse(pointer_ + "/" + name, "is no known field; {}", near.empty() ? fmt::format("there are {}", fmt::join(names, ", ")) : fmt::format("did you mean \"{}\"?", near));
    }
  }

  std::vector<Node> items() const {
    if (!json_.is_array()) refuse(pointer_, "is {}; it must be an array", json_.type_name());
    std::vector<Node> nodes;
    for (size_t i = 0; i < json_.size(); ++i) nodes.push_back({json_[i], fmt::format("{}/{}", pointer_, i), tensors_});
    return nodes;
  }

  double number() const {
    if (!json_.is_number()) refuse(pointer_, "is {}; it must be a number", json_.type_name());
    return json_.get<double>();
  }

  int64_t integer() const {
    const bool fits = json_.is_number_integer() && !(json_.is_number_unsigned() && json_.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
    if (!fits) refuse(pointer_, "is {}; it must be an integer", json_.is_number() ? json_.dump() : json_.type_name());
    return json_.get<int64_t>();
  }

  bool boolean() const {
    if (!json_.is_boolean()) refuse(pointer_, "is {}; it must be true or false", json_.type_name());
    return json_.get<bool>();
  }

  template <typename T, size_t N>
  T choice(const std::array<std::pair<const char*, T>, N>& choices) const {
    std::vector<std::string> names;
    for (const auto& [name, value] : choices) {
      if (json_.is_string() && json_.get_ref<const std::string&>() == name) return value;
      names.emplace_back(name);
    }
    refuse(pointer_, "is {}; allowed are \"{}\"", json_.dump(-1, ' ', true, Json::error_handler_t::replace), fmt::join(names, "\", \""));
  }

  std::vector<double> numbers() const {
    std::vector<double> list;
    for (const Node& item : items()) list.push_back(item.number());
    return list;
  }

  std::vector<int64_t> integers() const {
    std::vector<int64_t> list;
    for (const Node& item : items()) list.push_back(item.integer());
    if (list.empty()) refuse(pointer_, "is empty; leave it out to mean all");
    return list;
  }

  at::Tensor tensor() const {
    if (!json_.is_string()) refuse(pointer_, "is {}; it must be the name of a tensor", json_.type_name());
    const auto found = tensors_.find(json_.get_ref<const std::string&>());
    if (found != tensors_.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& [name, value] : tensors_) names.push_back(name);
    const std::string near = nearest_name(json_.get<std::string>(), names);
    refuse(pointer_, "names the tensor {}, which the file does not hold; {}", json_.dump(-1, ' ', true, Json::error_handler_t::replace),
           near.empty() ? fmt::format("it holds {}", fmt::join(names, ", ")) : fmt::format("did you mean \"{}\"?", near));
  }

  /// A float32 tensor, whatever float type the file has.
  at::Tensor floats() const {
    const at::Tensor value = tensor();
    return value.is_floating_point() ? value.to(at::kFloat) : value;
  }

 private:
  const Json& json_;
  std::string pointer_;
  const TensorTable& tensors_;
};

void read_key_fields(const Node& node, Source& source) {
  const auto read = [&](const char* name, at::Tensor& target, bool is_class = false) {
    if (!node.has(name)) return;
    const Node field = node.field(name);
    if (target.defined()) refuse(field.pointer(), "is given for source 0 at the top level and in /sources/0; give it once");
    target = is_class ? field.tensor() : field.floats();
  };
  read("key_bias", source.key_bias);
  read("key_scale", source.key_scale);
  read("key_gain", source.key_gain);
  read("key_class", source.key_class, true);
}

Source read_source(const Node& node) {
  node.check_fields({"k", "v", "batch_map", "log_weight", "key_bias", "key_scale", "key_gain", "key_class"});
  Source source;
  if (node.has("k")) source.k = node.field("k").tensor();
  if (node.has("v")) source.v = node.field("v").tensor();
  if (node.has("batch_map")) source.batch_map = node.field("batch_map").integers();
  if (node.has("log_weight")) {
    const Node weight = node.field("log_weight");
    if (weight.is_text())
      source.log_weight_rows = weight.floats();
    else
      source.log_weight = weight.number();
  }
  read_key_fields(node, source);
  return source;
}

void read_blend_weights(const Node& node, AttentionControl& control) {
  const std::vector<Node> items = node.items();
  if (std::none_of(items.begin(), items.end(), [](const Node& item) { return item.is_text(); })) {
    control.blend_weight = node.numbers();
    return;
  }
  for (const Node& item : items) {
    if (!item.is_text()) refuse(item.pointer(), "is a number beside tensors; give numbers only, or tensors only");
    control.blend_weight_map.push_back(item.floats());
  }
}

void read_redistribution(const Node& node, AttentionControl& control) {
  if (!node.has("kind")) {
    node.check_fields({"kind"});
    refuse(node.pointer() + "/kind", "is missing; allowed are \"table\", \"var\"");
  }
  enum class Kind { kTable, kVar };
  const Kind kind = node.field("kind").choice<Kind, 2>({{{"table", Kind::kTable}, {"var", Kind::kVar}}});
  if (kind == Kind::kTable) {
    node.check_fields({"kind", "gain"});
    if (!node.has("gain")) refuse(node.pointer() + "/gain", "is missing; it holds rows of four numbers");
    control.class_table.emplace();
    for (const Node& row : node.field("gain").items()) {
      const std::vector<double> gains = row.numbers();
      if (gains.size() != 4) refuse(row.pointer(), "has {} numbers; it needs one per class, 4", gains.size());
      control.class_table->gain.push_back({gains[0], gains[1], gains[2], gains[3]});
    }
    return;
  }
  node.check_fields({"kind", "keep", "rho_nonsink", "min_vis_mass", "eps", "row_from", "heads"});
  kernels::VisualRedistribution& rule = control.visual.emplace();
  if (node.has("keep")) rule.keep = node.field("keep").number();
  if (node.has("rho_nonsink")) rule.rho_nonsink = node.field("rho_nonsink").number();
  if (node.has("min_vis_mass")) rule.min_vis_mass = node.field("min_vis_mass").number();
  if (node.has("eps")) rule.eps = node.field("eps").number();
  if (node.has("row_from")) rule.row_from = node.field("row_from").integer();
  if (node.has("heads")) rule.heads = node.field("heads").integers();
}

Probe read_probe(const Node& node) {
  using kernels::ProbeKind, kernels::ProbeWhen, kernels::ReduceHeads;
  node.check_fields({"kind", "when", "heads", "reduce_heads", "rows", "keys", "row_weight", "k"});
  if (!node.has("kind")) refuse(node.pointer() + "/kind", "is missing");
  Probe probe;
  probe.kind = node.field("kind").choice<ProbeKind, 8>({{{"lse", ProbeKind::kLse}, {"class_mass", ProbeKind::kClassMass}, {"rows", ProbeKind::kRows},
                                                         {"keys", ProbeKind::kKeys}, {"topk", ProbeKind::kTopk}, {"col_sum", ProbeKind::kColSum},
                                                         {"head_sum", ProbeKind::kHeadSum}, {"map", ProbeKind::kMap}}});
  if (node.has("when")) probe.when = node.field("when").choice<ProbeWhen, 2>({{{"pre", ProbeWhen::kPre}, {"post", ProbeWhen::kPost}}});
  if (node.has("reduce_heads"))
    probe.reduce_heads = node.field("reduce_heads").choice<ReduceHeads, 3>({{{"none", ReduceHeads::kNone}, {"sum", ReduceHeads::kSum}, {"mean", ReduceHeads::kMean}}});
  if (node.has("heads")) probe.heads = node.field("heads").integers();
  if (node.has("rows")) probe.rows = node.field("rows").integers();
  if (node.has("keys")) probe.keys = node.field("keys").integers();
  if (node.has("row_weight")) probe.row_weight = node.field("row_weight").floats();
  if (node.has("k")) {
    if (probe.kind != ProbeKind::kTopk) refuse(node.pointer() + "/k", "belongs to the kind \"topk\" alone");
    probe.k = node.field("k").integer();
  }
  return probe;
}

}  // namespace

AttentionControl parse_attention_control(const Json& json, const TensorTable& tensors, const std::string& base) {
  const Node root(json, base, tensors);
  root.check_fields({"scale", "temperature", "q_blend", "sources", "key_bias", "key_scale", "key_gain", "key_class", "renorm", "combine", "blend_weight",
                     "pair_bias", "causal", "redistribute", "probes"});
  AttentionControl control;
  if (root.has("scale")) control.scale = root.field("scale").number();
  if (root.has("temperature")) {
    const Node temperature = root.field("temperature");
    control.temperature = temperature.is_array() ? temperature.numbers() : std::vector<double>{temperature.number()};
  }
  if (root.has("q_blend")) {
    const Node node = root.field("q_blend");
    node.check_fields({"q2", "gamma", "rows"});
    for (const char* needed : {"q2", "gamma"})
      if (!node.has(needed)) refuse(node.pointer() + "/" + needed, "is missing");
    kernels::QueryBlend& blend = control.q_blend.emplace();
    blend.q2 = node.field("q2").tensor();
    blend.gamma = node.field("gamma").number();
    if (node.has("rows")) blend.rows = node.field("rows").floats();
  }
  if (root.has("sources")) {
    const std::vector<Node> items = root.field("sources").items();
    if (items.empty()) refuse(root.pointer() + "/sources", "is empty; leave it out to mean the call's own keys and values");
    for (const Node& node : items) control.sources.push_back(read_source(node));
  }
  if (root.has("key_bias") || root.has("key_scale") || root.has("key_gain") || root.has("key_class")) {
    if (control.sources.empty()) control.sources.emplace_back();
    read_key_fields(root, control.sources[0]);
  }
  if (root.has("renorm")) control.renorm = root.field("renorm").boolean();
  if (root.has("combine"))
    control.combine = root.field("combine").choice<kernels::Combine, 2>({{{"concat", kernels::Combine::kConcat}, {"blend", kernels::Combine::kBlend}}});
  if (root.has("blend_weight")) read_blend_weights(root.field("blend_weight"), control);
  if (root.has("pair_bias")) control.pair_bias = root.field("pair_bias").floats();
  if (root.has("causal")) {
    const Node node = root.field("causal");
    node.check_fields({"offset"});
    control.causal = kernels::Causal{node.has("offset") ? node.field("offset").integer() : 0};
  }
  if (root.has("redistribute")) read_redistribution(root.field("redistribute"), control);
  if (root.has("probes"))
    for (const Node& node : root.field("probes").items()) control.probes.push_back(read_probe(node));
  return control;
}

void check_attention_control(const Json& json, const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const std::string& base) {
  try {
    kernels::validate(control, q, k, v);
  } catch (const std::invalid_argument& error) {
    std::string message = error.what();
    const std::string first_source = "/sources/0";
    const std::string pointer = message.substr(0, message.find(':'));
    // Fields of source 0 may stand at the top level.
    if (pointer.starts_with(first_source + "/") && json.contains(pointer.substr(first_source.size() + 1))) message.erase(0, first_source.size());
    fail(ExitCode::kBadInput, "{}{}", base, message);
  }
}

AttentionControl matched_to(AttentionControl control, const at::Tensor& q) {
  const auto place = [&](at::Tensor& x) {
    if (x.defined()) x = x.to(q.device());
  };
  const auto convert = [&](at::Tensor& x) {
    if (x.defined()) x = x.to(q.device(), x.is_floating_point() ? q.scalar_type() : x.scalar_type());
  };
  if (control.q_blend) {
    convert(control.q_blend->q2);
    place(control.q_blend->rows);
  }
  for (Source& source : control.sources) {
    convert(source.k);
    convert(source.v);
    for (at::Tensor* x : {&source.log_weight_rows, &source.key_bias, &source.key_scale, &source.key_gain, &source.key_class}) place(*x);
  }
  for (at::Tensor& map : control.blend_weight_map) place(map);
  place(control.pair_bias);
  for (Probe& probe : control.probes) place(probe.row_weight);
  return control;
}

}  // namespace attelier
