#include "kernels/blocks.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

namespace attelier::kernels {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
/// Probabilities held at a time (heads x rows x keys): 8 MiB in float32.
constexpr int64_t kBlockElements = int64_t{1} << 21;

at::Tensor batch_row(const at::Tensor& x, int64_t b) { return x.defined() ? x[x.size(0) == 1 ? 0 : b] : x; }

/// a [H,R,N] times b [Hkv,N,M]: query head h uses b[h / (H / Hkv)].
at::Tensor grouped_product(const at::Tensor& a, const at::Tensor& b) {
  if (a.size(0) == b.size(0)) return at::bmm(a, b);
  const int64_t group = a.size(0) / b.size(0), rows = a.size(1);
  return at::bmm(a.reshape({b.size(0), group * rows, a.size(2)}), b).view({a.size(0), rows, b.size(2)});
}

/// One source for one batch row, in the dtype of the products.
struct RowSource {
  at::Tensor keys;    // [Hkv,D,Lk]
  at::Tensor values;  // [Hkv,Lk,Dv]
  at::Tensor bias, scale, gain;  // [H|1,1,Lk|1] or undefined
  at::Tensor blend_weight;       // [H|1,Lq|1,1] or undefined
  int64_t begin = 0, length = 0;
};

class Computation {
 public:
  Computation(const AttentionControl& control, const ResolvedCall& call, bool with_output, std::vector<ProbeOutput>& probes)
      : control_(control), call_(call), with_output_(with_output), probes_(probes), type_(call.q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat) {
    for (const ProbeOutput& output : probes) {
      const Probe& probe = output.probe();
      wants_lse_ |= probe.kind == ProbeKind::kLse;
      (probe.when == ProbeWhen::kPre ? has_pre_ : has_post_) |= true;
    }
    wants_classes_ = control.class_table || control.visual || std::any_of(probes.begin(), probes.end(), [](const ProbeOutput& o) { return o.probe().kind == ProbeKind::kClassMass; });
    may_hide_ = call.causal_offset || control.pair_bias.defined() || std::any_of(call.sources.begin(), call.sources.end(), [](const ResolvedSource& s) { return s.bias.defined(); });
    columns_ = at::arange(call.keys, call.q.options().dtype(at::kLong));
  }

  at::Tensor run() {
    if (with_output_) o_ = at::empty({call_.batches(), call_.heads(), call_.rows(), call_.value_depth}, call_.q.options());
    const std::vector<int64_t> rows = wanted_rows();
    const int64_t block = std::clamp<int64_t>(kBlockElements / (call_.heads() * call_.keys), 1, static_cast<int64_t>(rows.size()));
    for (int64_t b = 0; b < call_.batches(); ++b) {
      prepare_batch_row(b);
      for (auto begin = rows.begin(); begin != rows.end();) {
        const auto end = begin + std::min<std::ptrdiff_t>(block, rows.end() - begin);
        run_block(b, {begin, end});
        begin = end;
      }
    }
    return o_;
  }

 private:
  std::vector<int64_t> wanted_rows() const {
    std::set<int64_t> some;
    bool all = with_output_;
    for (const ProbeOutput& output : probes_) {
      if (output.probe().rows) some.insert(output.probe().rows->begin(), output.probe().rows->end());
      else all = true;
    }
    if (!all) return {some.begin(), some.end()};
    std::vector<int64_t> rows(static_cast<size_t>(call_.rows()));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
  }

