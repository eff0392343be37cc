// Random calls of the whole descriptor, and how close to the double-precision reference a fast path must come.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "tests/kernels/attention_testing.h"

namespace attelier::kernels {

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}
  int64_t below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random_); }
  bool one_in(int64_t n) { return below(n) == 0; }
  double uniform(double from, double to) { return std::uniform_real_distribution<double>(from, to)(random_); }
  template <typename T>
  T any_of(std::initializer_list<T> values) {
    return *(values.begin() + below(static_cast<int64_t>(values.size())));
  }
  std::vector<int64_t> some_of(int64_t n) {
    std::vector<int64_t> list;
    for (int64_t i = below(std::min<int64_t>(n, 4)); i >= 0; --i) list.push_back(below(n));
    return list;
  }

 private:
  std::mt19937_64 random_;
};

struct Case {
  Problem problem;
  AttentionControl control;
  bool large = false;  // logits of up to 1e4, exact in every dtype
  std::string what;
};

/// Sizes that keep a case cheap, around the strips and tiles of kernels/cpu.
inline Sizes small_sizes(Generator& g) {
  Sizes s;
  s.batches = 1 + g.below(3);
  s.key_heads = 1 + g.below(2);
  s.heads = s.key_heads * (1 + g.below(2));
  s.queries = g.one_in(12) ? 45 + g.below(12) : 1 + g.below(9);
  s.keys = g.one_in(12) ? 90 + g.below(16) : 1 + g.below(14);
  s.depth = g.any_of<int64_t>({1, 2, 3, 5, 8, 15, 16, 17, 40});
  s.value_depth = g.one_in(2) ? s.depth : g.any_of<int64_t>({1, 3, 7, 8, 14, 30, 33});
  return s;
}

class CaseMaker {
 public:
  explicit CaseMaker(Generator& g, Sizes (*sizes)(Generator&) = small_sizes) : g_(g), choose_sizes_(sizes) {}

  Case make() {
    Case c;
    const at::ScalarType type = g_.any_of({at::kFloat, at::kFloat, at::kBFloat16, at::kHalf});
    sizes_ = choose_sizes_(g_);
    const auto layout = static_cast<Layout>(g_.below(3));
    c.problem = random_problem(sizes_, layout, type);
    c.large = large_ = g_.one_in(8);
    if (large_) make_large(c);
    add_control(c.control, type);
    c.what = fmt::format("{}, B {}, H {}/{}, Lq {}, Lk {}, D {}/{}, layout {}, large {}", c10::toString(type), sizes_.batches, sizes_.heads, sizes_.key_heads, sizes_.queries,
                         sizes_.keys, sizes_.depth, sizes_.value_depth, static_cast<int>(layout), c.large);
    return c;
  }

 private:
  /// Whole numbers, whose products every path adds up exactly, as long as what is added to the logits is whole too.
  void make_large(Case& c) {
    const at::ScalarType type = c.problem.q.scalar_type();
    c.problem.q = at::randint(-16, 17, c.problem.q.sizes(), at::kFloat).to(type);
    c.problem.k = at::randint(-16, 17, c.problem.k.sizes(), at::kFloat).to(type);
    c.control.scale = 4;
  }

  std::vector<int64_t> per_key(int64_t keys) { return {g_.one_in(2) ? 1 : sizes_.batches, g_.one_in(2) ? 1 : sizes_.heads, keys}; }
  at::Tensor addends(const std::vector<int64_t>& shape) { return large_ ? at::randint(-3, 4, shape, at::kFloat) : at::randn(shape); }
  at::Tensor bias(const std::vector<int64_t>& shape) {
    const at::Tensor x = addends(shape);
    return x.masked_fill(at::rand(shape) < g_.any_of({0.0, 0.2, 0.9}), -kInfinity);
  }

  Source source(const Source& own, int64_t keys, bool renorm) {
    Source s = own;
    if (g_.one_in(3)) s.key_bias = bias(per_key(keys));
    if (g_.one_in(5)) s.key_scale = large_ ? at::randint(0, 3, per_key(keys), at::kFloat) : at::rand(per_key(keys)) * 2;
    if (renorm || g_.one_in(4)) s.key_gain = renorm ? at::rand(per_key(keys)) : at::randn(per_key(keys));
    if (g_.one_in(5)) s.log_weight = g_.any_of({large_ ? 1.0 : 0.7, -3.0, -kInfinity});
    if (g_.one_in(6)) s.log_weight_rows = addends({g_.one_in(2) ? 1 : sizes_.batches, g_.one_in(2) ? 1 : sizes_.heads});
    if (g_.one_in(3)) s.key_class = at::randint(0, 4, {g_.one_in(2) ? 1 : sizes_.batches, keys}, at::kByte);
    return s;
  }

