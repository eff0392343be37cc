#include "kernels/reference/maps_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace attelier::kernels::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

at::Tensor doubles(const at::Tensor& tensor) { return tensor.detach().to(at::kCPU, at::kDouble).contiguous(); }

/// A value of a map or plane at whole coordinates, 0 outside.
template <typename At>
double value_or_zero(int64_t y, int64_t x, int64_t rows, int64_t columns, const At& at) {
  return y < 0 || y >= rows || x < 0 || x >= columns ? 0 : at(y, x);
}

/// Bilinear at (x, y), 0 outside and where the position is not a number.
template <typename At>
double bilinear(double x, double y, int64_t rows, int64_t columns, const At& at) {
  if (!(x > -1 && x < static_cast<double>(columns) && y > -1 && y < static_cast<double>(rows))) return 0;
  const double left = std::floor(x), top = std::floor(y);
  double sum = 0;
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 2; ++j) {
      const double weight = (i == 0 ? 1 - (y - top) : y - top) * (j == 0 ? 1 - (x - left) : x - left);
      if (weight != 0) sum += weight * value_or_zero(static_cast<int64_t>(top) + i, static_cast<int64_t>(left) + j, rows, columns, at);
    }
  return sum;
}

/// One key: where it is read.
struct Key {
  bool sampled = false;
  int64_t row = 0, column = 0;
  double x = 0, y = 0;
};

class Regions {
 public:
  Regions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const RegionAttention& attention)
      : attention_(attention), grid_(attention.grid), type_(q.scalar_type()), q_(doubles(q)), k_(doubles(k)), v_(doubles(v)) {
    if (attention.pair_bias.defined()) bias_ = doubles(attention.pair_bias);
    if (attention.index.defined()) index_ = attention.index.detach().to(at::kCPU, at::kLong);
    else points_ = doubles(attention.points);
  }

  at::Tensor run() const {
    at::Tensor o = at::zeros({q_.size(0), q_.size(1), q_.size(2), q_.size(3), v_.size(4)}, at::kDouble);
    for (int64_t b = 0; b < q_.size(0); ++b)
      for (int64_t h = 0; h < q_.size(1); ++h)
        for (int64_t g = 0; g < grid_.regions(); ++g) attend(b, h, g, o);
    return o;
  }

 private:
  /// The keys of a region: [slot], with slots of absent regions left out and their places in `columns`.
  std::vector<Key> keys(int64_t b, int64_t h, int64_t g, std::vector<int64_t>& columns) const {
    std::vector<Key> keys;
    if (points_.defined()) {
      const at::Tensor places = points_[points_.size(0) == 1 ? 0 : b][points_.size(1) == 1 ? 0 : h][g];
      for (int64_t n = 0; n < places.size(0); ++n) {
        columns.push_back(n);
        keys.push_back({true, 0, 0, places[n][0].item<double>(), places[n][1].item<double>()});
      }
      return keys;
    }
    const at::Tensor chosen = index_[index_.size(0) == 1 ? 0 : b][index_.size(1) == 1 ? 0 : h][g];
    for (int64_t n = 0; n < chosen.size(0); ++n) {
      const int64_t region = chosen[n].item<int64_t>();
      if (region < 0) continue;
      for (int64_t i = 0; i < grid_.cells(); ++i) {
        columns.push_back(n * grid_.cells() + i);
        keys.push_back({false, row_of(region, i), column_of(region, i), 0, 0});
      }
    }
    return keys;
  }

  int64_t row_of(int64_t region, int64_t cell) const { return region / grid_.columns * grid_.height + cell / grid_.width - grid_.top; }
  int64_t column_of(int64_t region, int64_t cell) const { return region % grid_.columns * grid_.width + cell % grid_.width - grid_.left; }

  double rounded(double x) const {
    if (type_ == at::kBFloat16) return static_cast<float>(c10::BFloat16(static_cast<float>(x)));
    if (type_ == at::kHalf) return static_cast<float>(c10::Half(static_cast<float>(x)));
    return x;
  }

  /// Row `key` of a map.
  std::vector<double> read(const at::Tensor& map, int64_t b, int64_t h, const Key& key) const {
    const int64_t rows = map.size(2), columns = map.size(3), depth = map.size(4);
    const double* const plane = map.const_data_ptr<double>() + (b * map.size(1) + h) * rows * columns * depth;
    std::vector<double> row(static_cast<size_t>(depth));
    for (int64_t d = 0; d < depth; ++d) {
      const auto at = [&](int64_t y, int64_t x) { return plane[(y * columns + x) * depth + d]; };
      row[static_cast<size_t>(d)] = key.sampled ? rounded(bilinear(key.x, key.y, rows, columns, at)) : value_or_zero(key.row, key.column, rows, columns, at);
    }
    return row;
  }

  void attend(int64_t b, int64_t h, int64_t g, at::Tensor& o) const {
    std::vector<int64_t> columns;
    std::vector<std::vector<double>> k, v;
    for (const Key& key : keys(b, h, g, columns)) {
      k.push_back(read(k_, b, h, key));
      v.push_back(read(v_, b, h, key));
    }
    const double scale = attention_.scale.value_or(1 / std::sqrt(static_cast<double>(q_.size(4))));
    for (int64_t i = 0; i < grid_.cells(); ++i) {
      const int64_t y = row_of(g, i), x = column_of(g, i);
      if (y < 0 || y >= q_.size(2) || x < 0 || x >= q_.size(3)) continue;
      const std::vector<double> query = read(q_, b, h, {false, y, x, 0, 0});
      std::vector<double> z;
      double highest = -kInfinity, sum = 0;
      for (size_t n = 0; n < k.size(); ++n) {
        double dot = 0;
        for (size_t d = 0; d < query.size(); ++d) dot += query[d] * k[n][d];
        z.push_back(scale * dot + (bias_.defined() ? bias_[bias_.size(0) == 1 ? 0 : h][i][columns[n]].item<double>() : 0));
        highest = std::max(highest, z.back());
      }
      if (highest == -kInfinity) continue;
      for (double& logit : z) sum += logit = std::exp(logit - highest);
      double* const out = o.data_ptr<double>() + (((b * q_.size(1) + h) * q_.size(2) + y) * q_.size(3) + x) * v_.size(4);
      for (size_t n = 0; n < k.size(); ++n)
        for (size_t d = 0; d < v[n].size(); ++d) out[d] += z[n] / sum * v[n][d];
    }
  }

  const RegionAttention& attention_;
  const RegionGrid& grid_;
  at::ScalarType type_;
  at::Tensor q_, k_, v_, bias_, index_, points_;
};

}  // namespace

