#include "kernels/reference/attention_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/reference/probe_reference.h"

namespace attelier::kernels::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Double values of a tensor that broadcasts along dimensions of size 1; `fallback` where the tensor is undefined.
class Values {
 public:
  Values() = default;
  Values(const at::Tensor& tensor, double fallback) : fallback_(fallback) {
    if (!tensor.defined()) return;
    tensor_ = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
    data_ = tensor_.data_ptr<double>();
    for (int64_t d = 0; d < tensor_.dim(); ++d) strides_[static_cast<size_t>(d)] = tensor_.size(d) == 1 ? 0 : tensor_.stride(d);
  }
  template <typename... Index>
  double operator()(Index... index) const {
    if (data_ == nullptr) return fallback_;
    int64_t offset = 0;
    size_t dimension = 0;
    ((offset += index * strides_[dimension++]), ...);
    return data_[offset];
  }

 private:
  at::Tensor tensor_;
  const double* data_ = nullptr;
  std::array<int64_t, 4> strides_ = {};
  double fallback_ = 0;
};

struct Keys {
  Values k, v, log_weight_rows, bias, scale, gain, key_class;
  std::vector<int64_t> batch_map;
  double log_weight = 0;
  int64_t heads = 1, length = 0, batches = 1;
  /// The row of the source that batch row b reads, -1 = none.
  int64_t row(int64_t b) const { return batch_map.empty() ? std::min(b, batches - 1) : batch_map[static_cast<size_t>(b)]; }
};

double rounded(double x, at::ScalarType type) {
  switch (type) {
    case at::kBFloat16: return static_cast<float>(c10::BFloat16(static_cast<float>(x)));
    case at::kHalf: return static_cast<float>(c10::Half(static_cast<float>(x)));
    case at::kFloat: return static_cast<float>(x);
    default: return x;
  }
}

class Computation {
 public:
  Computation(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionControl& control)
      : control_(control), type_(q.scalar_type()), heads_(q.size(1)), depth_(q.size(3)), depth_v_(v.size(3)), queries_(q, 0) {
    std::vector<Source> sources = control.sources;
    if (sources.empty()) sources.emplace_back();
    for (const Source& source : sources) {
      const at::Tensor& own_k = source.k.defined() ? source.k : k;
      Keys keys;
      keys.k = Values(own_k, 0);
      keys.v = Values(source.v.defined() ? source.v : v, 0);
      keys.log_weight_rows = Values(source.log_weight_rows, 0);
      keys.bias = Values(source.key_bias, 0);
      keys.scale = Values(source.key_scale, 1);
      keys.gain = Values(source.key_gain, 1);
      keys.key_class = Values(source.key_class, 0);
      keys.batch_map = source.batch_map;
      keys.log_weight = source.log_weight;
      keys.heads = own_k.size(1);
      keys.length = own_k.size(2);
      keys.batches = own_k.size(0);
      begins_.push_back(total_);
      total_ += keys.length;
      sources_.push_back(std::move(keys));
    }
    if (control.q_blend) {
      blend_queries_ = Values(control.q_blend->q2, 0);
      blend_rows_ = Values(control.q_blend->rows, 1);
    }
    pair_bias_ = Values(control.pair_bias, 0);
    for (const at::Tensor& map : control.blend_weight_map) {
      weight_by_head_.push_back(map.size(0) == q.size(0) && map.size(1) == heads_);
      weight_maps_.emplace_back(map, 0);
    }
  }

  int64_t total() const { return total_; }

