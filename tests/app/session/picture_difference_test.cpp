#include "app/session/picture_difference.h"

#include <gtest/gtest.h>

#include <cmath>

namespace attelier {
namespace {

Image grey(int64_t width, int64_t height, uint8_t value, int64_t channels = 3) {
  return {width, height, channels, std::vector<uint8_t>(static_cast<size_t>(width * height * channels), value)};
}

TEST(PictureDifferenceTest, EqualPicturesAreEqualInEveryNumber) {
  const auto same = difference_between(grey(16, 12, 90), grey(16, 12, 90, 1));
  ASSERT_TRUE(same);
  EXPECT_EQ(same->largest, 0);
  EXPECT_EQ(same->mean, 0);
  EXPECT_EQ(same->changed, 0);
  EXPECT_TRUE(std::isinf(same->psnr));
  ASSERT_TRUE(same->ssim);
  EXPECT_NEAR(*same->ssim, 1, 1e-6);
}

TEST(PictureDifferenceTest, OnePixelApart) {
  Image b = grey(20, 10, 100);
  b.pixels[3 * 47 + 1] = 140;
  const auto apart = difference_between(grey(20, 10, 100), b);
  ASSERT_TRUE(apart);
  EXPECT_EQ(apart->largest, 40);
  EXPECT_NEAR(apart->mean, 40.0 / 600, 1e-12);
  EXPECT_NEAR(apart->changed, 1.0 / 200, 1e-12);
  EXPECT_NEAR(apart->psnr, 10 * std::log10(255.0 * 255 * 600 / 1600), 1e-9);
  EXPECT_FALSE(apart->ssim) << "10 pixels hold no window of 11";
}

TEST(PictureDifferenceTest, TransparencyDoesNotCountAndSizesMust) {
  Image with = grey(12, 12, 60, 4);
  for (size_t i = 3; i < with.pixels.size(); i += 4) with.pixels[i] = static_cast<uint8_t>(i);
  EXPECT_EQ(difference_between(with, grey(12, 12, 60))->largest, 0);
  EXPECT_FALSE(difference_between(grey(12, 12, 60), grey(12, 13, 60)));
  EXPECT_FALSE(difference_between(grey(0, 0, 0), grey(0, 0, 0)));
}

}  // namespace
}  // namespace attelier
