#include "core/scenes/labelled_scene.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "core/scenes/small_world.h"

namespace attelier {
namespace {

TEST(LabelledScene, NamesOfWorldsAndWords) {
  EXPECT_EQ(world_of("small"), WorldName::kSmall);
  EXPECT_EQ(world_of("full"), WorldName::kFull);
  EXPECT_FALSE(world_of("flat"));
  for (const WorldName world : {WorldName::kSmall, WorldName::kFull}) {
    const WorldWords& words = words_of(world);
    EXPECT_GE(words.value("style", "plain"), 0);
    EXPECT_GE(words.value("daytime", "night"), 0);
    EXPECT_EQ(words.value("style", "unheard of"), -1);
    EXPECT_EQ(words.attribute("mood"), -1);
    EXPECT_EQ(std::set<std::string>(words.kinds.begin(), words.kinds.end()).size(), words.kinds.size());
  }
}

TEST(LabelledScene, SmallScenesSayWhatTheirCaptionsSay) {
  const WorldWords& words = words_of(WorldName::kSmall);
  for (uint64_t seed = 0; seed < 12; ++seed) {
    const LabelledScene scene = draw_labelled(WorldName::kSmall, seed, {.size = 32});
    EXPECT_EQ(scene.caption, caption(random_scene(seed), seed));
    EXPECT_EQ(scene.rgb.size(), 32u * 32 * 3);
    EXPECT_EQ(scene.edges.size(), 32u * 32);
    EXPECT_EQ(scene.depth.size(), 32u * 32);
    EXPECT_GT(*std::max_element(scene.depth.begin(), scene.depth.end()), 0);
    for (size_t k = 0; k < words.kinds.size(); ++k) {
      if (scene.claims.count[k] == 0) continue;
      const std::string hue = scene.claims.hue[k] < 0 ? "" : words.hues[static_cast<size_t>(scene.claims.hue[k])] + " ";
      EXPECT_NE(scene.caption.find(hue + words.kinds[k]), std::string::npos) << scene.caption;
      EXPECT_GT(scene.claims.x[k], 0);
    }
    const bool says_night = scene.caption.find("night") != std::string::npos || scene.caption.find("stars") != std::string::npos;
    EXPECT_EQ(says_night, scene.claims.attributes[1] == words.value("daytime", "night")) << scene.caption;
  }
}

TEST(LabelledScene, AnotherStyleIsTheSameScene) {
  for (const WorldName world : {WorldName::kSmall, WorldName::kFull}) {
    const int64_t style = words_of(world).value("style", "mosaic");
    const LabelledScene plain = draw_labelled(world, 5, {.size = 48, .style = 0}), mosaic = draw_labelled(world, 5, {.size = 48, .style = style});
    EXPECT_EQ(plain.labels.count, mosaic.labels.count);
    EXPECT_EQ(plain.labels.attributes.back(), 0);
    EXPECT_EQ(mosaic.labels.attributes.back(), style);
    EXPECT_EQ(plain.edges, mosaic.edges);
    EXPECT_NE(plain.rgb, mosaic.rgb);
    EXPECT_EQ(plain.rgb, draw_labelled(world, 5, {.size = 48, .style = 0, .edges = false}).rgb);
  }
}

TEST(LabelledScene, PencilDrawingsAskForNoColours) {
  const int64_t pencil = words_of(WorldName::kSmall).value("style", "pencil");
  const LabelledScene scene = draw_labelled(WorldName::kSmall, 3, {.size = 16, .style = pencil});
  EXPECT_EQ(std::count(scene.claims.hue.begin(), scene.claims.hue.end(), -1), 12);
}

TEST(LabelledScene, ADetailChangesTheHandAndNotTheTruth) {
  const LabelledScene a = draw_labelled(WorldName::kSmall, 9, {.size = 32}), b = draw_labelled(WorldName::kSmall, 9, {.size = 32, .detail = 2});
  EXPECT_EQ(a.caption, b.caption);
  EXPECT_EQ(a.labels.count, b.labels.count);
  EXPECT_NE(a.rgb, b.rgb);
}

TEST(LabelledScene, FullScenesHaveDepthEdgesAndTrueClaims) {
  const WorldWords& words = words_of(WorldName::kFull);
  int claimed = 0;
  for (uint64_t seed = 20; seed < 26; ++seed) {
    const LabelledScene scene = draw_labelled(WorldName::kFull, seed, {.size = 64});
    ASSERT_EQ(scene.depth.size(), 64u * 64);
    const double share = static_cast<double>(std::count(scene.edges.begin(), scene.edges.end(), 1.f)) / (64 * 64);
    EXPECT_GT(share, 0.005);
    EXPECT_LT(share, 0.6);
    for (size_t k = 0; k < words.kinds.size(); ++k) {
      if (scene.claims.count[k] < 0) continue;
      ++claimed;
      EXPECT_GT(scene.claims.count[k], 0) << scene.caption;
      EXPECT_EQ(scene.claims.count[k], scene.labels.count[k]) << words.kinds[k] << ": " << scene.caption;
    }
  }
  EXPECT_GT(claimed, 5);
}

TEST(LabelledScene, IndependentScenesHoldWhatTheWorldNeverShows) {
  const WorldWords& words = words_of(WorldName::kSmall);
  const auto pine = static_cast<size_t>(std::find(words.kinds.begin(), words.kinds.end(), "pine tree") - words.kinds.begin());
  bool coloured_pine = false, twins = false, nothing = false, three = false;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const SceneDescription scene = independent_scene(seed);
    nothing |= scene.objects.empty();
    three |= scene.objects.size() == 3;
    for (size_t i = 0; i < scene.objects.size(); ++i) {
      coloured_pine |= static_cast<size_t>(scene.objects[i].thing) == pine && scene.objects[i].hue != Hue::kGreen;
      EXPECT_TRUE(i == 0 || scene.objects[i].x > scene.objects[i - 1].x);
      twins |= i > 0 && scene.objects[i].thing == scene.objects[0].thing;
    }
  }
  EXPECT_TRUE(coloured_pine && twins && nothing && three);
  const LabelledScene drawn = draw_labelled(WorldName::kSmall, 1, {.size = 16, .independent = true});
  EXPECT_EQ(static_cast<size_t>(std::accumulate(drawn.labels.count.begin(), drawn.labels.count.end(), int64_t{0})), independent_scene(1).objects.size());
}

}  // namespace
}  // namespace attelier
