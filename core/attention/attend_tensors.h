// One attention on named tensors: what `attelier attend` computes, with the names of its files.
#pragma once

#include "core/attention/control_json.h"

namespace attelier {

struct AttendOptions {
  bool reference = false;       // in double precision, by definition
  at::Device device = at::kCPU;
  int64_t maximum_capture_bytes = int64_t{1} << 30;  // per probe
};

/// `inputs` holds q [B,H,Lq,D], k [B,Hkv,Lk,D], v [B,Hkv,Lk,Dv] and every tensor that the control names; no others. Returns o [B,H,Lq,Dv],
/// lse [B,H,Lq], probe.I (float32) and probe.I.index (i64). Throws Error(kBadInput) with the JSON pointer or the tensor's name.
TensorTable attend_tensors(const TensorTable& inputs, const nlohmann::json& control, const AttendOptions& options = {});

}  // namespace attelier
