#include "core/evaluation/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace attelier {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double mean(std::span<const double> values) { return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size()); }

/// Of sorted values, linear between neighbours.
double quantile(const std::vector<double>& sorted, double share) {
  const double place = std::clamp(share, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// A sixth of the skewness of the means that leave one value out.
double acceleration(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  const double middle = mean(values);
  double squares = 0, cubes = 0;
  for (const double value : values) {
    const double difference = (value - middle) / (n - 1);  // of the mean of all from the mean without it
    squares += difference * difference;
    cubes += difference * difference * difference;
  }
  return squares > 0 ? cubes / (6 * std::pow(squares, 1.5)) : 0;
}

}  // namespace

double normal_share_below(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

double normal_quantile(double share) {
  if (share <= 0) return -std::numeric_limits<double>::infinity();
  if (share >= 1) return std::numeric_limits<double>::infinity();
  // Bisection to a tenth, then Newton's method on the logarithm of the smaller tail, which is smooth far out too.
  const bool upper = share > 0.5;
  const double tail = upper ? 1 - share : share;
  double x = -std::sqrt(-2 * std::log(tail)) + 0.5;
  for (int i = 0; i < 60; ++i) {
    const double value = normal_share_below(x), density = std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
    const double step = (std::log(value) - std::log(tail)) * value / density;
    x -= step;
    if (std::abs(step) < 1e-14 * std::max(1.0, std::abs(x))) break;
  }
  return upper ? -x : x;
}

Estimate wilson_share(int64_t successes, int64_t count, double confidence) {
  if (count <= 0) return {kUnknown, {kUnknown, kUnknown}};
  const double n = static_cast<double>(count), share = static_cast<double>(successes) / n, z = normal_quantile(0.5 + confidence / 2);
  const double centre = (share + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  return {share, {successes == 0 ? 0 : std::max(0.0, centre - half), successes == count ? 1 : std::min(1.0, centre + half)}};
}

Estimate bootstrap_mean(std::span<const double> values, uint64_t seed, double confidence, int64_t resamples) {
  if (values.empty()) return {kUnknown, {kUnknown, kUnknown}};
  const double middle = mean(values);
  if (values.size() < 2) return {middle, {kUnknown, kUnknown}};
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  if (*least == *most) return {middle, {*least, *least}};
  std::mt19937_64 random(seed);
  std::vector<double> means(static_cast<size_t>(resamples));
  double below = 0;
  for (double& one : means) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) sum += values[static_cast<size_t>(random() % values.size())];
    one = sum / static_cast<double>(values.size());
    below += one < middle ? 1 : one == middle ? 0.5 : 0;
  }
  std::sort(means.begin(), means.end());
  const double bias = normal_quantile(std::clamp(below / static_cast<double>(resamples), 1e-6, 1 - 1e-6)), skew = acceleration(values);
  const auto end = [&](double share) {
    const double z = bias + normal_quantile(share);
    return quantile(means, normal_share_below(bias + z / (1 - skew * z)));
  };
  return {middle, {end(0.5 - confidence / 2), end(0.5 + confidence / 2)}};
}

}  // namespace attelier
