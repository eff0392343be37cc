// Intervals around what was measured on a few pictures. Nothing is assumed about how the values are distributed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace attelier {

/// Both ends NaN: too little was measured to say.
struct Interval {
  double low = 0, high = 0;
  bool is_known() const { return low == low && high == high; }
  bool excludes(double value) const { return is_known() && (low > value || high < value); }
};

struct Estimate {
  double value = 0;
  Interval interval;
};

/// The score interval of a share (Wilson 1927), `successes` of `count`; unknown for a count of 0.
Estimate wilson_share(int64_t successes, int64_t count, double confidence = 0.95);

/// The mean with its bias-corrected and accelerated bootstrap interval (Efron 1987), as scipy.stats.bootstrap(method="BCa") computes it. The same seed
/// gives the same interval everywhere. Values that do not differ give an interval of one point; fewer than two give an unknown one.
Estimate bootstrap_mean(std::span<const double> values, uint64_t seed = 0, double confidence = 0.95, int64_t resamples = 10000);

/// The standard normal distribution and its inverse (relative error below 1e-9).
double normal_share_below(double x);
double normal_quantile(double share);

}  // namespace attelier
