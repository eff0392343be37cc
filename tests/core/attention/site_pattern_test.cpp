// Layers chosen by text.
#include "core/attention/site_pattern.h"

#include "tests/core/attention/program_testing.h"

namespace attelier {
namespace {

bool path_matches(const std::string& pattern, const std::string& path) { return matches(pattern, test_site(path, 14)); }

TEST(SitePatterns, StarsStandForAnyText) {
  EXPECT_TRUE(path_matches("a.b", "a.b"));
  EXPECT_FALSE(path_matches("a.b", "a.bc"));
  EXPECT_FALSE(path_matches("a.b", "a."));
  EXPECT_TRUE(path_matches("*", "anything"));
  EXPECT_TRUE(path_matches("*", ""));
  EXPECT_TRUE(path_matches("up*attn1", "up_blocks.1.attn1"));
  EXPECT_FALSE(path_matches("up*attn1", "up_blocks.1.attn2"));
  EXPECT_TRUE(path_matches("*.1.*", "up.0.1.2"));
  EXPECT_TRUE(path_matches("*ab", "aab"));
  EXPECT_TRUE(path_matches("a*b*c", "a_bb_c_c"));
  EXPECT_FALSE(path_matches("a*b*c", "a_c_b"));
  EXPECT_TRUE(path_matches("**a**", "a"));
  EXPECT_FALSE(path_matches("", "a"));
}

TEST(SitePatterns, IndicesAndModels) {
  EXPECT_TRUE(path_matches("14", "a"));
  EXPECT_FALSE(path_matches("1", "a"));
  EXPECT_TRUE(path_matches("unet:a*", "ab"));
  EXPECT_TRUE(path_matches("u*:14", "ab"));
  EXPECT_FALSE(path_matches("text_encoder*:*", "ab"));
}

TEST(SitePatterns, ManyStarsCostNoTime) {
  const std::string stars(10'000, '*'), path(1'000, 'a');
  EXPECT_FALSE(path_matches(stars + "b", path));
  std::string pairs;
  for (int i = 0; i < 300; ++i) pairs += "*a";
  EXPECT_FALSE(path_matches(pairs + "b", path));
  EXPECT_TRUE(path_matches(pairs, path));
}

}  // namespace
}  // namespace attelier