  void add_sources(AttentionControl& c, at::ScalarType type) {
    c.renorm = !large_ && g_.one_in(6);
    const int64_t count = g_.any_of<int64_t>({0, 1, 1, 2, 2, 3, 4});
    keys_ = count == 0 ? sizes_.keys : 0;
    if (count == 0) c.renorm = false;
    for (int64_t i = 0; i < count; ++i) {
      Source base;
      int64_t keys = sizes_.keys;
      if (i > 0 || g_.one_in(3)) {
        keys = 1 + g_.below(9);
        const int64_t heads = g_.one_in(2) ? sizes_.heads : 1, batches = g_.one_in(2) ? 1 : 1 + g_.below(3);
        base.k = random_heads(batches, heads, keys, sizes_.depth, static_cast<Layout>(g_.below(3)), type);
        base.v = random_heads(batches, heads, keys, sizes_.value_depth, static_cast<Layout>(g_.below(3)), type);
        if (batches != 1 || g_.one_in(3))
          for (int64_t b = 0; b < sizes_.batches; ++b) base.batch_map.push_back(g_.below(batches + 1) - 1);
      }
      keys_ += keys;
      c.sources.push_back(source(base, keys, c.renorm));
    }
  }

  void add_control(AttentionControl& c, at::ScalarType type) {
    if (!c.scale && g_.one_in(4)) c.scale = g_.any_of({0.1, 1.0, -0.3});
    if (g_.one_in(5)) c.temperature = {g_.uniform(0.5, 2)};
    if (g_.one_in(8)) {
      c.temperature.clear();
      for (int64_t h = 0; h < sizes_.heads; ++h) c.temperature.push_back(g_.uniform(0.5, 2));
    }
    if (large_) c.temperature = {1};
    if (!large_ && g_.one_in(4)) {
      QueryBlend blend{at::randn({g_.one_in(2) ? 1 : sizes_.batches, sizes_.heads, sizes_.queries, sizes_.depth}).to(type), g_.any_of({0.0, 0.75, 1.0}), {}};
      if (g_.one_in(2)) blend.rows = at::rand({g_.one_in(2) ? 1 : sizes_.batches, sizes_.queries});
      c.q_blend = blend;
    }
    add_sources(c, type);
    const int64_t sources = std::max<int64_t>(1, static_cast<int64_t>(c.sources.size()));
    if (g_.one_in(4)) {
      c.combine = Combine::kBlend;
      const bool maps = g_.one_in(2);
      for (int64_t s = 0; s < sources; ++s) {
        if (!maps) c.blend_weight.push_back(g_.any_of({0.0, 0.3, 1.0, 1.7}));
        else c.blend_weight_map.push_back(g_.one_in(2) ? at::rand({sizes_.batches, sizes_.heads}) : at::rand({g_.one_in(2) ? 1 : sizes_.batches, sizes_.queries}));
      }
    }
    if (g_.one_in(6)) c.pair_bias = bias({g_.one_in(2) ? 1 : sizes_.heads, sizes_.queries, keys_});
    if (g_.one_in(4)) c.causal = Causal{g_.below(keys_ + 6) - 5};
    if (c.combine == Combine::kConcat && !c.renorm) {
      if (g_.one_in(5)) add_table(c);
      else if (g_.one_in(4)) add_visual(c);
    }
    for (int64_t n = g_.any_of<int64_t>({0, 0, 1, 1, 2, 4}); n > 0; --n) add_probe(c);
  }

  void add_table(AttentionControl& c) {
    c.class_table = ClassTable{};
    for (int64_t h = g_.one_in(2) ? 1 : sizes_.heads; h > 0; --h) c.class_table->gain.push_back({g_.uniform(0, 2), g_.uniform(-1, 2), 0, 1});
  }

  void add_visual(AttentionControl& c) {
    c.visual = VisualRedistribution{g_.uniform(0, 1), g_.uniform(0, 1), g_.uniform(0, 0.4)};
    c.visual->row_from = g_.below(4);
    if (g_.one_in(2)) c.visual->heads = {g_.below(sizes_.heads)};
  }

