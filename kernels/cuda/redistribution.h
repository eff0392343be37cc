// Visual attention redistribution (VAR) of one row: class masses to class coefficients.
#pragma once

#include "kernels/cuda/keys.h"

namespace attelier::kernels::cuda {

struct ClassGains {
  float visual = 1, sinks = 1;  // class 1; classes 2 and 3. Class 0 keeps 1.
};

ATTELIER_DEVICE float inverse(float x) { return x == 0 ? 0 : 1 / x; }

/// Sums of exponentials, all relative to one maximum: of all keys, class 1, classes 2 and 3, class 3. `count` [kClasses] keys of each class.
ATTELIER_DEVICE ClassGains redistribute(const Call& call, const int32_t* count, int h, int64_t row, float all, float visual, float sinks, float visual_sinks) {
  const cpu::RedistributionView& rule = call.visual;
  if ((rule.heads && !rule.heads[h]) || row < rule.row_from || count[3] == 0 || visual == 0) return {};
  const float share = inverse(all), seen = (visual + visual_sinks) * share;
  if (visual_sinks * share / (seen + static_cast<float>(count[1] + count[3]) * rule.eps) > 1 - rule.rho_nonsink || seen < rule.min_vis_mass) return {};
  return {1 + (1 - rule.keep) * sinks / visual, rule.keep};
}

}  // namespace attelier::kernels::cuda
