// Where the time of a run goes, operator by operator.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace attelier {

struct OperatorTime {
  std::string name;    // libtorch's ("aten::silu_"), or attelier's own ("attelier::attention")
  int64_t calls = 0;
  double seconds = 0;  // on the clock, without the operators that it calls
};

/// Runs `run` once on this thread and times its operators, the slowest first; the last entry, "other", is what lay outside every operator.
std::vector<OperatorTime> profile_operators(const std::function<void()>& run);

}  // namespace attelier
