#include "app/desktop/derived_picture.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "core/media/heat_map.h"

namespace attelier::desktop {
namespace {

constexpr std::chrono::milliseconds kWait{6};  // small pictures take no longer, and the view changes without a frame between

const uint8_t* pixel(const Image& image, int64_t x, int64_t y) { return image.pixels.data() + (y * image.width + x) * image.channels; }

/// How far the channels of A and B lie apart, times `gain`; B is read at the same share of its own size. Alpha counts as over white.
Image difference_of(const Image& any_a, const Image& any_b, int gain) {
  const Image made_a = any_a.channels == 3 ? Image() : to_rgb(any_a), made_b = any_b.channels == 3 ? Image() : to_rgb(any_b);
  const Image &a = any_a.channels == 3 ? any_a : made_a, &b = any_b.channels == 3 ? any_b : made_b;
  Image image{a.width, a.height, 3, std::vector<uint8_t>(a.pixels.size())};
  const auto apart = [gain](uint8_t p, uint8_t q) { return static_cast<uint8_t>(std::min(255, std::abs(p - q) * gain)); };
  if (a.width == b.width && a.height == b.height) {
    std::transform(a.pixels.begin(), a.pixels.end(), b.pixels.begin(), image.pixels.begin(), apart);
    return image;
  }
  for (int64_t y = 0; y < a.height; ++y)
    for (int64_t x = 0; x < a.width; ++x) {
      const uint8_t *p = pixel(a, x, y), *q = pixel(b, x * b.width / a.width, y * b.height / a.height);
      for (int c = 0; c < 3; ++c) image.pixels[static_cast<size_t>((y * a.width + x) * 3 + c)] = apart(p[c], q[c]);
    }
  return image;
}

SharedPicture derive(const Image& a, const Image* b, int gain, bool in_colours) {
  if (b == nullptr) return make_picture(false_colours(a), "false colours");
  Image difference = difference_of(a, *b, gain);
  return make_picture(in_colours ? false_colours(difference) : std::move(difference), "difference");
}

}  // namespace

SharedPicture DerivedPicture::get(const Derivation& wanted) {
  const auto known = [&] { return picture_ && of_.a == wanted.a && of_.b == wanted.b && of_.in_colours == wanted.in_colours ? picture_ : wanted.a; };
  if (of_ == wanted) return known();
  if (!coming_.valid()) {
    coming_of_ = wanted;
    coming_ = std::async(std::launch::async, [a = &wanted.a->image, b = wanted.b ? &wanted.b->image : nullptr, gain = wanted.gain, in_colours = wanted.in_colours] { return derive(*a, b, gain, in_colours); });
  }
  if (coming_.wait_for(kWait) == std::future_status::ready) {
    of_ = std::exchange(coming_of_, {});
    try {
      picture_ = coming_.get();
    } catch (const std::bad_alloc&) {
      picture_ = nullptr;
    }
  }
  return known();
}

void DerivedPicture::clear() {
  if (coming_.valid()) return;
  picture_.reset();
  of_ = {};
}

}  // namespace attelier::desktop
