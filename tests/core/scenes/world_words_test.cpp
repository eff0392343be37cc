// Captions and questions say only what the masks show; stories keep their hero.
#include <gtest/gtest.h>

#include <set>

#include "core/scenes/world/captions.h"
#include "core/scenes/world/degradation.h"
#include "core/scenes/world/sequences.h"

namespace attelier::world {
namespace {

TEST(WorldWords, CaptionsAreTrueToTheMasks) {
  std::set<std::string> texts;
  int relations = 0, several = 0;
  for (uint64_t seed = 0; seed < 120; ++seed) {
    const Scene scene = compose(seed);
    const Frame frame = render(PosedScene(scene), still_camera(scene, 96, 96), {.colour = false});
    std::vector<int64_t> pixels(scene.objects.size());
    std::vector<double> x(scene.objects.size()), depth(scene.objects.size());
    for (int row = 0; row < frame.height; ++row)
      for (int column = 0; column < frame.width; ++column) {
        const size_t i = frame.index(column, row);
        if (frame.instance[i] == 0) continue;
        ++pixels[frame.instance[i] - 1u], x[frame.instance[i] - 1u] += column, depth[frame.instance[i] - 1u] += static_cast<double>(frame.depth[i]);
      }
    const auto mean = [&](const std::vector<double>& sums, int object) { return sums[static_cast<size_t>(object)] / static_cast<double>(pixels[static_cast<size_t>(object)]); };
    for (uint64_t wording = 0; wording < 4; ++wording) {
      const Caption said = caption(scene, frame, Look::kPlain, wording);
      texts.insert(said.text);
      EXPECT_EQ(said.text.find("  "), std::string::npos) << said.text;
      EXPECT_EQ(said.text.find(" ,"), std::string::npos) << said.text;
      for (const Claim& claim : said.claims) {
        const bool named = !scene.objects[static_cast<size_t>(claim.first_object)].name.empty();
        int count = 0;
        bool one_hue = false;
        for (size_t i = 0; i < scene.objects.size(); ++i) {
          const Object& object = scene.objects[i];
          const bool noticeable = pixels[i] * 1000 >= 96 * 96;
          if (object.kind == claim.kind && object.name.empty() != named && noticeable) count += object.hue == claim.hue ? 1 : 0, one_hue = one_hue || object.hue == claim.hue;
        }
        EXPECT_TRUE(one_hue) << said.text;
        // Kinds of one colour only are counted whatever their hue; all the others by hue.
        if (!named && claim.kind != Kind::kSnowman) {
          EXPECT_EQ(count, claim.count) << said.text << " seed " << seed;
        }
        several += claim.count > 1 ? 1 : 0;
        relations += claim.relation != Relation::kNone ? 1 : 0;
        switch (claim.relation) {
          case Relation::kLeftOf: EXPECT_LT(mean(x, claim.first_object), mean(x, claim.other_object)) << said.text; break;
          case Relation::kRightOf: EXPECT_GT(mean(x, claim.first_object), mean(x, claim.other_object)) << said.text; break;
          case Relation::kInFrontOf: EXPECT_LT(mean(depth, claim.first_object), mean(depth, claim.other_object)) << said.text; break;
          case Relation::kBehind: EXPECT_GT(mean(depth, claim.first_object), mean(depth, claim.other_object)) << said.text; break;
          case Relation::kOn: EXPECT_EQ(scene.objects[static_cast<size_t>(claim.first_object)].support, claim.other_object); break;
          default: break;
        }
      }
    }
  }
  EXPECT_GT(texts.size(), 400u);
  EXPECT_GT(relations, 20);
  EXPECT_GT(several, 20);
}

TEST(WorldWords, QuestionsHaveTrueAnswers) {
  std::set<std::string> topics;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const Scene scene = compose(seed);
    const Frame frame = render(PosedScene(scene), still_camera(scene, 96, 96), {.colour = false});
    const Contents contents = contents_of(scene, frame);
    for (const Question& q : questions(scene, frame, Look::kInk, seed)) {
      topics.insert(q.topic);
      EXPECT_EQ(q.question.back(), '?');
      if (q.topic == "style") {
        EXPECT_EQ(q.answer, "ink");
      }
      if (q.topic != "existence" || q.answer != "no") continue;
      for (int kind = static_cast<int>(kFirstThing); kind < kKindCount; ++kind) {
        if (q.question != "is there a " + std::string(name_of(static_cast<Kind>(kind)).singular) + "?") continue;
        EXPECT_EQ(contents.pixels_of[static_cast<size_t>(kind)], 0) << q.question;
      }
    }
  }
  for (const char* topic : {"count", "colour", "existence", "position", "depth", "place", "daytime", "weather", "style", "character"}) EXPECT_TRUE(topics.count(topic)) << topic;
}

TEST(WorldWords, IdentitiesRecurAndDiffer) {
  std::set<std::string> names, descriptions;
  for (int i = 0; i < kNamedCharacters; ++i) {
    EXPECT_EQ(describe(identity(i)), describe(identity(i)));
    names.insert(identity(i).name), descriptions.insert(describe(identity(i)));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(kNamedCharacters));
  EXPECT_TRUE(names.contains(identity(kNamedCharacters).name)) << "the names come again";
  EXPECT_GE(descriptions.size(), 22u);
}

TEST(WorldWords, StoriesKeepTheirHeroInSight) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const std::vector<Episode> story = tell_story(seed, 5);
    ASSERT_EQ(story.size(), 5u);
    std::set<std::string> heroes;
    for (const Episode& episode : story) {
      const Frame frame = render(PosedScene(episode.scene), still_camera(episode.scene, 96, 96), {.colour = false});
      std::string hero;
      for (const VisibleObject& seen : contents_of(episode.scene, frame).objects)
        if (!episode.scene.objects[static_cast<size_t>(seen.object)].name.empty() && is_noticeable(seen, frame)) hero = episode.scene.objects[static_cast<size_t>(seen.object)].name;
      EXPECT_FALSE(hero.empty()) << seed << ": " << episode.sentence;
      heroes.insert(hero);
      EXPECT_NE(episode.sentence.find(hero), std::string::npos) << episode.sentence;
    }
    EXPECT_EQ(heroes.size(), 1u);
  }
}

TEST(WorldWords, DegradationKeepsTheMeanAndIsRepeatable) {
  const Scene scene = compose(3);
  const Frame frame = render(PosedScene(scene), still_camera(scene, 64, 64));
  const Degradation wear = random_degradation(5, 4);
  const std::vector<float> small = degrade(frame.rgb, 64, 64, 4, wear, 7);
  ASSERT_EQ(small.size(), 16u * 16 * 3);
  EXPECT_EQ(small, degrade(frame.rgb, 64, 64, 4, wear, 7));
  EXPECT_NE(small, degrade(frame.rgb, 64, 64, 4, {.blur = wear.blur, .noise = 0.1f}, 7));
  double a = 0, b = 0;
  for (const float v : frame.rgb) a += v / static_cast<double>(frame.rgb.size());
  for (const float v : small) b += v / static_cast<double>(small.size());
  EXPECT_NEAR(a, b, 0.02);
  // Nothing worn: the plain average.
  const std::vector<float> plain = degrade(frame.rgb, 64, 64, 64, {}, 0);
  EXPECT_NEAR(plain[0] + plain[1] + plain[2], 3 * a, 1e-3);
}

}  // namespace
}  // namespace attelier::world
