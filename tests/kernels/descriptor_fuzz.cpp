// Any bytes as a descriptor: they choose sizes, dtype, strides, fields and values, in and out of their ranges. A call is refused with
// std::invalid_argument, or it agrees with the double-precision reference in shape and value, with and without probes, twice the same bits.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "kernels/attention.h"
#include "kernels/cpu/level.h"
#include "kernels/reference/attention_reference.h"

namespace attelier::kernels {
namespace {

/// The bytes as a source of choices; zeros once they are used up.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size) : data_(data), end_(data + size) {}
  int64_t byte() { return data_ == end_ ? 0 : *data_++; }
  int64_t below(int64_t n) { return byte() % n; }
  bool one_in(int64_t n) { return byte() % n == n - 1; }
  /// Mostly small numbers, sometimes the ones that go wrong.
  double number() {
    static constexpr double kOdd[] = {0, -0.0, 1, -1, 1e-30, 1e4, -1e4, 1e30, INFINITY, -INFINITY, NAN, 0.5};
    const int64_t b = byte();
    return b < 24 ? kOdd[b % 12] : (static_cast<double>(b) - 140) / 32;
  }
  /// Usually `right`, sometimes one beside it.
  int64_t near(int64_t right) {
    const int64_t b = byte();
    return b < 240 ? right : b < 246 ? std::max<int64_t>(0, right - 1) : b < 252 ? right + 1 : 0;
  }

 private:
  const uint8_t *data_, *end_;
};

class Descriptor {
 public:
  explicit Descriptor(Choices& choices) : c_(choices) {
    static constexpr at::ScalarType kTypes[] = {at::kFloat, at::kFloat, at::kBFloat16, at::kHalf, at::kDouble};
    type_ = kTypes[c_.below(5)];
    batches_ = 1 + c_.below(3);
    key_heads_ = 1 + c_.below(2);
    heads_ = key_heads_ * (1 + c_.below(2));
    queries_ = 1 + c_.below(c_.one_in(8) ? 60 : 9);
    keys_ = c_.below(c_.one_in(8) ? 100 : 14);
    depth_ = 1 + c_.below(40);
    value_depth_ = c_.one_in(2) ? depth_ : 1 + c_.below(40);
    q = heads(c_.near(batches_), heads_, queries_, depth_);
    k = heads(c_.near(batches_), key_heads_, keys_, c_.near(depth_));
    v = heads(c_.near(batches_), c_.near(key_heads_), c_.near(keys_), value_depth_);
    fill();
  }

  at::Tensor q, k, v;
  AttentionControl control;

 private:
  /// Values that differ from each other, the amplitude and a rare odd value chosen.
  at::Tensor values(at::IntArrayRef shape, at::ScalarType type = at::kFloat) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    const double phase = static_cast<double>(c_.byte()), amplitude = c_.one_in(16) ? 100 : 1;
    at::Tensor x = amplitude * at::sin(at::arange(count, at::kFloat) * 0.7 + phase);
    if (c_.one_in(8) && count > 0) x[c_.byte() % count] = c_.number();
    return x.view(shape).to(type);
  }
  /// [B,H,L,D] dense, as a projection leaves it, or with a gap after each row.
  at::Tensor heads(int64_t batches, int64_t heads, int64_t length, int64_t depth) {
    const at::Tensor x = values({batches, heads, length, depth}, type_);
    switch (c_.below(4)) {
      case 0: return x.transpose(1, 2).contiguous().transpose(1, 2);
      case 1: return at::constant_pad_nd(x, {0, 3}).slice(3, 0, depth);
      case 2: return x.transpose(2, 3).contiguous().transpose(2, 3);
      default: return x;
    }
  }
  at::Tensor per_key(int64_t keys) { return values({c_.one_in(2) ? 1 : c_.near(batches_), c_.one_in(2) ? 1 : c_.near(heads_), c_.near(keys)}); }
  std::vector<int64_t> some(int64_t n) {
    std::vector<int64_t> list;
    for (int64_t i = c_.below(4); i > 0; --i) list.push_back(c_.one_in(16) ? n + c_.below(2) : c_.below(std::max<int64_t>(n, 1)));
    return list;
  }

