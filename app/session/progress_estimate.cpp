#include "app/session/progress_estimate.h"

#include <algorithm>
#include <utility>

namespace attelier {

ProgressEstimate::ProgressEstimate(int64_t rounds, std::map<std::string, double> past, double start)
    : rounds_(std::max<int64_t>(rounds, 1)), pass_start_(start), first_time_(start), last_(start) {
  for (const auto& [name, seconds] : past) stages_[name].past = seconds;
}

int64_t ProgressEstimate::rounds_of(const std::string& name) const { return name == "loading the model" || name == "hashing the model" ? 1 : rounds_; }

void ProgressEstimate::report(const std::string& name, int64_t done, int64_t total, double now) {
  const bool new_pass = name != current_ || done < done_ || (done_ == total_ && total_ > 0);
  if (new_pass) {
    current_ = name;
    pass_start_ = last_;
    first_done_ = done;
    first_time_ = now;
  }
  done_ = done;
  total_ = total;
  last_ = now;
  Stage& stage = stages_[name];
  if (total > 0 && done >= total) {
    stage.spent += now - pass_start_;
    ++stage.passes;
  }
}

std::optional<double> ProgressEstimate::remaining(double now) const {
  const auto found = stages_.find(current_);
  if (found == stages_.end()) return std::nullopt;
  const Stage& stage = found->second;
  const bool in_pass = total_ <= 0 || done_ < total_;
  // One pass of the current stage, and what is left of it.
  double pass = stage.passes > 0 ? stage.spent / static_cast<double>(stage.passes) : 0, left = 0;
  if (total_ > 0 && in_pass && done_ > first_done_) {
    const double pace = (last_ - first_time_) / static_cast<double>(done_ - first_done_);
    pass = pace * static_cast<double>(total_);
    left = pace * static_cast<double>(total_ - done_);
  } else if (in_pass) {
    if (pass == 0) pass = stage.past;
    if (pass == 0) return std::nullopt;
    left = pass * (total_ > 0 ? 1 - static_cast<double>(done_) / static_cast<double>(total_) : 1);
  }
  const double scale = stage.past > 0 && pass > 0 ? pass / stage.past : 1;
  double others = 0;
  bool known = in_pass;
  for (const auto& [name, other] : stages_) {
    const int64_t passes = rounds_of(name) - other.passes - (name == current_ && in_pass ? 1 : 0);
    if (passes <= 0) continue;
    const double one = name == current_ ? pass : other.passes > 0 ? other.spent / static_cast<double>(other.passes) : other.past * scale;
    others += static_cast<double>(passes) * one;
    known = known || one > 0;
  }
  if (!known) return std::nullopt;
  return std::max(0.0, left + others - (now - last_));
}

}  // namespace attelier
