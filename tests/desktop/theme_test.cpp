// Which texts want more letters than those that are always loaded.
#include "app/desktop/theme.h"

#include <gtest/gtest.h>

namespace attelier::desktop {
namespace {

TEST(Theme, LettersOfEastAsiaAreAskedForOnceAndNoOthersAre) {
  Theme theme;
  for (const char* text : {"", "a red house", "Überraschung", "Москва, Αθήνα", "“quotes” — dashes … → ×", "🌲 an emoji ❤️", "\xe4\xb8", "\xff\xfe broken"}) EXPECT_FALSE(theme.lacks(text)) << text;
  for (const char* text : {"一只红色的房子", "赤い家", "ひらがな", "붉은 집", "a house 家", "ＦＵＬＬ"}) EXPECT_TRUE(theme.lacks(text)) << text;
  theme.need_east_asian();
  EXPECT_FALSE(theme.lacks("赤い家")) << "they come with the next apply()";
}

TEST(Theme, LooksHaveNames) {
  for (const Look look : {Look::kDark, Look::kLight, Look::kContrast}) EXPECT_EQ(look_of(name_of(look)), look);
  EXPECT_EQ(look_of("pink"), Look::kDark);
}

}  // namespace
}  // namespace attelier::desktop