  void add_probe(AttentionControl& c) {
    Probe p;
    p.kind = g_.any_of({ProbeKind::kLse, ProbeKind::kClassMass, ProbeKind::kRows, ProbeKind::kKeys, ProbeKind::kTopk, ProbeKind::kColSum, ProbeKind::kHeadSum, ProbeKind::kMap});
    p.when = g_.any_of({ProbeWhen::kPre, ProbeWhen::kPost});
    p.reduce_heads = g_.any_of({ReduceHeads::kNone, ReduceHeads::kSum, ReduceHeads::kMean});
    if (g_.one_in(3)) p.heads = g_.some_of(sizes_.heads);
    if (g_.one_in(3)) p.rows = g_.some_of(sizes_.queries);
    if (p.kind == ProbeKind::kKeys && g_.one_in(2)) p.keys = g_.some_of(keys_);
    if (p.kind == ProbeKind::kColSum && g_.one_in(2)) p.row_weight = at::randn({g_.one_in(2) ? 1 : sizes_.batches, sizes_.queries});
    if (p.kind == ProbeKind::kTopk) p.k = 1 + g_.below(std::min<int64_t>(4, keys_));
    c.probes.push_back(p);
  }

  Generator& g_;
  Sizes (*choose_sizes_)(Generator&);
  Sizes sizes_;
  int64_t keys_ = 0;
  bool large_ = false;
};

/// Rows whose decision hangs on rounding may fall either way (attention.h: the rule compares masses with two thresholds).
inline bool decides_clearly(const Case& c) {
  if (!c.control.visual) return true;
  AttentionControl masses = c.control;
  masses.probes = {probe(ProbeKind::kClassMass, ProbeWhen::kPre)};
  const at::Tensor mass = reference::attention(c.problem.q, c.problem.k, c.problem.v, masses).probes[0].value;
  const VisualRedistribution& rule = *c.control.visual;
  const at::Tensor sink = mass.select(3, 3), visual = mass.select(3, 1) + sink;
  const at::Tensor share = (sink / visual.clamp_min(1e-12) - (1 - rule.rho_nonsink)).abs(), enough = (visual - rule.min_vis_mass).abs();
  return share.min().item<double>() > 1e-3 && enough.min().item<double>() > 1e-4;
}

/// The output may differ by the gate relative to the largest magnitude that is summed: gains of either sign cancel.
inline void expect_output(const Case& c, const at::Tensor& fast, const at::Tensor& exact) {
  double largest = 1;
  for (const Source& s : c.control.sources)
    if (s.key_gain.defined() && !c.control.renorm) largest = std::max(largest, s.key_gain.abs().max().item<double>());
  const at::ScalarType type = c.problem.q.scalar_type();
  const double unit = type == at::kBFloat16 ? 1.0 / 128 : type == at::kHalf ? 1.0 / 1024 : 2e-5;
  const double values = std::max(1.0, c.problem.v.abs().max().item<double>());
  EXPECT_LE((fast.to(at::kDouble) - exact).abs().max().item<double>(), 2 * unit * largest * values * 2) << c.what;
  if (exact.norm().item<double>() > 0.3 * std::sqrt(static_cast<double>(exact.numel()))) {
    EXPECT_LE(relative_difference(fast, exact), type == at::kFloat ? 2e-5 : 1.5 * largest * output_gate(type)) << c.what;
  }
}

/// Values of a probe, within 1e-5 relative or 1e-5 of what is summed, and `more`. The places of equal values may differ.
inline void expect_probe_value(const Case& c, size_t i, const ProbeResult& fast, const ProbeResult& exact, double more = 0) {
  const Probe& p = c.control.probes[i];
  const std::string what = fmt::format("{}, probe {} of kind {}", c.what, i, static_cast<int>(p.kind));
  ASSERT_EQ(fast.value.sizes(), exact.value.sizes()) << what;
  if (p.kind == ProbeKind::kLse) {
    if (!exact.value.isinf().any().item<bool>()) return expect_lse(fast.value, exact.value, what);
    EXPECT_TRUE(at::equal(fast.value.isinf(), exact.value.isinf())) << what;
    return;
  }
  ASSERT_TRUE(at::isfinite(fast.value).all().item<bool>()) << what;
  const double terms = p.kind == ProbeKind::kColSum ? static_cast<double>(c.problem.q.size(2)) : 1;
  const double heads = p.reduce_heads == ReduceHeads::kSum || p.kind == ProbeKind::kHeadSum ? static_cast<double>(c.problem.q.size(1)) * 4 : 1;
  // A blended query is made in float32 and rounded to T; made in double it may round to the neighbour.
  const at::ScalarType type = c.problem.q.scalar_type();
  const double unit = more + (!c.control.q_blend || type == at::kFloat ? 1e-5 : type == at::kHalf ? 1e-3 : 1e-2);
  const at::Tensor b = exact.value.to(at::kDouble);
  const at::Tensor excess = (fast.value.to(at::kDouble) - b).abs() - 2 * unit * b.abs() - unit * terms * heads;
  EXPECT_LE(excess.max().item<double>(), 0) << what;
}

}  // namespace attelier::kernels