  Source source(int64_t index) {
    Source s;
    int64_t keys = keys_;
    if (index > 0 || c_.one_in(4)) {
      keys = c_.below(9);
      const int64_t batches = 1 + c_.below(3);
      s.k = heads(batches, c_.one_in(2) ? heads_ : 1, keys, c_.near(depth_));
      s.v = heads(batches, s.k.size(1), c_.near(keys), value_depth_);
      if (c_.one_in(2))
        for (int64_t b = 0; b < c_.near(batches_); ++b) s.batch_map.push_back(c_.below(batches + 2) - 1);
    }
    total_ += keys;
    if (c_.one_in(3)) s.key_bias = per_key(keys);
    if (c_.one_in(4)) s.key_scale = per_key(keys);
    if (c_.one_in(4)) s.key_gain = per_key(keys);
    if (c_.one_in(4)) s.log_weight = c_.number();
    if (c_.one_in(6)) s.log_weight_rows = values({c_.near(batches_), c_.one_in(2) ? 1 : heads_});
    if (c_.one_in(3)) s.key_class = (at::arange(c_.near(keys), at::kLong) % (c_.one_in(8) ? 5 : 4)).to(at::kByte).unsqueeze(0);
    return s;
  }

  void fill() {
    if (c_.one_in(4)) control.scale = c_.number();
    if (c_.one_in(4)) {
      control.temperature.clear();
      for (int64_t h = c_.one_in(2) ? 1 : c_.near(heads_); h > 0; --h) control.temperature.push_back(c_.number());
    }
    if (c_.one_in(4)) {
      control.q_blend = QueryBlend{heads(c_.one_in(2) ? 1 : batches_, heads_, c_.near(queries_), depth_), c_.number(), {}};
      if (c_.one_in(2)) control.q_blend->rows = values({1, c_.near(queries_)});
    }
    const int64_t sources = c_.one_in(3) ? 1 + c_.below(5) : c_.below(2);
    for (int64_t i = 0; i < sources; ++i) control.sources.push_back(source(i));
    if (sources == 0) total_ = keys_;
    if (c_.one_in(4)) {
      control.combine = Combine::kBlend;
      for (int64_t i = c_.near(std::max<int64_t>(1, sources)); i > 0; --i)
        if (c_.one_in(8)) control.blend_weight_map.push_back(values({batches_, c_.one_in(2) ? heads_ : c_.near(queries_)}));
        else control.blend_weight.push_back(c_.number());
    }
    control.renorm = c_.one_in(6);
    if (c_.one_in(6)) control.pair_bias = values({c_.one_in(2) ? 1 : heads_, c_.near(queries_), c_.near(total_)});
    if (c_.one_in(4)) control.causal = Causal{c_.byte() - 100};
    if (c_.one_in(6)) {
      control.class_table = ClassTable{};
      for (int64_t h = c_.one_in(2) ? 1 : c_.near(heads_); h > 0; --h) control.class_table->gain.push_back({c_.number(), c_.number(), c_.number(), 1});
    }
    if (c_.one_in(6)) control.visual = VisualRedistribution{c_.number(), c_.number(), c_.number(), 1e-6, c_.below(4), some(heads_)};
    for (int64_t n = c_.one_in(2) ? c_.below(6) : 0; n > 0; --n) {
      Probe p;
      p.kind = static_cast<ProbeKind>(c_.below(8));
      p.when = static_cast<ProbeWhen>(c_.below(2));
      p.reduce_heads = static_cast<ReduceHeads>(c_.below(3));
      if (c_.one_in(3)) p.heads = some(heads_);
      if (c_.one_in(3)) p.rows = some(queries_);
      if (c_.one_in(3)) p.keys = some(total_);
      if (c_.one_in(4)) p.row_weight = values({1, c_.near(queries_)});
      p.k = c_.below(10);
      control.probes.push_back(p);
    }
  }

