// Which instruction set the CPU kernels use: the best that the machine has, from one binary.
#pragma once

#include <string_view>
#include <vector>

#include "kernels/cpu/call.h"
#include "kernels/cpu/convolution_call.h"
#include "kernels/cpu/layer_call.h"
#include "kernels/cpu/map_call.h"

namespace attelier::kernels::cpu {

enum class Level { kPortable, kAvx2, kAvx512, kAvx512Bf16 };

/// portable, avx2, avx512, avx512_bf16.
std::string_view level_name(Level level);

/// Those that this machine can run, lowest first; kPortable is always there.
std::vector<Level> available_levels();

/// The level in use: the highest available one, or what the environment variable ATTELIER_CPU_LEVEL names (read once; an unknown or unavailable name
/// is ignored), or what use_level() set.
Level current_level();

/// For tests: `level` must be available. Not while kernels run.
void use_level(Level level);

const Kernels& kernels_of(Level level);
const LayerKernels& layer_kernels_of(Level level);
const MapKernels& map_kernels_of(Level level);
const ConvolutionKernels& convolution_kernels_of(Level level);

}  // namespace attelier::kernels::cpu
