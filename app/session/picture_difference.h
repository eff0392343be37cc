// How far two pictures of one size lie apart, in numbers.
#pragma once

#include <optional>

#include "core/media/image.h"

namespace attelier {

struct PictureDifference {
  int largest = 0;              // of all channels, 0 to 255
  double mean = 0;              // absolute, of all channels
  double changed = 0;           // share of the pixels that differ at all
  double psnr = 0;              // dB; infinite for equal pictures
  std::optional<double> ssim;   // of the luminance (Wang et al. 2004); absent beyond kMostForSsim pixels and below 11 pixels a side

  static constexpr int64_t kMostForSsim = int64_t{16} << 20;
};

/// Nothing where the sizes differ. Grey pictures count as RGB, transparency does not count.
std::optional<PictureDifference> difference_between(const Image& a, const Image& b);

}  // namespace attelier
