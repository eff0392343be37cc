// The truth behind the flat scenes: depth and things of a stage with cut-outs.
#include "core/scenes/small_world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace attelier {
namespace {

constexpr int64_t kSize = 96;

struct Drawn {
  std::vector<float> rgb = std::vector<float>(static_cast<size_t>(kSize * kSize * 3));
  StageMaps maps;
  explicit Drawn(const SceneDescription& scene, uint64_t seed) { draw_scene(scene, seed, kSize, rgb.data(), &maps); }
  float depth(int64_t x, int64_t y) const { return maps.depth[static_cast<size_t>(y * kSize + x)]; }
  uint16_t thing(int64_t x, int64_t y) const { return maps.things[static_cast<size_t>(y * kSize + x)]; }
};

SceneDescription plain_scene(uint64_t seed) {
  SceneDescription scene = random_scene(seed);
  scene.style = Style::kPlain;
  return scene;
}

TEST(SmallWorld, MapsDoNotChangeThePicture) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const SceneDescription scene = random_scene(seed);
    std::vector<float> alone(static_cast<size_t>(kSize * kSize * 3));
    draw_scene(scene, seed, kSize, alone.data());
    EXPECT_EQ(alone, Drawn(scene, seed).rgb);
    SceneDescription plain = scene;
    plain.style = Style::kPlain;
    EXPECT_EQ(Drawn(plain, seed).maps.depth, Drawn(scene, seed).maps.depth);
  }
}

TEST(SmallWorld, TheGroundComesNearerRowByRow) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Drawn drawn(plain_scene(seed), seed);
    EXPECT_EQ(drawn.depth(0, 0), 0) << "the corner is sky";
    for (int64_t x = 0; x < kSize; ++x) {
      float above = 1e9f;
      for (int64_t y = 0; y < kSize; ++y) {
        if (drawn.thing(x, y) != 0 || drawn.depth(x, y) == 0) continue;
        EXPECT_LE(drawn.depth(x, y), above) << "seed " << seed << " at " << x << ", " << y;
        above = drawn.depth(x, y);
      }
      if (drawn.thing(x, kSize - 1) == 0) {
        EXPECT_GT(drawn.depth(x, kSize - 1), 2);
        EXPECT_LT(drawn.depth(x, kSize - 1), 6);
      }
    }
  }
}

TEST(SmallWorld, AThingStandsWhereItsFootTouchesTheGround) {
  int measured = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const SceneDescription scene = plain_scene(seed);
    const Drawn drawn(scene, seed);
    for (size_t i = 0; i < scene.objects.size(); ++i) {
      const auto number = static_cast<uint16_t>(i + 1);
      int64_t pixels = 0, lowest = -1;
      float least = 1e9f, most = 0;
      for (int64_t y = 0; y < kSize; ++y)
        for (int64_t x = 0; x < kSize; ++x) {
          if (drawn.thing(x, y) != number) continue;
          pixels += 1, lowest = y;
          least = std::min(least, drawn.depth(x, y)), most = std::max(most, drawn.depth(x, y));
        }
      ASSERT_GT(pixels, 20) << caption(scene, seed);
      EXPECT_EQ(least, most) << "a cut-out has one distance";
      const Thing thing = scene.objects[i].thing;
      if (thing == Thing::kBird || thing == Thing::kBalloon) continue;
      // Ground in the row below the foot, where nothing stands; perspective changes it by less than a tenth a row here, more near the horizon (boats).
      for (int64_t x = 0; x < kSize; ++x)
        if (lowest + 1 < kSize && drawn.thing(x, lowest + 1) == 0) {
          EXPECT_NEAR(drawn.depth(x, lowest + 1), most, (thing == Thing::kBoat ? 0.2 : 0.1) * most) << caption(scene, seed);
          measured += 1;
          break;
        }
    }
  }
  EXPECT_GT(measured, 40);
}

/// Without its last thing the picture is the same outside of the thing, its soft border and its shadow.
TEST(SmallWorld, AThingIsWhereItsMaskSays) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const SceneDescription scene = plain_scene(seed);
    SceneDescription without = scene;
    without.objects.pop_back();
    const Drawn full(scene, seed), rest(without, seed);
    const auto number = static_cast<uint16_t>(scene.objects.size());
    int64_t lowest = 0, changed_inside = 0, inside = 0;
    for (int64_t y = 0; y < kSize; ++y)
      for (int64_t x = 0; x < kSize; ++x)
        if (full.thing(x, y) == number) lowest = y;
    const auto near = [&](int64_t x, int64_t y) {
      for (int64_t dy = -4; dy <= 4; ++dy)
        for (int64_t dx = -4; dx <= 4; ++dx)
          if (full.thing(std::clamp<int64_t>(x + dx, 0, kSize - 1), std::clamp<int64_t>(y + dy, 0, kSize - 1)) == number) return true;
      return false;
    };
    const double shadow = 0.05 * scene.objects.back().size * kSize + 4;
    for (int64_t y = 0; y < kSize; ++y)
      for (int64_t x = 0; x < kSize; ++x) {
        const auto at = static_cast<size_t>((y * kSize + x) * 3);
        const bool changed = !std::equal(full.rgb.begin() + static_cast<int64_t>(at), full.rgb.begin() + static_cast<int64_t>(at) + 3, rest.rgb.begin() + static_cast<int64_t>(at));
        if (full.thing(x, y) == number) inside += 1, changed_inside += changed;
        else if (changed) {
          EXPECT_TRUE(near(x, y) || std::abs(static_cast<double>(y - lowest)) < shadow) << "seed " << seed << " at " << x << ", " << y << ": " << caption(scene, seed);
        }
      }
    EXPECT_GT(changed_inside, 0.95 * static_cast<double>(inside)) << caption(scene, seed);
  }
}

}  // namespace
}  // namespace attelier
