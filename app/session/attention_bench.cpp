#include "app/session/attention_bench.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <ctime>
#include <fstream>

#include "app/session/machine.h"
#include "app/session/map_subjects.h"
#include "app/session/tensor_memory.h"
#include "core/base/error.h"
#include "kernels/attention.h"
#include "kernels/cpu/level.h"
#include "kernels/parallel.h"

namespace attelier {
namespace {

using kernels::AttentionControl;

/// A controlled attention and its two other forms. `torch` is empty where the fused operator cannot do it.
struct Subject {
  AttentionControl control;
  int64_t keys = 0;  // over all sources
  double visible = 1;  // share of the scores that are needed
  std::function<at::Tensor()> eager, torch;
};

at::Tensor joined(const at::Tensor& o) { return o.transpose(1, 2).flatten(2); }

class Subjects {
 public:
  explicit Subjects(const AttentionBenchSettings& settings) : settings_(settings), scale_(1 / std::sqrt(static_cast<double>(settings.width))) {
    q_ = draw(settings.queries);
    q2_ = draw(settings.queries);
    for (size_t s = 0; s < 2; ++s) {
      k_.push_back(draw(settings.keys));
      v_.push_back(draw(settings.keys));
    }
    k2_ = draw(2 * settings.keys);
    v2_ = draw(2 * settings.keys);
  }

  BenchSubject make(const std::string& name) const {
    const Subject own = controlled(name);
    BenchSubject subject;
    subject.ours = [this, control = own.control] { return joined(kernels::attention(q_, k_[0], v_[0], control).o); };
    if (name != "plain") subject.plain = [this, keys = own.keys] { return joined(kernels::plain_attention(q_, keys == settings_.keys ? k_[0] : k2_, keys == settings_.keys ? v_[0] : v2_)); };
    subject.eager = own.eager;
    subject.torch = own.torch;
    const double width = 2 * static_cast<double>(settings_.width), rows = static_cast<double>(settings_.batch * settings_.heads);
    subject.operations = 2 * own.visible * rows * static_cast<double>(settings_.queries * own.keys) * width;
    subject.bytes = rows * static_cast<double>(settings_.queries + own.keys) * width * static_cast<double>(c10::elementSize(settings_.dtype));
    return subject;
  }

 private:
  Subject controlled(const std::string& name) const {
    Subject s;
    s.keys = settings_.keys;
    if (name == "plain") return plain_subject(s);
    if (name == "style") return style_subject(s);
    if (name == "bias_gain") return gain_subject(s);
    if (name == "col_sum") return probe_subject(s, kernels::ProbeKind::kColSum);
    if (name == "keys") return probe_subject(s, kernels::ProbeKind::kKeys);
    if (name == "blend") return blend_subject(s);
    if (name == "var") return visual_subject(s);
    if (name == "causal") return causal_subject(s);
    fail(ExitCode::kUsage, "--control is \"{}\"; allowed are {} and {}", name, fmt::join(attention_bench_controls(), ", "), fmt::join(map_subjects(), ", "));
  }

  /// As the layers have them: a view of [B,L,H,D].
  at::Tensor draw(int64_t tokens) const { return at::randn({settings_.batch, tokens, settings_.heads, settings_.width}).to(settings_.dtype).transpose(1, 2); }

  /// Scaled with the queries, as baddbmm does in diffusers: a pass over the whole matrix less than in the authors' codes.
  at::Tensor scores(const at::Tensor& q, const at::Tensor& k, double scale) const { return at::matmul(q * scale, k.transpose(2, 3)); }
  at::Tensor probabilities(const at::Tensor& q, const at::Tensor& k, double scale) const { return at::softmax(scores(q, k, scale), 3); }

  Subject plain_subject(Subject s) const {
    s.eager = [this] { return joined(at::matmul(probabilities(q_, k_[0], scale_), v_[0])); };
    s.torch = [this] { return joined(at::scaled_dot_product_attention(q_, k_[0], v_[0])); };
    return s;
  }

  Subject style_subject(Subject s) const {
    s.control.temperature = {1.5};
    s.control.q_blend = kernels::QueryBlend{q2_, 0.75, {}};
    s.control.sources.resize(2);
    for (size_t i = 0; i < 2; ++i) {
      s.control.sources[i].k = k_[i];
      s.control.sources[i].v = v_[i];
    }
    s.keys = 2 * settings_.keys;
    s.eager = [this] { return joined(at::matmul(probabilities(0.75 * q2_ + 0.25 * q_, at::cat(k_, 2), 1.5 * scale_), at::cat(v_, 2))); };
    s.torch = [this] { return joined(at::scaled_dot_product_attention(0.75 * q2_ + 0.25 * q_, at::cat(k_, 2), at::cat(v_, 2), {}, 0, false, 1.5 * scale_)); };
    return s;
  }

