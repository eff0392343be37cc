// The sequence of kernels that computes a call, on whatever runs them: a GPU, or the emulator of the tests.
#pragma once

#include "kernels/cuda/boxes.h"
#include "kernels/cuda/order.h"
#include "kernels/cuda/plan.h"

namespace attelier::kernels::cuda {

/// Blocks along x, y and z.
struct Blocks {
  int64_t x = 1, y = 1, z = 1;
};

/// Starts kernels, one after the other, on one stream.
class Device {
 public:
  virtual ~Device() = default;
  virtual void deliver(const Parcel& parcel) = 0;
  virtual void order_keys(const Arguments& a, int32_t* order, int32_t* class_count) = 0;
  virtual void attend(const Plan& plan, const Blocks& blocks, const Arguments& a) = 0;
  /// Whether attend() can compute a plan of the warpgroup family, and may; if so, it will read K and V through boxes of these sizes.
  virtual bool takes_warpgroups(const Plan& plan, cpu::Element element, const KeyBoxes& boxes) = 0;
  virtual void combine(int64_t rows, const Arguments& a) = 0;
  virtual void probe(int index, const Blocks& blocks, const Arguments& a) = 0;
};

/// The plan for `device`: what make_plan() finds, without kernels that the device does not take.
Plan plan_for(const Call& call, DeviceCaps caps, Device& device);

/// `call` points to tensors on the device and to numbers and lists of the control in host memory, which may go when this returns. `workspace` is memory of
/// the device, plan.workspace.bytes of it. Waits for nothing.
void execute(const Call& call, const Plan& plan, bool weights_are_numbers, char* workspace, Device& device);

}  // namespace attelier::kernels::cuda
