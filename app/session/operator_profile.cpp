#include "app/session/operator_profile.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

namespace attelier {
namespace {

using Clock = std::chrono::steady_clock;

struct Running {
  Clock::time_point start;
  double inner = 0;  // seconds of the operators that this one called
};

struct Profile {
  std::vector<Running> stack = {{Clock::now()}};
  std::map<std::string, OperatorTime> times;

  /// Ends the innermost operator: its time, without the inner ones.
  double pop() {
    const double whole = std::chrono::duration<double>(Clock::now() - stack.back().start).count();
    const double own = whole - stack.back().inner;
    stack.pop_back();
    if (!stack.empty()) stack.back().inner += whole;
    return own;
  }
};

// libtorch's callbacks are plain functions.
thread_local Profile* current = nullptr;

std::unique_ptr<at::ObserverContext> operator_starts(const at::RecordFunction&) {
  if (current != nullptr) current->stack.push_back({Clock::now()});
  return nullptr;
}

void operator_ends(const at::RecordFunction& function, at::ObserverContext*) {
  if (current == nullptr) return;
  OperatorTime& time = current->times[function.name()];
  ++time.calls;
  time.seconds += current->pop();
}

class Callbacks {
 public:
  explicit Callbacks(Profile& profile) : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(operator_starts, operator_ends))) { current = &profile; }
  ~Callbacks() {
    current = nullptr;
    at::removeCallback(handle_);
  }
  Callbacks(const Callbacks&) = delete;
  Callbacks& operator=(const Callbacks&) = delete;

 private:
  at::CallbackHandle handle_;
};

}  // namespace

std::vector<OperatorTime> profile_operators(const std::function<void()>& run) {
  Profile profile;
  {
    const Callbacks callbacks(profile);
    run();
  }
  const double other = profile.pop();
  std::vector<OperatorTime> times;
  for (auto& [name, time] : profile.times) {
    time.name = name;
    times.push_back(time);
  }
  std::sort(times.begin(), times.end(), [](const OperatorTime& a, const OperatorTime& b) { return a.seconds > b.seconds; });
  times.push_back({"other", 1, other});
  return times;
}

}  // namespace attelier