  Subject gain_subject(Subject s) const {
    const at::Tensor bias = at::randn({1, settings_.heads, settings_.keys}), gain = at::rand({1, settings_.heads, settings_.keys});
    kernels::Source& source = s.control.sources.emplace_back();
    source.key_bias = bias;
    source.key_gain = gain;
    const at::Tensor b = bias.unsqueeze(2).to(settings_.dtype), g = gain.unsqueeze(2).to(settings_.dtype);
    s.eager = [this, b, g] { return joined(at::matmul(at::softmax(scores(q_, k_[0], scale_) + b, 3) * g, v_[0])); };
    s.torch = [this, b, g] { return joined(at::scaled_dot_product_attention(q_, k_[0], v_[0] * g.transpose(2, 3), b)); };
    return s;
  }

  Subject probe_subject(Subject s, kernels::ProbeKind kind) const {
    kernels::Probe& probe = s.control.probes.emplace_back();
    probe.kind = kind;
    std::vector<int64_t> keys;
    for (int64_t i = 0; i < std::min<int64_t>(8, settings_.keys); ++i) keys.push_back(i * settings_.keys / 8 % settings_.keys);
    if (kind == kernels::ProbeKind::kKeys) probe.keys = keys;
    const at::Tensor index = at::tensor(keys, at::kLong);
    s.eager = [this, kind, index] {
      const at::Tensor p = probabilities(q_, k_[0], scale_);
      const at::Tensor read = kind == kernels::ProbeKind::kColSum ? p.sum(2) : p.index_select(3, index);
      return joined(at::matmul(p, v_[0]));
    };
    return s;
  }

  Subject blend_subject(Subject s) const {
    s.control.sources.resize(2);
    s.control.sources[1].k = k_[1];
    s.control.sources[1].v = v_[1];
    s.control.combine = kernels::Combine::kBlend;
    s.control.blend_weight = {0.6, 0.4};
    s.keys = 2 * settings_.keys;
    s.eager = [this] { return joined(0.6 * at::matmul(probabilities(q_, k_[0], scale_), v_[0]) + 0.4 * at::matmul(probabilities(q_, k_[1], scale_), v_[1])); };
    s.torch = [this] { return joined(0.6 * at::scaled_dot_product_attention(q_, k_[0], v_[0]) + 0.4 * at::scaled_dot_product_attention(q_, k_[1], v_[1])); };
    return s;
  }

  Subject visual_subject(Subject s) const {
    const at::Tensor classes = at::randint(0, kernels::kMaximumClasses, {1, settings_.keys}, at::kByte);
    s.control.sources.emplace_back().key_class = classes;
    const kernels::VisualRedistribution rule;
    s.control.visual = rule;
    const at::Tensor share = at::one_hot(classes[0].to(at::kLong), kernels::kMaximumClasses).to(settings_.dtype);
    s.eager = [this, share, rule] {
      const at::Tensor p = probabilities(q_, k_[0], scale_), mass = at::matmul(p, share);
      const at::Tensor rest = mass.select(3, 1), sink = mass.select(3, 3), visual = rest + sink, sinks = mass.select(3, 2) + sink;
      const at::Tensor chosen = (sink / visual <= 1 - rule.rho_nonsink) & (visual >= rule.min_vis_mass), one = at::ones({}, p.options());
      const at::Tensor kept = at::where(chosen, one * rule.keep, one), raised = at::where(chosen, 1 + (1 - rule.keep) * sinks / rest, one);
      const at::Tensor gains = at::matmul(at::stack({at::ones_like(kept), raised, kept, kept}, 3), share.t());
      return joined(at::matmul(p * gains, v_[0]));
    };
    return s;
  }

  Subject causal_subject(Subject s) const {
    s.control.causal = kernels::Causal{};
    const auto rows = static_cast<double>(settings_.queries), keys = static_cast<double>(settings_.keys);
    s.visible = rows <= keys ? (rows + 1) / 2 / keys : 1 - (keys - 1) / 2 / rows;
    const at::Tensor hidden = at::ones({settings_.queries, settings_.keys}, at::kBool).triu(1);
    s.eager = [this, hidden] {
      const at::Tensor z = scores(q_, k_[0], scale_).masked_fill(hidden, -INFINITY);
      return joined(at::matmul(at::softmax(z, 3), v_[0]));
    };
    s.torch = [this] { return joined(at::scaled_dot_product_attention(q_, k_[0], v_[0], {}, 0, true)); };
    return s;
  }

