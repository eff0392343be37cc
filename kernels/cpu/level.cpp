#include "kernels/cpu/level.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>

namespace attelier::kernels::cpu {

extern const Kernels kPortableKernels;
extern const LayerKernels kPortableLayerKernels;
extern const MapKernels kPortableMapKernels;
extern const ConvolutionKernels kPortableConvolutionKernels;
#ifdef __x86_64__
extern const Kernels kAvx2Kernels, kAvx512Kernels, kAvx512Bf16Kernels;
extern const LayerKernels kAvx2LayerKernels, kAvx512LayerKernels, kAvx512Bf16LayerKernels;
extern const MapKernels kAvx2MapKernels, kAvx512MapKernels, kAvx512Bf16MapKernels;
extern const ConvolutionKernels kAvx2ConvolutionKernels, kAvx512ConvolutionKernels;
#endif

namespace {

constexpr std::array<std::string_view, 4> kNames = {"portable", "avx2", "avx512", "avx512_bf16"};

bool is_available([[maybe_unused]] Level level) {
#ifdef __x86_64__
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  switch (level) {
    case Level::kPortable: return true;
    case Level::kAvx2: return avx2;
    case Level::kAvx512: return avx512;
    case Level::kAvx512Bf16: return avx512 && __builtin_cpu_supports("avx512bf16");
  }
#endif
  return level == Level::kPortable;
}

Level chosen_at_start() {
  const std::vector<Level> levels = available_levels();
  if (const char* wish = std::getenv("ATTELIER_CPU_LEVEL"))
    for (const Level level : levels)
      if (level_name(level) == wish) return level;
  return levels.back();
}

std::atomic<Level>& level_in_use() {
  static std::atomic<Level> level = chosen_at_start();
  return level;
}

}  // namespace

std::string_view level_name(Level level) { return kNames[static_cast<size_t>(level)]; }

std::vector<Level> available_levels() {
  std::vector<Level> levels = {Level::kPortable, Level::kAvx2, Level::kAvx512, Level::kAvx512Bf16};
  std::erase_if(levels, [](Level level) { return !is_available(level); });
  return levels;
}

Level current_level() { return level_in_use(); }

void use_level(Level level) { level_in_use() = level; }

const Kernels& kernels_of([[maybe_unused]] Level level) {
#ifdef __x86_64__
  switch (level) {
    case Level::kPortable: break;
    case Level::kAvx2: return kAvx2Kernels;
    case Level::kAvx512: return kAvx512Kernels;
    case Level::kAvx512Bf16: return kAvx512Bf16Kernels;
  }
#endif
  return kPortableKernels;
}

const LayerKernels& layer_kernels_of([[maybe_unused]] Level level) {
#ifdef __x86_64__
  switch (level) {
    case Level::kPortable: break;
    case Level::kAvx2: return kAvx2LayerKernels;
    case Level::kAvx512: return kAvx512LayerKernels;
    case Level::kAvx512Bf16: return kAvx512Bf16LayerKernels;
  }
#endif
  return kPortableLayerKernels;
}

const MapKernels& map_kernels_of([[maybe_unused]] Level level) {
#ifdef __x86_64__
  switch (level) {
    case Level::kPortable: break;
    case Level::kAvx2: return kAvx2MapKernels;
    case Level::kAvx512: return kAvx512MapKernels;
    case Level::kAvx512Bf16: return kAvx512Bf16MapKernels;
  }
#endif
  return kPortableMapKernels;
}

const ConvolutionKernels& convolution_kernels_of([[maybe_unused]] Level level) {
#ifdef __x86_64__
  switch (level) {
    case Level::kPortable: break;
    case Level::kAvx2: return kAvx2ConvolutionKernels;
    case Level::kAvx512:
    case Level::kAvx512Bf16: return kAvx512ConvolutionKernels;
  }
#endif
  return kPortableConvolutionKernels;
}

}  // namespace attelier::kernels::cpu
