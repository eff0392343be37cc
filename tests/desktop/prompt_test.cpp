// The prompt by keyboard.
#include "tests/desktop/desktop_fixture.h"

namespace attelier {
namespace {

class PromptDesktop : public DesktopFixture {
 protected:
  Json parameters() const {
    const Json json = saved();
    return json.is_object() ? json["document"]["methods"]["generate"]["params"] : Json::object();
  }
  testing::AssertionResult becomes(const std::string& prompt, bool weights) const {
    const bool is = wait_until(kStart, [&] { return parameters().value("prompt", "") == prompt && parameters().value("prompt_weights", false) == weights; });
    return is ? testing::AssertionSuccess() : testing::AssertionFailure() << parameters().dump();
  }
};

TEST_F(PromptDesktop, TheWordAtTheCaretGetsMoreWeight) {
  const auto program = open({job("few.json", Json::object())});
  screen_.key("ctrl+l");
  usleep(300'000);
  screen_.key("End");
  screen_.key("ctrl+Up");
  screen_.key("ctrl+Up");
  EXPECT_TRUE(becomes("a red (house:1.2)", true));
  screen_.key("ctrl+Down");
  screen_.key("ctrl+Down");
  EXPECT_TRUE(becomes("a red house", true)) << "weight 1 needs no brackets";
  screen_.key("ctrl+Up");
  screen_.key("Escape");
  screen_.key("ctrl+Up");  // no field has the keyboard
  EXPECT_TRUE(becomes("a red (house:1.1)", true));
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(1));
  EXPECT_EQ(job_of(pictures()[0])["params"]["prompt"], "a red (house:1.1)");
  EXPECT_EQ(quit(*program).code, 0);
}

}  // namespace
}  // namespace attelier
