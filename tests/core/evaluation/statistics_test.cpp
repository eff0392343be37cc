#include "core/evaluation/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/files.h"
#include "core/evaluation/comparison.h"

namespace attelier {
namespace {

const nlohmann::json& numbers() {
  static const nlohmann::json all = nlohmann::json::parse(read_file(std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/evaluation/numbers.json"));
  return all;
}

TEST(Statistics, NormalQuantilesAreSciPys) {
  for (const auto& pair : numbers().at("quantiles")) {
    const double share = pair[0], expected = pair[1];
    EXPECT_NEAR(normal_quantile(share), expected, 1e-8 * std::max(1.0, std::abs(expected))) << share;
    EXPECT_NEAR(normal_share_below(normal_quantile(share)), share, 1e-9 * share + 1e-15);
  }
  EXPECT_TRUE(std::isinf(normal_quantile(0)));
  EXPECT_TRUE(std::isinf(normal_quantile(1)));
}

TEST(Statistics, WilsonsIntervalIsSciPys) {
  for (const auto& row : numbers().at("wilson")) {
    const Estimate estimate = wilson_share(row[0], row[1]);
    EXPECT_NEAR(estimate.value, row[0].get<double>() / row[1].get<double>(), 1e-12);
    EXPECT_NEAR(estimate.interval.low, row[2].get<double>(), 1e-9);
    EXPECT_NEAR(estimate.interval.high, row[3].get<double>(), 1e-9);
  }
  EXPECT_FALSE(wilson_share(0, 0).interval.is_known());
  EXPECT_TRUE(std::isnan(wilson_share(0, 0).value));
}

TEST(Statistics, TheBootstrapIntervalIsSciPys) {
  for (const auto& sample : numbers().at("bootstrap")) {
    const auto values = sample.at("values").get<std::vector<double>>();
    const Estimate estimate = bootstrap_mean(values, 1, 0.95, 100000);
    const double width = sample.at("high").get<double>() - sample.at("low").get<double>();
    EXPECT_NEAR(estimate.interval.low, sample.at("low").get<double>(), 0.02 * width);
    EXPECT_NEAR(estimate.interval.high, sample.at("high").get<double>(), 0.02 * width);
  }
}

TEST(Statistics, TheBootstrapIntervalHoldsTheTrueMeanAsOftenAsItSays) {
  // Exponential values of mean 1, which are skewed; 95 % nominal, a little less is known to be true at this size.
  std::mt19937_64 random(7);
  int held = 0;
  const int trials = 400;
  for (int trial = 0; trial < trials; ++trial) {
    std::vector<double> values;
    for (int i = 0; i < 40; ++i) values.push_back(-std::log(1 - static_cast<double>(random() >> 11) * 0x1p-53));
    const Interval interval = bootstrap_mean(values, static_cast<uint64_t>(trial), 0.95, 1000).interval;
    held += interval.low <= 1 && 1 <= interval.high;
  }
  const Interval share = wilson_share(held, trials, 0.999).interval;
  EXPECT_LT(share.low, 0.95) << held;
  EXPECT_GT(share.high, 0.92) << held;
  EXPECT_GT(held, 0.89 * trials);
}

TEST(Statistics, TheSameSeedGivesTheSameInterval) {
  const std::vector<double> values = {0.1, 0.9, 0.4, 0.7, 0.2};
  const Estimate a = bootstrap_mean(values, 3), b = bootstrap_mean(values, 3), other = bootstrap_mean(values, 4);
  EXPECT_EQ(a.interval.low, b.interval.low);
  EXPECT_EQ(a.interval.high, b.interval.high);
  EXPECT_NEAR(a.interval.low, other.interval.low, 0.05);
}

TEST(Statistics, TooFewOrEqualValues) {
  EXPECT_TRUE(std::isnan(bootstrap_mean({}).value));
  const std::vector<double> one = {2}, equal = {2, 2, 2};
  EXPECT_EQ(bootstrap_mean(one).value, 2);
  EXPECT_FALSE(bootstrap_mean(one).interval.is_known());
  EXPECT_FALSE(bootstrap_mean(one).interval.excludes(0));
  EXPECT_EQ(bootstrap_mean(equal).interval.low, 2);
  EXPECT_EQ(bootstrap_mean(equal).interval.high, 2);
  EXPECT_TRUE(bootstrap_mean(equal).interval.excludes(0));
}

TEST(Comparison, DifferencesArePairedAndLeaveOutWhatWasNotMeasured) {
  Measure measure;
  measure.values = {{1, 2, kNotMeasured, 4, 5}, {2, 3, 9, kNotMeasured, 6}};
  int64_t count = 0;
  const Estimate change = difference(measure, 0, 1, 0, &count);
  EXPECT_EQ(count, 3);
  EXPECT_EQ(change.value, 1);
  EXPECT_EQ(change.interval.low, 1);  // every pair differs by exactly one, whatever the spread between pairs
  EXPECT_EQ(summarise(measure, 0, 0, &count).value, 3);
  EXPECT_EQ(count, 4);
  EXPECT_EQ(difference(measure, 1, 0, 0).value, -1);
}

TEST(Comparison, SharesGetWilsonsInterval) {
  Measure measure;
  measure.is_share = true;
  measure.values = {{1, 1, 1, 0, 1, kNotMeasured, 1, 1, 0, 0, 1}};
  int64_t count = 0;
  const Estimate share = summarise(measure, 0, 0, &count);
  EXPECT_EQ(count, 10);
  EXPECT_NEAR(share.interval.low, wilson_share(7, 10).interval.low, 1e-12);
}

}  // namespace
}  // namespace attelier
