// What was measured on the same pictures in several ways ("arms"), and what may be said of their differences.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/evaluation/statistics.h"

namespace attelier {

inline constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

/// One quantity of every arm and item (a picture, or a pair of pictures); items are the same for all arms.
struct Measure {
  enum class Better { kHigher, kLower, kNeither };

  std::string name, help;
  Better better = Better::kHigher;
  bool is_share = false;  // values are 0 and 1
  std::vector<std::vector<double>> values;  // [arm][item], kNotMeasured where nothing was asked
};

/// Mean of an arm over the items that were measured: with Wilson's interval for shares, a bootstrap interval otherwise. `count` gets their number.
Estimate summarise(const Measure& measure, size_t arm, uint64_t seed, int64_t* count = nullptr);

/// Mean of b - a over the items that both have, with the bootstrap interval of the paired differences.
Estimate difference(const Measure& measure, size_t a, size_t b, uint64_t seed, int64_t* count = nullptr);

}  // namespace attelier
