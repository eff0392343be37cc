// The arrays of a call that lie in host memory: what a control gives as plain numbers and lists.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/call.h"

namespace attelier::kernels::cuda {

struct HostArray {
  const void** pointer;  // the field of the call that names it
  int64_t bytes;
};

/// All of them, but for a scale that all heads share. Blend weights are among them when the control gives numbers.
std::vector<HostArray> host_arrays(cpu::Call& call, bool weights_are_numbers);

/// Bytes that they need together, each on 16 bytes.
int64_t bytes_of(const std::vector<HostArray>& arrays);

/// Lists of slots that are 0, 1, 2 ... become null, which kernels read as just that.
void drop_identities(cpu::Call& call);

}  // namespace attelier::kernels::cuda
