// Styles change the hand, not the scene: repeatable, different from each other, and true to the objects' borders.
#include <gtest/gtest.h>

#include <cmath>

#include "core/scenes/world/painting.h"
#include "core/scenes/world/sequences.h"

namespace attelier::world {
namespace {

struct Example {
  Scene scene;
  Camera camera;
  Frame frame;
  explicit Example(uint64_t seed, int size = 128) : scene(compose(seed)), camera(still_camera(scene, size, size)), frame(render(PosedScene(scene), camera)) {}
};
double mean_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
  return sum / static_cast<double>(a.size());
}

TEST(WorldPainting, EveryLookIsRepeatableInRangeAndItsOwn) {
  const Example example(2);
  std::vector<std::vector<float>> pictures;
  for (int look = 0; look < static_cast<int>(Look::kCount); ++look) {
    pictures.push_back(paint(example.frame, example.camera, static_cast<Look>(look), 5));
    EXPECT_EQ(pictures.back(), paint(example.frame, example.camera, static_cast<Look>(look), 5)) << name_of(static_cast<Look>(look));
    ASSERT_EQ(pictures.back().size(), example.frame.rgb.size());
    for (const float v : pictures.back()) ASSERT_TRUE(v >= 0 && v <= 1) << name_of(static_cast<Look>(look));
  }
  EXPECT_EQ(pictures[0], example.frame.rgb);
  for (size_t a = 0; a < pictures.size(); ++a)
    for (size_t b = a + 1; b < pictures.size(); ++b) EXPECT_GT(mean_difference(pictures[a], pictures[b]), 0.01) << a << " " << b;
}

TEST(WorldPainting, OddSizesArePainted) {
  const Scene scene = compose(9);
  for (const auto& [width, height] : {std::pair{33, 17}, {8, 8}, {70, 129}}) {
    const Camera camera = still_camera(scene, width, height);
    const Frame frame = render(PosedScene(scene), camera);
    for (int look = 0; look < static_cast<int>(Look::kCount); ++look) EXPECT_EQ(paint(frame, camera, static_cast<Look>(look), 1).size(), frame.rgb.size());
  }
}

TEST(WorldPainting, OutlinesRunAlongTheSilhouettesOfObjects) {
  for (const uint64_t seed : {2u, 5u, 15u}) {
    const Example example(seed);
    const Motif motif(example.frame, example.camera, 1);
    const std::vector<float> line = motif.lines(1.9f, 0.8f);
    for (int y = 0; y < 128; ++y)
      for (int x = 0; x + 1 < 128; ++x) {
        const size_t i = example.frame.index(x, y);
        if (example.frame.instance[i] != example.frame.instance[i + 1]) {
          EXPECT_GT(line[i] + line[i + 1], 0.5f);
        }
      }
  }
}

TEST(WorldPainting, ColourStylesKeepTheColoursOfObjects) {
  // The mean colour of each large object moves little under the styles that keep colours.
  for (const Look look : {Look::kFlat, Look::kOil, Look::kMosaic, Look::kPixelArt}) {
    const Example example(12, 256);
    const std::vector<float> painted = paint(example.frame, example.camera, look, 3);
    std::vector<double> before(3 * (example.scene.objects.size() + 1)), after(before.size()), count(example.scene.objects.size() + 1);
    for (size_t i = 0; i < example.frame.pixels(); ++i) {
      const size_t k = example.frame.instance[i];
      ++count[k];
      for (size_t c = 0; c < 3; ++c) before[3 * k + c] += static_cast<double>(example.frame.rgb[3 * i + c]), after[3 * k + c] += static_cast<double>(painted[3 * i + c]);
    }
    for (size_t k = 0; k < count.size(); ++k) {
      if (count[k] < 1200) continue;
      for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(before[3 * k + c] / count[k], after[3 * k + c] / count[k], 0.13) << name_of(look);
    }
  }
}

}  // namespace
}  // namespace attelier::world
