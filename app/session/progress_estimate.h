// How long a job still needs, from its own pace and from what its stages took last time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace attelier {

/// A job goes through its stages once per round (a batch of pictures); stages that only prepare ("loading the model", "hashing the model") come once.
/// Times are seconds on any clock that does not run backwards.
class ProgressEstimate {
 public:
  /// `past`: seconds of each stage per round in an earlier job of the same kind; may be empty.
  ProgressEstimate(int64_t rounds, std::map<std::string, double> past, double start);

  /// Stage `name` has done `done` of `total` (0 = unknown) units.
  void report(const std::string& name, int64_t done, int64_t total, double now);

  /// Seconds until the whole job ends: known once two steps of a stage have been made, or a stage with a known past.
  std::optional<double> remaining(double now) const;

 private:
  struct Stage {
    double past = 0;   // per pass, 0 = unknown
    double spent = 0;  // in finished passes
    int64_t passes = 0;
  };
  int64_t rounds_of(const std::string& name) const;

  int64_t rounds_;
  std::map<std::string, Stage> stages_;
  std::string current_;
  int64_t done_ = 0, total_ = 0, first_done_ = 0;
  double pass_start_, first_time_, last_;
};

}  // namespace attelier
