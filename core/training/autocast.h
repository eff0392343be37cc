// bfloat16 compute with float32 weights, for training on the CPU and on CUDA.
#pragma once

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include "kernels/cpu/level.h"

namespace attelier {

/// Whether the device has instructions for products of bfloat16. Where it has none, libtorch computes them one by one: two to ten times as slow as float32.
inline bool multiplies_bfloat16(at::DeviceType device) {
  return device != at::kCPU || kernels::cpu::current_level() == kernels::cpu::Level::kAvx512Bf16;
}

/// While alive, matrix products and convolutions run in bfloat16 on this thread, if the device has instructions for them. The backward pass must run outside.
class Autocast {
 public:
  Autocast(at::DeviceType device, bool wanted) : device_(device), before_(at::autocast::is_autocast_enabled(device)) {
    const bool enabled = wanted && multiplies_bfloat16(device);
    at::autocast::set_autocast_enabled(device_, enabled);
    if (enabled) at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  }
  ~Autocast() {
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, before_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool before_;
};

}  // namespace attelier