at::Tensor attend_regions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const RegionAttention& attention) {
  validate(attention, q, k, v);
  return Regions(q, k, v, attention).run();
}

at::Tensor warp(const at::Tensor& x, const Warp& warp) {
  validate(warp, x);
  const at::Tensor wide = doubles(x), flow = doubles(warp.flow), base = warp.base.defined() ? doubles(warp.base) : at::Tensor();
  const at::Tensor mask = warp.mask.defined() ? doubles(warp.mask) : at::ones({1, 1, x.size(2), x.size(3)}, at::kDouble);
  const bool wide_flow = warp.flow.scalar_type() == at::kDouble && x.scalar_type() == at::kDouble;
  const int64_t rows = x.size(2), columns = x.size(3);
  at::Tensor y = at::zeros(x.sizes(), at::kDouble);
  const auto in = wide.accessor<double, 4>(), moves = flow.accessor<double, 4>(), shares = mask.accessor<double, 4>();
  auto out = y.accessor<double, 4>();
  const auto position = [&](int64_t start, double move) { return wide_flow ? static_cast<double>(start) + move : static_cast<double>(static_cast<float>(start) + static_cast<float>(move)); };
  for (int64_t b = 0; b < x.size(0); ++b)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c) {
        const int64_t own = flow.size(0) == 1 ? 0 : b;
        double across = position(c, moves[own][0][r][c]), down = position(r, moves[own][1][r][c]);
        if (warp.sampling == WarpSampling::kNearest) {
          across = std::nearbyint(across);
          down = std::nearbyint(down);
        }
        const bool inside = across >= 0 && across <= static_cast<double>(columns - 1) && down >= 0 && down <= static_cast<double>(rows - 1);
        if (warp.padding == WarpPadding::kBorder && !std::isnan(across) && !std::isnan(down)) {
          across = std::clamp(across, 0.0, static_cast<double>(columns - 1));
          down = std::clamp(down, 0.0, static_cast<double>(rows - 1));
        }
        const double share = warp.base.defined() ? shares[mask.size(0) == 1 ? 0 : b][0][r][c] * (warp.inside_only && !inside ? 0 : 1) : 1;
        for (int64_t channel = 0; channel < x.size(1); ++channel) {
          const double warped = bilinear(across, down, rows, columns, [&](int64_t i, int64_t j) { return in[b][channel][i][j]; });
          out[b][channel][r][c] = warp.base.defined() ? share * warped + (1 - share) * base[b][channel][r][c].item<double>() : warped;
        }
      }
  return y;
}

}  // namespace attelier::kernels::reference
