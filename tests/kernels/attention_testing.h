// Random problems, controls and comparisons for the tests of attention.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "kernels/attention.h"
#include "kernels/reference/attention_reference.h"

namespace attelier::kernels {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Problem {
  at::Tensor q, k, v;
};

enum class Layout { kHeadsFirst, kTokensFirst, kStrided };

/// Random [B,H,L,D] in one of the layouts that layers produce: contiguous, a view of [B,L,H,D], or a slice of a wider projection.
inline at::Tensor random_heads(int64_t batches, int64_t heads, int64_t tokens, int64_t width, Layout layout, at::ScalarType type) {
  switch (layout) {
    case Layout::kHeadsFirst: return at::randn({batches, heads, tokens, width}).to(type);
    case Layout::kTokensFirst: return at::randn({batches, tokens, heads, width}).to(type).transpose(1, 2);
    case Layout::kStrided: return at::randn({batches, tokens, 3, heads, width + 3}).to(type).select(2, 1).slice(3, 1, 1 + width).transpose(1, 2);
  }
  return {};
}

struct Sizes {
  int64_t batches = 1, heads = 3, key_heads = 3, queries = 77, keys = 77, depth = 40, value_depth = 40;
};

inline Problem random_problem(const Sizes& s, Layout layout = Layout::kTokensFirst, at::ScalarType type = at::kFloat) {
  return {random_heads(s.batches, s.heads, s.queries, s.depth, layout, type), random_heads(s.batches, s.key_heads, s.keys, s.depth, layout, type),
          random_heads(s.batches, s.key_heads, s.keys, s.value_depth, layout, type)};
}

inline double relative_difference(const at::Tensor& value, const at::Tensor& expected) {
  const at::Tensor wide = expected.to(at::kDouble);
  const double size = wide.norm().item<double>();
  const double difference = (value.to(at::kDouble) - wide).norm().item<double>();
  return size == 0 ? difference : difference / size;
}

inline double output_gate(at::ScalarType type) { return type == at::kBFloat16 ? 4e-3 : type == at::kHalf ? 6e-4 : type == at::kDouble ? 1e-12 : 5e-6; }

/// lse: equal infinities, and otherwise within 1e-5 max(1, |L|).
inline void expect_lse(const at::Tensor& value, const at::Tensor& expected, const std::string& what) {
  const at::Tensor a = value.to(at::kDouble), b = expected.to(at::kDouble);
  ASSERT_TRUE(at::equal(at::isinf(a), at::isinf(b))) << what;
  const at::Tensor finite = at::isfinite(b);
  const at::Tensor error = ((a - b).abs() / b.abs().clamp_min(1)).masked_select(finite);
  EXPECT_LE(error.numel() > 0 ? error.max().item<double>() : 0, 1e-5) << what;
}

/// Probes: relative 1e-5, or absolute 5e-6, per element.
inline void expect_probe(const at::Tensor& value, const at::Tensor& expected, const std::string& what) {
  ASSERT_EQ(value.sizes(), expected.sizes()) << what;
  const at::Tensor b = expected.to(at::kDouble);
  const at::Tensor excess = (value.to(at::kDouble) - b).abs() - at::clamp_min(1e-5 * b.abs(), 5e-6);
  EXPECT_LE(excess.max().item<double>(), 0) << what;
}

/// The fast path against the reference: output, lse where given, and probes.
inline void expect_parity(const Problem& p, const AttentionControl& control, const std::string& what) {
  const AttentionResult fast = attention(p.q, p.k, p.v, control);
  const AttentionResult exact = reference::attention(p.q, p.k, p.v, control);
  ASSERT_EQ(fast.o.scalar_type(), p.q.scalar_type()) << what;
  ASSERT_EQ(fast.o.sizes(), exact.o.sizes()) << what;
  EXPECT_LE(relative_difference(fast.o, exact.o), output_gate(p.q.scalar_type())) << what;
  if (fast.lse.defined()) expect_lse(fast.lse, exact.lse, what);
  ASSERT_EQ(fast.probes.size(), exact.probes.size()) << what;
  for (size_t i = 0; i < exact.probes.size(); ++i) {
    const std::string name = what + ", probe " + std::to_string(i);
    if (control.probes[i].kind == ProbeKind::kLse)
      expect_lse(fast.probes[i].value, exact.probes[i].value, name);
    else
      expect_probe(fast.probes[i].value, exact.probes[i].value, name);
    ASSERT_EQ(fast.probes[i].index.defined(), exact.probes[i].index.defined()) << name;
    if (!exact.probes[i].index.defined()) continue;
    EXPECT_TRUE(at::equal(fast.probes[i].index, exact.probes[i].index)) << name;
  }
}

inline Probe probe(ProbeKind kind, ProbeWhen when = ProbeWhen::kPost, ReduceHeads reduce = ReduceHeads::kNone) {
  Probe p;
  p.kind = kind;
  p.when = when;
  p.reduce_heads = reduce;
  return p;
}

/// A bias per key with a few masked ones, f32 [B,H,Lk].
inline at::Tensor random_bias(int64_t batches, int64_t heads, int64_t keys) {
  at::Tensor bias = at::randn({batches, heads, keys});
  return bias.masked_fill(at::rand({batches, heads, keys}) < 0.1, -kInfinity);
}

}  // namespace attelier::kernels
