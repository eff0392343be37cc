// The form's job as a file that the command line runs.
#include "tests/desktop/desktop_fixture.h"

namespace attelier {
namespace {

class JobFileTest : public DesktopFixture {
 protected:
  const std::filesystem::path file_ = home_.path() / "saved.json";

  void name_the_file() const {
    screen_.key("ctrl+s");
    usleep(400'000);
    screen_.key("ctrl+a");
    screen_.type(file_.string());
    screen_.key("Return");
    usleep(300'000);
  }
  /// The steps in the saved job, 0 without one.
  int saved_steps() const {
    if (!std::filesystem::exists(file_)) return 0;
    const Json job = Json::parse(read_file(file_), nullptr, false);
    return job.is_object() ? job["params"].value("steps", 0) : 0;
  }
};

TEST_F(JobFileTest, TheFormsJobIsSavedByKeyboardReplacedAndRunElsewhere) {
  const auto program = open({job("few.json", {{"prompt", "a green tree"}})});
  home_.write("saved.json", R"({"params": {"steps": 9}})");
  name_the_file();
  EXPECT_EQ(saved_steps(), 9) << "a file that is there is asked about first";
  screen_.key("Return");
  ASSERT_TRUE(wait_until(10, [&] { return saved_steps() == 2; }));
  EXPECT_EQ(quit(*program).code, 0);
  const ProgramResult run = Program(home_.path(), {"run", file_.string(), "-q"}).finish();
  ASSERT_EQ(run.code, 0) << run.errors;
  const Json saved = Json::parse(read_file(file_)), made = job_of(run.output.substr(0, run.output.find('\n')));
  EXPECT_EQ(saved["params"]["prompt"], "a green tree");
  EXPECT_EQ(made["params"], saved["params"]);
}

}  // namespace
}  // namespace attelier
