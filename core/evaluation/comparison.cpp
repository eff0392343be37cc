#include "core/evaluation/comparison.h"

#include <algorithm>

namespace attelier {
namespace {

void report_count(int64_t* count, size_t measured) {
  if (count != nullptr) *count = static_cast<int64_t>(measured);
}

}  // namespace

Estimate summarise(const Measure& measure, size_t arm, uint64_t seed, int64_t* count) {
  std::vector<double> known;
  std::copy_if(measure.values.at(arm).begin(), measure.values.at(arm).end(), std::back_inserter(known), [](double value) { return !std::isnan(value); });
  report_count(count, known.size());
  if (measure.is_share) return wilson_share(std::count(known.begin(), known.end(), 1.0), static_cast<int64_t>(known.size()));
  return bootstrap_mean(known, seed);
}

Estimate difference(const Measure& measure, size_t a, size_t b, uint64_t seed, int64_t* count) {
  std::vector<double> differences;
  for (size_t i = 0; i < measure.values.at(a).size(); ++i) {
    const double one = measure.values.at(b).at(i) - measure.values.at(a).at(i);
    if (!std::isnan(one)) differences.push_back(one);
  }
  report_count(count, differences.size());
  return bootstrap_mean(differences, seed);
}

}  // namespace attelier
