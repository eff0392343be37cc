#include "app/desktop/picture.h"

#include <algorithm>
#include <atomic>

#include "app/desktop/tile_pyramid.h"

namespace attelier::desktop {
namespace {

constexpr int64_t kLargeFrom = int64_t{1} << 20;   // pixels: a texture and its mipmaps take software GL 10 ms by then
constexpr int64_t kCounted = 1'000'000;

Histogram histogram_of(const Image& image) {
  Histogram histogram{};
  const int64_t pixels = image.width * image.height, step = std::max<int64_t>(1, pixels / kCounted);
  for (int64_t i = 0; i < pixels; i += step) {
    const uint8_t* const pixel = image.pixels.data() + i * image.channels;
    for (size_t c = 0; c < 3; ++c) histogram[c * 64 + pixel[image.channels >= 3 ? c : 0] / 4] += 1;
  }
  return histogram;
}

}  // namespace

int64_t Picture::bytes() const {
  int64_t total = static_cast<int64_t>(image.pixels.size()) + texture.bytes();
  for (const Image& level : smaller) total += static_cast<int64_t>(level.pixels.size());
  return total;
}

SharedPicture make_picture(Image image, std::string name) {
  static std::atomic<uint64_t> serials{0};
  auto picture = std::make_shared<Picture>();
  picture->serial = ++serials;
  picture->histogram = histogram_of(image);
  if (image.width * image.height > kLargeFrom) picture->smaller = pyramid_over(image);
  picture->image = std::move(image);
  picture->name = std::move(name);
  return picture;
}

}  // namespace attelier::desktop