  /// Steps 1 to 8 of one row; returns O [depth_v].
  std::vector<double> row(int64_t b, int64_t h, int64_t r, CapturedRow& out) const {
    const std::vector<double> query = blended_query(b, h, r);
    const std::vector<double> z = logits(query, b, h, r);
    std::vector<double> p(z.size(), 0.0);
    if (control_.combine == Combine::kConcat) {
      softmax(z, p, 0, total_);
    } else {
      for (size_t s = 0; s < sources_.size(); ++s) softmax(z, p, begins_[s], begins_[s] + sources_[s].length);
    }
    out.lse = log_sum_exp(z, 0, total_);
    out.pre = p;
    out.classes = classes(b);
    const std::array<double, 4> g = class_gains(b, h, r, p, out.classes);
    for (size_t s = 0; s < sources_.size(); ++s)
      for (int64_t j = 0; j < sources_[s].length; ++j) {
        const auto at = static_cast<size_t>(begins_[s] + j);
        p[at] *= g[static_cast<size_t>(out.classes[at])] * sources_[s].gain(b, h, j);
      }
    if (control_.renorm) renormalise(p);
    out.post = p;
    std::vector<double> o(static_cast<size_t>(depth_v_), 0.0);
    for (size_t s = 0; s < sources_.size(); ++s) {
      const int64_t source_row = sources_[s].row(b), source_head = h / (heads_ / sources_[s].heads);
      if (source_row < 0) continue;
      const double w = control_.combine == Combine::kBlend ? weight(s, b, h, r) : 1;
      for (int64_t j = 0; j < sources_[s].length; ++j) {
        const double share = w * p[static_cast<size_t>(begins_[s] + j)];
        if (share != 0)
          for (int64_t d = 0; d < depth_v_; ++d) o[static_cast<size_t>(d)] += share * sources_[s].v(source_row, source_head, j, d);
      }
    }
    return o;
  }

 private:
  std::vector<double> blended_query(int64_t b, int64_t h, int64_t r) const {
    std::vector<double> query;
    const double gamma = control_.q_blend ? control_.q_blend->gamma * blend_rows_(b, r) : 0;
    for (int64_t d = 0; d < depth_; ++d) {
      const double own = queries_(b, h, r, d);
      query.push_back(gamma == 0 ? own : rounded(gamma * blend_queries_(b, h, r, d) + (1 - gamma) * own, type_));
    }
    return query;
  }

  std::vector<double> logits(const std::vector<double>& query, int64_t b, int64_t h, int64_t r) const {
    const double scale = control_.scale.value_or(1 / std::sqrt(static_cast<double>(depth_)));
    const double temperature = control_.temperature[control_.temperature.size() == 1 ? 0 : static_cast<size_t>(h)];
    std::vector<double> z(static_cast<size_t>(total_), -kInfinity);
    for (size_t s = 0; s < sources_.size(); ++s) {
      const Keys& source = sources_[s];
      const int64_t source_row = source.row(b), source_head = h / (heads_ / source.heads);
      if (source_row < 0) continue;
      for (int64_t j = 0; j < source.length; ++j) {
        const int64_t column = begins_[s] + j;
        if (control_.causal && column > r + control_.causal->offset) continue;
        const double added = source.bias(b, h, j) + source.log_weight + source.log_weight_rows(b, h) + pair_bias_(h, r, column);
        if (added == -kInfinity) continue;
        double dot = 0;
        for (int64_t d = 0; d < depth_; ++d) dot += query[static_cast<size_t>(d)] * source.k(source_row, source_head, j, d);
        z[static_cast<size_t>(column)] = temperature * scale * source.scale(b, h, j) * dot + added;
      }
    }
    return z;
  }

  static double log_sum_exp(const std::vector<double>& z, int64_t begin, int64_t end) {
    const double highest = *std::max_element(z.begin() + begin, z.begin() + end);
    if (highest == -kInfinity) return -kInfinity;
    double sum = 0;
    for (int64_t j = begin; j < end; ++j) sum += std::exp(z[static_cast<size_t>(j)] - highest);
    return highest + std::log(sum);
  }

  static void softmax(const std::vector<double>& z, std::vector<double>& p, int64_t begin, int64_t end) {
    const double lse = log_sum_exp(z, begin, end);
    for (int64_t j = begin; j < end; ++j) p[static_cast<size_t>(j)] = lse == -kInfinity ? 0 : std::exp(z[static_cast<size_t>(j)] - lse);
  }

  std::vector<int64_t> classes(int64_t b) const {
    std::vector<int64_t> all;
    for (const Keys& source : sources_)
      for (int64_t j = 0; j < source.length; ++j) all.push_back(static_cast<int64_t>(source.key_class(b, j)));
    return all;
  }