  void prepare_batch_row(int64_t b) {
    q_ = call_.q[b].to(type_) * at::tensor(call_.scales, at::kDouble).to(call_.q.device(), type_).view({-1, 1, 1});
    sources_.clear();
    std::vector<at::Tensor> classes;
    class_count_ = {};
    for (const ResolvedSource& source : call_.sources) {
      RowSource row;
      row.keys = source.k[b].to(type_).transpose(1, 2);
      row.values = source.v[b].to(type_);
      const auto per_key = [&](const at::Tensor& x) { return x.defined() ? batch_row(x, b).unsqueeze(1) : x; };
      row.bias = per_key(source.bias);
      row.scale = per_key(source.scale);
      row.gain = per_key(source.gain);
      if (source.blend_weight.defined()) row.blend_weight = batch_row(source.blend_weight, b).unsqueeze(2);
      row.begin = source.begin;
      row.length = source.length;
      sources_.push_back(row);
      if (!wants_classes_) continue;
      classes.push_back(source.key_class.defined() ? batch_row(source.key_class, b).to(at::kLong) : at::zeros({source.length}, call_.q.options().dtype(at::kLong)));
      if (source.absent.empty() || !source.absent[static_cast<size_t>(b)])
        for (int64_t c = 0; c < kMaximumClasses; ++c) class_count_[static_cast<size_t>(c)] += (classes.back() == c).sum().item<int64_t>();
    }
    if (wants_classes_) class_share_ = at::one_hot(at::cat(classes), kMaximumClasses).to(type_);
  }

  void run_block(int64_t b, const std::vector<int64_t>& rows) {
    const int64_t first = rows.front(), count = static_cast<int64_t>(rows.size());
    const bool consecutive = rows.back() - first + 1 == count;
    row_index_ = at::tensor(rows, at::kLong).to(call_.q.device());
    const at::Tensor q = consecutive ? q_.slice(1, first, first + count) : q_.index_select(1, row_index_);
    // Under concat one softmax covers all sources, under blend each has its own.
    const bool blend = control_.combine == Combine::kBlend;
    std::vector<at::Tensor> p;
    at::Tensor lse;
    for (size_t s = 0; s < (blend ? sources_.size() : 1); ++s) {
      const at::Tensor z = blend ? logits(q, sources_[s]) : all_logits(q);
      if (wants_lse_) {
        const at::Tensor part = at::logsumexp(z, -1);
        lse = lse.defined() ? at::logaddexp(lse, part) : part;
      }
      p.push_back(probabilities(z));
    }
    const auto joined = [&] { return p.size() == 1 ? p[0] : at::cat(p, -1); };
    if (has_pre_) read(ProbeWhen::kPre, {b, rows, joined(), lse, class_share_});
    edit(p);
    if (has_post_) read(ProbeWhen::kPost, {b, rows, joined(), lse, class_share_});
    if (with_output_) write_output(b, first, count, p);
  }

  at::Tensor logits(const at::Tensor& q, const RowSource& source) const {
    at::Tensor z = grouped_product(q, source.keys);
    if (source.scale.defined()) z.mul_(source.scale);
    if (source.bias.defined()) z.add_(source.bias);
    if (control_.pair_bias.defined()) z.add_(control_.pair_bias.narrow(2, source.begin, source.length).to(type_).index_select(1, row_index_));
    if (call_.causal_offset) {
      const at::Tensor hidden = columns_.slice(0, source.begin, source.begin + source.length).unsqueeze(0) > (row_index_ + *call_.causal_offset).unsqueeze(1);
      z.masked_fill_(hidden, kMinusInfinity);
    }
    return z;
  }

  at::Tensor all_logits(const at::Tensor& q) const {
    if (sources_.size() == 1) return logits(q, sources_[0]);
    std::vector<at::Tensor> parts;
    for (const RowSource& source : sources_) parts.push_back(logits(q, source));
    return at::cat(parts, -1);
  }

  at::Tensor probabilities(const at::Tensor& z) const {
    at::Tensor p = at::softmax(z, -1);
    if (may_hide_) p.masked_fill_(z.amax(-1, true) == kMinusInfinity, 0);
    return p;
  }

  /// Step 6: P' in place of P.
  void edit(std::vector<at::Tensor>& p) const {
    const at::Tensor g = class_gains(p[0]);
    if (g.defined()) p[0].mul_(at::matmul(g, class_share_.t()));
    for (size_t s = 0; s < sources_.size(); ++s) {
      if (!sources_[s].gain.defined()) continue;
      at::Tensor part = p.size() > 1 ? p[s] : p[0].narrow(2, sources_[s].begin, sources_[s].length);
      part.mul_(sources_[s].gain);
    }
    if (!control_.renorm) return;
    for (at::Tensor& part : p) {
      const at::Tensor sum = part.sum(-1, true);
      part.div_(sum.masked_fill(sum == 0, 1));
    }
  }

