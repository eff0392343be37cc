// The CUDA kernels on the emulator of kernels/cuda/machine_emulator.h: the same source, run on the CPU.
#pragma once

#include "kernels/cuda/execute.h"

namespace attelier::kernels::cuda {

class EmulatedDevice : public Device {
 public:
  bool takes_warpgroups(const Plan& plan, cpu::Element element, const KeyBoxes& boxes) override;
  void deliver(const Parcel& parcel) override;
  void order_keys(const Arguments& a, int32_t* order, int32_t* class_count) override;
  void attend(const Plan& plan, const Blocks& blocks, const Arguments& a) override;
  void combine(int64_t rows, const Arguments& a) override;
  void probe(int index, const Blocks& blocks, const Arguments& a) override;

 private:
  KeyMaps maps_ = {};
};

}  // namespace attelier::kernels::cuda
