// The kernels of compute capability 9.0 have to earn their use: the first time that one is wanted on a device, it computes a small problem beside the kernel of
// compute capability 8.0. Where they differ, or the launch fails, that device keeps to the latter.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "kernels/cuda/execute.h"

namespace attelier::kernels::cuda {

/// One of the kernels.
struct WarpgroupKernel {
  cpu::Element element = cpu::Element::kBFloat16;
  int width = 0;
  bool listed = false;
};

/// A device and its memory, for a check.
class CheckedDevice {
 public:
  virtual ~CheckedDevice() = default;
  /// Memory on 256 bytes, which stays until the object goes.
  virtual char* allocate(int64_t bytes) = 0;
  virtual void upload(char* to, const void* from, int64_t bytes) = 0;
  /// Waits for the kernels before it.
  virtual void download(void* to, const char* from, int64_t bytes) = 0;
  virtual Device& kernels() = 0;
  virtual int64_t shared_bytes() const = 0;
};

/// Empty when the kernel and its counterpart agree to the rounding of their element; otherwise what is wrong. Passes on what the device throws.
std::string compare_kernels(const WarpgroupKernel& kernel, CheckedDevice& device);

/// Remembers, per device, what a check has found. Any number of threads.
class WarpgroupGuard {
 public:
  /// `wanted` false turns the kernels off. `warn` is called once for a device whose check fails.
  WarpgroupGuard(bool wanted, std::function<void(const std::string&)> warn) : wanted_(wanted), warn_(std::move(warn)) {}

  /// Whether `kernel` may be used on `device`. `check` computes compare_kernels() the first time; std::nullopt = it cannot be done now, ask again.
  bool allows(int device, const WarpgroupKernel& kernel, const std::function<std::optional<std::string>()>& check);

 private:
  const bool wanted_;
  const std::function<void(const std::string&)> warn_;
  std::mutex mutex_;
  std::set<int> refused_;
  std::set<std::tuple<int, cpu::Element, int, bool>> passed_;
};

/// False when the environment says ATTELIER_CUDA_WGMMA=0.
bool warpgroups_wanted();

}  // namespace attelier::kernels::cuda
