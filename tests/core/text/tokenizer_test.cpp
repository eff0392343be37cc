#include "core/text/tokenizer.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/core/text/text_testing.h"

namespace attelier {
namespace {

using Ids = std::vector<int64_t>;

class ClipTokenizer : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(clip_merges())) GTEST_SKIP() << clip_merges() << " is absent; third_party/bootstrap installs it";
    static const auto shared = Tokenizer::from_clip_merges(clip_merges());
    tokenizer = shared;
  }
  std::shared_ptr<const Tokenizer> tokenizer;
};

TEST_F(ClipTokenizer, HasClipsIds) {
  EXPECT_EQ(tokenizer->vocabulary_size(), 49408);
  EXPECT_EQ(tokenizer->start_token(), 49406);
  EXPECT_EQ(tokenizer->end_token(), 49407);
  EXPECT_EQ(tokenizer->options().pad_token, 49407);
  EXPECT_EQ(tokenizer->encode("a"), Ids{320});
  EXPECT_EQ(tokenizer->encode("!"), Ids{256});
}

TEST_F(ClipTokenizer, AgreesWithTheTestVectors) {
  EXPECT_EQ(tokenizer->encode(""), Ids{});
  EXPECT_EQ(tokenizer->encode("a photo of an astronaut riding a horse on mars"), (Ids{320, 1125, 539, 550, 18376, 6765, 320, 4558, 525, 7496}));
  EXPECT_EQ(tokenizer->encode("A  Cat's 3D-render, 1920x1080!!"),
            (Ids{320, 2368, 568, 274, 323, 268, 13024, 267, 272, 280, 273, 271, 343, 272, 271, 279, 271, 748}));
  EXPECT_EQ(tokenizer->encode("don't we'LL I'D"), (Ids{847, 713, 649, 1342, 328, 1896}));
  EXPECT_EQ(tokenizer->encode("café naïve 猫と犬"), (Ids{15304, 1097, 35689, 563, 163, 234, 104, 34671, 163, 232, 361}));
  EXPECT_EQ(tokenizer->encode("🚀 emoji (test:1.2)"), (Ids{13542, 16327, 263, 1628, 281, 272, 269, 273, 264}));
}

TEST_F(ClipTokenizer, AgreesWithTransformersOnOddStrings) {
  const auto fixture = nlohmann::json::parse(read_file(text_fixture("tokenizer.json")));
  ASSERT_GE(fixture["strings"].size(), 300u);
  for (size_t i = 0; i < fixture["strings"].size(); ++i) {
    const auto text = fixture["strings"][i].get<std::string>();
    EXPECT_EQ(tokenizer->encode(text), fixture["ids"][i].get<Ids>()) << i << ": " << fixture["strings"][i].dump(-1, ' ', true);
    EXPECT_EQ(tokenizer->decode(fixture["ids"][i].get<Ids>()), fixture["decoded"][i].get<std::string>()) << i;
  }
}

}  // namespace
}  // namespace attelier