  /// g_c(M) as [H|1,1,4] or [H,R,4]; undefined without redistribution, which only one softmax over all sources may have.
  at::Tensor class_gains(const at::Tensor& p) const {
    const at::TensorOptions options = p.options();
    if (control_.class_table) {
      const auto& rows = control_.class_table->gain;
      at::Tensor g = at::empty({static_cast<int64_t>(rows.size()), 1, kMaximumClasses}, at::kDouble);
      std::copy_n(rows[0].data(), g.numel(), g.data_ptr<double>());
      return g.to(options.device(), type_);
    }
    if (!control_.visual) return {};
    const VisualRedistribution& rule = *control_.visual;
    const at::Tensor mass = at::matmul(p, class_share_);  // [H,R,4]
    const at::Tensor others = mass.select(2, 1), sink = mass.select(2, 3), visual = others + sink, sinks = mass.select(2, 2) + sink;
    const double smoothing = static_cast<double>(class_count_[1] + class_count_[3]) * rule.eps;
    at::Tensor chosen = (sink / (visual + smoothing) <= 1 - rule.rho_nonsink) & (visual >= rule.min_vis_mass) & (others > 0) & (row_index_ >= rule.row_from).unsqueeze(0);
    if (class_count_[3] == 0) chosen = at::zeros_like(chosen);
    if (!rule.heads.empty()) {
      at::Tensor on = at::zeros({p.size(0), 1}, options.dtype(at::kBool));
      for (const int64_t h : rule.heads) on[h].fill_(true);
      chosen = chosen & on;
    }
    const at::Tensor one = at::ones({}, options), kept = at::where(chosen, one * rule.keep, one);
    const at::Tensor raised = at::where(chosen, 1 + (1 - rule.keep) * sinks / others, one);
    return at::stack({at::ones_like(kept), raised, kept, kept}, 2);
  }

  void read(ProbeWhen when, const ProbeBlock& block) {
    for (ProbeOutput& output : probes_)
      if (output.probe().when == when) output.add(block);
  }

  void write_output(int64_t b, int64_t first, int64_t count, const std::vector<at::Tensor>& p) {
    at::Tensor sum;
    for (size_t s = 0; s < sources_.size(); ++s) {
      const RowSource& source = sources_[s];
      const at::Tensor own = p.size() > 1 || sources_.size() == 1 ? p[s] : p[0].narrow(2, source.begin, source.length);
      at::Tensor part = grouped_product(own, source.values);
      if (source.blend_weight.defined())
        part = part * (source.blend_weight.size(1) == 1 ? source.blend_weight : source.blend_weight.slice(1, first, first + count));
      sum = sum.defined() ? sum + part : part;
    }
    at::Tensor target = o_[b].slice(1, first, first + count);
    target.copy_(sum);
  }

  const AttentionControl& control_;
  const ResolvedCall& call_;
  const bool with_output_;
  std::vector<ProbeOutput>& probes_;
  const at::ScalarType type_;
  bool wants_lse_ = false, wants_classes_ = false, has_pre_ = false, has_post_ = false, may_hide_ = false;
  at::Tensor o_, columns_;
  // Of the current batch row.
  at::Tensor q_;  // [H,Lq,D], scaled
  std::vector<RowSource> sources_;
  at::Tensor class_share_;  // [Lk,4]
  std::array<int64_t, 4> class_count_ = {};
  at::Tensor row_index_;  // of the current block, i64 [R]
};

}  // namespace

at::Tensor blocked_attention(const AttentionControl& canonical, const ResolvedCall& call, bool with_output, std::vector<ProbeOutput>& probes) {
  return Computation(canonical, call, with_output, probes).run();
}

}  // namespace attelier::kernels