  Choices& c_;
  at::ScalarType type_;
  int64_t batches_, key_heads_, heads_, queries_, keys_, depth_, value_depth_, total_ = 0;
};

bool same(const at::Tensor& a, const at::Tensor& b) { return a.sizes() == b.sizes() && at::equal(at::nan_to_num(a), at::nan_to_num(b)); }

/// True when every number is of a size at which rounding leaves a comparison meaningful.
bool is_tame(const Descriptor& d) {
  const auto tame = [](const at::Tensor& x, double limit) {
    return !x.defined() || x.numel() == 0 || (at::isfinite(x).all().item<bool>() && x.abs().max().item<double>() <= limit);
  };
  bool all = tame(d.q, 2) && tame(d.k, 2) && tame(d.v, 2) && !d.control.visual && (!d.control.scale || std::abs(*d.control.scale) <= 4);
  for (const double t : d.control.temperature) all = all && t <= 4;
  if (d.control.q_blend) all = all && tame(d.control.q_blend->q2, 2) && std::abs(d.control.q_blend->gamma) <= 4 && tame(d.control.q_blend->rows, 2);
  for (const Source& s : d.control.sources)
    all = all && tame(s.k, 2) && tame(s.v, 2) && tame(s.key_bias, 8) && tame(s.key_scale, 4) && tame(s.key_gain, 4) && tame(s.log_weight_rows, 8) && std::abs(s.log_weight) <= 8;
  for (const double w : d.control.blend_weight) all = all && std::abs(w) <= 4;
  for (const at::Tensor& w : d.control.blend_weight_map) all = all && tame(w, 4);
  if (d.control.class_table)
    for (const auto& row : d.control.class_table->gain)
      for (const double g : row) all = all && std::abs(g) <= 4;
  return all && !d.control.renorm && tame(d.control.pair_bias, 8);
}

void run(const Descriptor& d) {
  const AttentionResult first = attention(d.q, d.k, d.v, d.control), second = attention(d.q, d.k, d.v, d.control);
  const std::array<int64_t, 4> shape = {d.q.size(0), d.q.size(1), d.q.size(2), d.v.size(3)};
  if (first.o.sizes() != at::IntArrayRef(shape) || !same(first.o, second.o) || first.probes.size() != d.control.probes.size()) std::abort();
  AttentionControl unwatched = d.control;
  unwatched.probes.clear();
  if (!same(attention(d.q, d.k, d.v, unwatched).o, first.o)) std::abort();
  const AttentionResult exact = reference::attention(d.q, d.k, d.v, d.control);
  for (size_t i = 0; i < first.probes.size(); ++i)
    if (first.probes[i].value.sizes() != exact.probes[i].value.sizes()) std::abort();
  if (!is_tame(d)) return;
  const at::ScalarType type = d.q.scalar_type();
  const double unit = type == at::kBFloat16 ? 1.0 / 128 : type == at::kHalf ? 1.0 / 1024 : 2e-5;
  const double sources = std::max<double>(1, static_cast<double>(d.control.sources.size()));
  const at::Tensor error = (first.o.to(at::kDouble) - exact.o.to(at::kDouble)).abs();
  // Gains, class gains and blend weights of up to 4 multiply what is summed; blended queries are rounded before logits of up to some hundreds.
  const double slack = d.control.q_blend && type != at::kFloat && type != at::kDouble ? 1000 : 64;
  if (error.numel() > 0 && !(error.max().item<double>() <= slack * 4 * sources * unit)) std::abort();
}

}  // namespace
}  // namespace attelier::kernels

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attelier::kernels;
  const c10::InferenceMode inference;
  Choices choices(data, size);
  const auto& levels = cpu::available_levels();
  cpu::use_level(levels[static_cast<size_t>(choices.byte()) % levels.size()]);
  try {
    run(Descriptor(choices));
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
