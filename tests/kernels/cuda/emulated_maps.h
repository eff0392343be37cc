// The CUDA kernels on maps on the emulator: what a launcher does, for calls in host memory.
#pragma once

#include "kernels/cpu/map_call.h"

namespace attelier::kernels::cuda {

void emulate_regions(const cpu::RegionCall& call);
void emulate_warp(const cpu::WarpCall& call);

}  // namespace attelier::kernels::cuda
