// bfloat16 compute with float32 weights, for training on the CPU and on CUDA.
#pragma once

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

namespace attelier {

/// While alive, matrix products and convolutions run in bfloat16 on this thread. The backward pass must run outside.
class Autocast {
 public:
  Autocast(at::DeviceType device, bool enabled) : device_(device), before_(at::autocast::is_autocast_enabled(device)) {
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