  const AttentionBenchSettings& settings_;
  const double scale_;
  at::Tensor q_, q2_, k2_, v2_;
  std::vector<at::Tensor> k_, v_;
};

double seconds_of(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Runs by turns, so that what else the machine does meets all of them.
std::vector<BenchTimes> measure(const std::vector<std::function<at::Tensor()>>& runs, const AttentionBenchSettings& settings, const Context& context) {
  std::vector<BenchTimes> times(runs.size());
  for (int64_t i = 0; i < settings.warmup + settings.repeat; ++i)
    for (size_t r = 0; r < runs.size(); ++r) {
      if (context.stop.stop_requested()) throw Interrupted();
      std::ofstream("/proc/self/clear_refs") << "5";  // the record of the peak counts anew
      const std::clock_t processor = std::clock();
      const double seconds = seconds_of(runs[r]);
      times[r].peak_bytes = std::max(times[r].peak_bytes, peak_memory());
      if (i < settings.warmup) continue;
      times[r].seconds.push_back(seconds);
      times[r].processor_seconds.push_back(static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC);
    }
  return times;
}

/// Multiply-add operations per second of all threads together, and bytes per second of a copy: the best of several short tries.
struct Machine {
  double operations = 0, bytes = 0;
};

Machine measure_machine(at::ScalarType dtype) {
  const kernels::cpu::Kernels& level = kernels::cpu::kernels_of(kernels::cpu::current_level());
  const auto element = dtype == at::kBFloat16 ? kernels::cpu::Element::kBFloat16 : kernels::cpu::Element::kFloat32;
  constexpr int64_t kPasses = 50'000;
  const int64_t threads = at::get_num_threads();
  Machine machine;
  for (int i = 0; i < 10; ++i) {
    std::vector<double> done(static_cast<size_t>(threads));
    const double seconds = seconds_of([&] {
      std::atomic<size_t> next = 0;
      kernels::on_threads(threads, [&] { done[next++] = level.spin(element, kPasses); });
    });
    double total = 0;
    for (const double operations : done) total += operations;
    machine.operations = std::max(machine.operations, total / seconds);
  }
  const at::Tensor from = at::ones({int64_t{16} << 20}, at::kFloat), to = at::empty_like(from);
  for (int i = 0; i < 5; ++i)
    machine.bytes = std::max(machine.bytes, 2.0 * static_cast<double>(from.nbytes()) / seconds_of([&] { to.copy_(from); }));
  return machine;
}

nlohmann::json times_json(const BenchTimes& t) {
  return {{"median_s", t.median()}, {"min_s", t.fastest()}, {"max_s", t.slowest()}, {"processor_s", t.processor_median()}, {"peak_bytes", t.peak_bytes}};
}

}  // namespace

std::vector<std::string> attention_bench_controls() { return {"plain", "style", "bias_gain", "col_sum", "keys", "blend", "var", "causal"}; }

nlohmann::json AttentionBenchResult::to_json(const AttentionBenchSettings& settings) const {
  nlohmann::json json = times_json(ours);
  json["control"] = control;
  json["gflops"] = operations / ours.median() / 1e9;
  json["roofline"] = roofline();
  if (plain) {
    json["plain"] = times_json(*plain);
    json["times_plain"] = ours.median() / plain->median();
  }
  if (baseline) {
    json["baseline"] = times_json(*baseline);
    json["baseline"]["name"] = settings.baseline;
    json["baseline"]["allocator"] = "libtorch";
    json["ratio"] = baseline->median() / ours.median();
  }
  json["settings"] = {{"shape", {settings.batch, settings.heads, settings.queries, settings.keys, settings.width}},
                      {"dtype", settings.dtype == at::kFloat ? "float32" : settings.dtype == at::kHalf ? "float16" : "bfloat16"},
                      {"device", "cpu"},
                      {"instructions", kernels::cpu::level_name(kernels::cpu::current_level())},
                      {"threads", at::get_num_threads()},
                      {"repeat", settings.repeat},
                      {"warmup", settings.warmup},
                      {"version", version()}};
  return json;
}

std::vector<AttentionBenchResult> bench_attention(const AttentionBenchSettings& settings, const Context& context) {
  const c10::InferenceMode inference;
  const Machine machine = measure_machine(settings.dtype);
  const std::vector<std::string> of_maps = map_subjects();
  std::optional<Subjects> subjects;
  std::vector<AttentionBenchResult> results;
  for (const std::string& name : settings.controls) {
    context.report(name, static_cast<int64_t>(results.size()), static_cast<int64_t>(settings.controls.size()));
    const bool of_map = std::find(of_maps.begin(), of_maps.end(), name) != of_maps.end();
    if (!of_map && !subjects) subjects.emplace(settings);
    const BenchSubject subject = of_map ? map_subject(name, settings) : subjects->make(name);
    if (settings.baseline == "torch" && !subject.torch)
      fail(ExitCode::kUsage, "--baseline torch: libtorch's fused attention cannot do the control {}; use --baseline eager", name);
    AttentionBenchResult& result = results.emplace_back();
    result.control = name;
    result.operations = subject.operations;
    result.attainable_seconds = std::max(subject.operations / machine.operations, subject.bytes / machine.bytes);
    std::vector<std::function<at::Tensor()>> own = {subject.ours};
    if (subject.plain) own.push_back(subject.plain);
    const std::vector<BenchTimes> times = measure(own, settings, context);
    result.ours = times[0];
    if (subject.plain) result.plain = times[1];
    if (settings.baseline.empty()) continue;
    const LibtorchMemory memory;
    result.baseline = measure({settings.baseline == "torch" ? subject.torch : subject.eager}, settings, context)[0];
  }
  return results;
}

}  // namespace attelier
