#include "core/attention/scripted_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/attention/site_pattern.h"
#include "core/base/error.h"
#include "core/base/parameters.h"
#include "kernels/probes.h"

namespace attelier {
namespace {

std::string escaped(std::string name) {
  for (const auto& [plain, code] : {std::pair<char, const char*>{'~', "~0"}, {'/', "~1"}})
    for (size_t at = 0; (at = name.find(plain, at)) != std::string::npos; at += 2) name.replace(at, 1, code);
  return name;
}

std::vector<int64_t> take_steps(Json& entry, const std::string& pointer) {
  const auto found = entry.find("steps");
  if (found == entry.end()) return {};
  if (!found->is_array() || found->empty()) fail(ExitCode::kBadInput, "{}/steps: must be an array of step numbers, counted from 0", pointer);
  std::vector<int64_t> steps;
  for (const Json& step : *found) {
    if (!step.is_number_integer()) fail(ExitCode::kBadInput, "{}/steps: {} is no step number", pointer, step.dump());
    steps.push_back(step.get<int64_t>());
  }
  entry.erase(found);
  return steps;
}

void check_is_object(const Json& json, const std::string& pointer) {
  if (!json.is_object()) fail(ExitCode::kBadInput, "{}: is {}; it must be an object", pointer.empty() ? "/" : pointer, json.type_name());
}

}  // namespace

bool ScriptedProgram::Entry::applies_to(const AttentionCall& call) const {
  if (!steps.empty() && std::find(steps.begin(), steps.end(), call.step) == steps.end()) return false;
  return matches(site, call.site);
}

std::string ScriptedProgram::tensor_file(const Json& controls) {
  if (controls.is_null()) return "";
  check_is_object(controls, "");
  if (!controls.contains("tensors")) return "";
  if (!controls["tensors"].is_string()) fail(ExitCode::kBadInput, "/tensors: is {}; it must be the path of a safetensors file", controls["tensors"].type_name());
  return controls["tensors"];
}

ScriptedProgram::ScriptedProgram(const Json& controls, const Json& record, const TensorTable& tensors, int64_t maximum_capture_bytes)
    : maximum_capture_bytes_(maximum_capture_bytes) {
  tensor_file(controls);
  if (!controls.is_null())
    for (const auto& [site, json] : controls.items()) {
      if (site == "tensors") continue;
      Entry entry{site, "/" + escaped(site), json, {}, {}, {}, false};
      check_is_object(json, entry.pointer);
      entry.steps = take_steps(entry.json, entry.pointer);
      entry.control = parse_attention_control(entry.json, tensors, entry.pointer);
      controls_.push_back(std::move(entry));
    }
  if (record.is_null()) return;
  check_is_object(record, "");
  for (const auto& [site, json] : record.items()) {
    Entry entry{site, "/" + escaped(site), json, {}, {}, {}, false};
    check_is_object(json, entry.pointer);
    entry.steps = take_steps(entry.json, entry.pointer);
    if (const auto found = entry.json.find("tensors"); found != entry.json.end()) {
      if (!found->is_array()) fail(ExitCode::kBadInput, "{}/tensors: must be an array of \"q\", \"k\", \"v\", \"o\"", entry.pointer);
      for (const Json& what : *found) {
        if (what != "q" && what != "k" && what != "v" && what != "o")
          fail(ExitCode::kBadInput, "{}/tensors: {} cannot be recorded; allowed are \"q\", \"k\", \"v\", \"o\"", entry.pointer, what.dump());
        entry.tensors.push_back(what);
      }
      entry.json.erase(found);
    }
    for (const auto& [field, value] : entry.json.items())
      if (field != "probes") fail(ExitCode::kBadInput, "{}/{}: is no known field; there are tensors, probes, steps", entry.pointer, field);
    entry.control = parse_attention_control(entry.json, tensors, entry.pointer);
    if (entry.tensors.empty() && entry.control.probes.empty()) fail(ExitCode::kBadInput, "{}: asks for nothing; give tensors or probes", entry.pointer);
    records_.push_back(std::move(entry));
  }
}

std::optional<kernels::AttentionControl> ScriptedProgram::control(const AttentionCall& call) {
  std::optional<kernels::AttentionControl> control;
  const Entry* controlling = nullptr;
  for (Entry& entry : controls_) {
    if (!entry.applies_to(call)) continue;
    entry.used = true;
    if (controlling != nullptr) fail(ExitCode::kBadInput, "{} and {} both control the site {}; let one of them leave it out", controlling->pointer, entry.pointer, call.site.path);
    controlling = &entry;
    control = matched_to(entry.control, call.q);
    check_attention_control(entry.json, *control, call.q, call.k, call.v, entry.pointer);
  }
  pending_.clear();
  pending_output_ = false;
  if (control) pending_ = control->probes;
  for (Entry& entry : records_) {
    if (!entry.applies_to(call)) continue;
    entry.used = true;
    for (const std::string& what : entry.tensors) {
      if (what == "o") pending_output_ = true;
      else capture(call, what, what == "q" ? call.q : what == "k" ? call.k : call.v);
    }
    if (!entry.control.probes.empty() || pending_output_) control = control.value_or(kernels::AttentionControl{});
    if (!control) continue;
    const kernels::AttentionControl placed = matched_to(entry.control, call.q);
    control->probes.insert(control->probes.end(), placed.probes.begin(), placed.probes.end());
    pending_.insert(pending_.end(), placed.probes.begin(), placed.probes.end());
  }
  if (!control) return std::nullopt;
  const int64_t keys = control->sources.empty() ? call.k.size(2) : std::accumulate(control->sources.begin(), control->sources.end(), int64_t{0}, [&](int64_t sum, const kernels::Source& s) {
    return sum + (s.k.defined() ? s.k : call.k).size(2);
  });
  int64_t bytes = 0;
  for (const kernels::Probe& probe : pending_)
    bytes += 4 * c10::multiply_integers(kernels::probe_shape(probe, call.q.size(0), call.q.size(1), call.q.size(2), keys));
  if (bytes > maximum_capture_bytes_)
    fail(ExitCode::kBadInput, "the probes at {} would hold {} bytes, more than the limit of {}; choose fewer rows, keys or heads, reduce the heads, or raise --max-capture-bytes",
         call.site.path, bytes, maximum_capture_bytes_);
  return control;
}

void ScriptedProgram::observe(const AttentionCall& call, const kernels::AttentionResult& result) {
  if (pending_output_) capture(call, "o", result.o);
  for (size_t i = 0; i < result.probes.size() && i < pending_.size(); ++i) {
    capture(call, fmt::format("probe.{}", i), result.probes[i].value, &pending_[i]);
    if (result.probes[i].index.defined()) capture(call, fmt::format("probe.{}.index", i), result.probes[i].index, &pending_[i]);
  }
}

void ScriptedProgram::capture(const AttentionCall& call, const std::string& what, const at::Tensor& value, const kernels::Probe* probe) {
  AttentionCapture capture{call.site, call.step, call.timestep, call.grid_height, call.grid_width, what, {}, {}, {}, value.detach().clone()};
  if (probe != nullptr) {
    capture.heads = probe->heads;
    capture.rows = probe->rows;
    capture.keys = probe->keys;
  }
  record_.add(std::move(capture));
}

std::vector<std::string> ScriptedProgram::unused_sites() const {
  std::vector<std::string> unused;
  for (const auto* list : {&controls_, &records_})
    for (const Entry& entry : *list)
      if (!entry.used) unused.push_back(entry.site);
  return unused;
}

}  // namespace attelier
