#include "app/desktop/frame_times.h"

#include <algorithm>

namespace attelier::desktop {
namespace {

Json summary(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double share) { return seconds.empty() ? 0 : 1000 * seconds[std::min(seconds.size() - 1, static_cast<size_t>(share * static_cast<double>(seconds.size())))]; };
  return {{"frames", seconds.size()}, {"p50_ms", at(0.5)}, {"p95_ms", at(0.95)}, {"p99_ms", at(0.99)}, {"most_ms", at(1)}};
}

}  // namespace

Json FrameTimes::to_json() const { return {{"quiet", summary(quiet_)}, {"while_a_job_runs", summary(busy_)}}; }

}  // namespace attelier::desktop