  std::array<double, 4> class_gains(int64_t b, int64_t h, int64_t r, const std::vector<double>& p, const std::vector<int64_t>& classes) const {
    if (control_.class_table) {
      const auto& rows = control_.class_table->gain;
      return rows[rows.size() == 1 ? 0 : static_cast<size_t>(h)];
    }
    std::array<double, 4> g = {1, 1, 1, 1};
    if (!control_.visual) return g;
    const VisualRedistribution& rule = *control_.visual;
    std::array<double, 4> mass = {}, count = {};
    for (size_t s = 0; s < sources_.size(); ++s)
      for (int64_t j = 0; j < sources_[s].length && sources_[s].row(b) >= 0; ++j) {
        const auto at = static_cast<size_t>(begins_[s] + j);
        mass[static_cast<size_t>(classes[at])] += p[at];
        count[static_cast<size_t>(classes[at])] += 1;
      }
    const bool head_on = rule.heads.empty() || std::find(rule.heads.begin(), rule.heads.end(), h) != rule.heads.end();
    const double visual = mass[1] + mass[3], sinks = mass[2] + mass[3];
    if (!head_on || r < rule.row_from || count[3] == 0 || mass[1] == 0) return g;
    if (mass[3] / (visual + (count[1] + count[3]) * rule.eps) > 1 - rule.rho_nonsink || visual < rule.min_vis_mass) return g;
    g[2] = g[3] = rule.keep;
    g[1] = 1 + (1 - rule.keep) * sinks / mass[1];
    return g;
  }

  /// Divides by the row sum: of the union, or of each source under blend. A row without mass stays 0.
  void renormalise(std::vector<double>& p) const {
    const auto divide = [&](int64_t begin, int64_t end) {
      const double sum = std::accumulate(p.begin() + begin, p.begin() + end, 0.0);
      if (sum != 0) std::for_each(p.begin() + begin, p.begin() + end, [&](double& x) { x /= sum; });
    };
    if (control_.combine == Combine::kConcat) return divide(0, total_);
    for (size_t s = 0; s < sources_.size(); ++s) divide(begins_[s], begins_[s] + sources_[s].length);
  }

  double weight(size_t s, int64_t b, int64_t h, int64_t r) const {
    if (weight_maps_.empty()) return control_.blend_weight[s];
    return weight_by_head_[s] ? weight_maps_[s](b, h) : weight_maps_[s](b, r);
  }

  const AttentionControl& control_;
  at::ScalarType type_;
  int64_t heads_, depth_, depth_v_, total_ = 0;
  Values queries_, blend_queries_, blend_rows_, pair_bias_;
  std::vector<Keys> sources_;
  std::vector<int64_t> begins_;
  std::vector<Values> weight_maps_;
  std::vector<bool> weight_by_head_;
};

}  // namespace

AttentionResult attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionControl& control) {
  validate(control, q, k, v);
  const Computation computation(q, k, v, control);
  const int64_t batches = q.size(0), heads = q.size(1), rows = q.size(2);
  AttentionResult result;
  result.o = at::zeros({batches, heads, rows, v.size(3)}, at::kDouble);
  result.lse = at::zeros({batches, heads, rows}, at::kDouble);
  auto o = result.o.accessor<double, 4>();
  auto lse = result.lse.accessor<double, 3>();
  std::vector<ProbeReading> readings;
  for (const Probe& probe : control.probes) readings.emplace_back(probe, batches, heads, rows, computation.total());
  std::vector<CapturedRow> captured(static_cast<size_t>(heads));
  for (int64_t b = 0; b < batches; ++b)
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t h = 0; h < heads; ++h) {
        CapturedRow& row = captured[static_cast<size_t>(h)];
        const std::vector<double> values = computation.row(b, h, r, row);
        std::copy(values.begin(), values.end(), o[b][h][r].data());
        lse[b][h][r] = row.lse;
      }
      for (ProbeReading& reading : readings) reading.add(b, r, captured);
    }
  for (ProbeReading& reading : readings) result.probes.push_back(reading.result());
  return result;
}

}  // namespace attelier::kernels::reference
