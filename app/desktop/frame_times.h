// How long frames took: what a user feels, in numbers.
#pragma once

#include <vector>

#include "core/base/parameters.h"

namespace attelier::desktop {

class FrameTimes {
 public:
  /// `busy`: a job ran meanwhile.
  void add(double seconds, bool busy) { (busy ? busy_ : quiet_).push_back(seconds); }
  /// {"quiet": {"frames", "p50_ms", "p95_ms", "p99_ms", "most_ms"}, "while_a_job_runs": {...}}
  Json to_json() const;

 private:
  std::vector<double> quiet_, busy_;
};

}  // namespace attelier::desktop
