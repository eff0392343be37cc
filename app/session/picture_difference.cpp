#include "app/session/picture_difference.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "core/evaluation/metrics.h"

namespace attelier {

std::optional<PictureDifference> difference_between(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.width == 0 || a.height == 0) return std::nullopt;
  const int64_t pixels = a.width * a.height, step_a = a.channels, step_b = b.channels;
  PictureDifference found;
  uint64_t sum = 0, squares = 0;
  int64_t changed = 0;
  for (int64_t i = 0; i < pixels; ++i) {
    const uint8_t *p = a.pixels.data() + i * step_a, *q = b.pixels.data() + i * step_b;
    int most = 0;
    for (int64_t c = 0; c < 3; ++c) {
      const int apart = std::abs(p[step_a >= 3 ? c : 0] - q[step_b >= 3 ? c : 0]);
      most = std::max(most, apart);
      sum += static_cast<uint64_t>(apart);
      squares += static_cast<uint64_t>(apart) * static_cast<uint64_t>(apart);
    }
    found.largest = std::max(found.largest, most);
    changed += most > 0 ? 1 : 0;
  }
  const auto values = static_cast<double>(3 * pixels);
  found.mean = static_cast<double>(sum) / values;
  found.changed = static_cast<double>(changed) / static_cast<double>(pixels);
  found.psnr = squares == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(255.0 * 255.0 * values / static_cast<double>(squares));
  constexpr int64_t kWindow = 11;
  if (pixels <= PictureDifference::kMostForSsim && std::min(a.width, a.height) >= kWindow) found.ssim = ssim_between(to_tensor(to_rgb(a)), to_tensor(to_rgb(b)));
  return found;
}

}  // namespace attelier
