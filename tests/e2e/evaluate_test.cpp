// attelier evaluate: exit codes, files, and interruption of the real program, on a tiny random model and judge.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/base/context.h"
#include "core/base/files.h"
#include "core/evaluation/judgement.h"
#include "core/weights/load.h"
#include "tests/e2e/program.h"
#include "tests/testing/sanitizers.h"
#include "tests/testing/temporary_folder.h"
#include "tests/testing/tiny_model.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

class EvaluateTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    models_ = new TemporaryFolder;
    write_tiny_model(*models_ / "tiny");
    JudgeConfig config = judge_config(WorldName::kSmall);
    config.widths = {8, 8, 8, 8};
    config.picture_size = 32;
    Judge judge(config);
    judge.initialise(make_generator(1));
    fs::create_directories(*models_ / "judge");
    write_file_atomically(*models_ / "judge" / "config.json", config.to_json().dump());
    write_safetensors(*models_ / "judge" / "model.safetensors", named_tensors(judge, at::kHalf));
  }
  static void TearDownTestSuite() { delete models_; }
  EvaluateTest() { fs::create_directory(home_ / "out"); }

  std::vector<std::string> arguments(const std::string& method, std::vector<std::string> more) const {
    const std::vector<std::pair<std::string, std::string>> usual = {{"--model", (*models_ / "tiny").string()}, {"--judge", (*models_ / "judge").string()}, {"--world", "small"}, {"--steps", "2"}, {"--threads", "1"}};
    for (const auto& [flag, value] : usual)
      if (std::find(more.begin(), more.end(), flag) == more.end()) more.insert(more.end(), {flag, value});
    more.insert(more.begin(), {"evaluate", method});
    return more;
  }
  ProgramResult run(const std::string& method, const std::vector<std::string>& more) { return Program(home_.path(), arguments(method, more)).finish(); }
  void expect_failure(const std::string& method, const std::vector<std::string>& more, int code, const std::string& part) {
    const ProgramResult result = run(method, more);
    EXPECT_EQ(result.code, code) << result.errors;
    EXPECT_NE(result.errors.find(part), std::string::npos) << "no \"" << part << "\" in " << result.errors;
    EXPECT_EQ(result.output, "");
    EXPECT_TRUE(fs::is_empty(home_ / "out"));
  }

  static TemporaryFolder* models_;
  TemporaryFolder home_;
};
TemporaryFolder* EvaluateTest::models_ = nullptr;

TEST_F(EvaluateTest, WritesAPageAndTheNumbers) {
  const std::string out = (home_ / "out").string();
  const ProgramResult result = run("generate", {"--pictures", "2", "--out", out, "--json", "-q"});
  ASSERT_EQ(result.code, 0) << result.errors;
  const Json printed = Json::parse(result.output);
  EXPECT_EQ(printed.at("evaluation"), "generate");
  EXPECT_EQ(printed.at("settings").at("pictures"), 2);
  EXPECT_EQ(Json::parse(read_file(home_ / "out" / "evaluation_generate.json")), printed);
  const std::string page = read_file(home_ / "out" / "evaluation_generate.html");
  EXPECT_NE(page.find("</html>"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);
  EXPECT_EQ(std::distance(fs::directory_iterator(home_ / "out"), {}), 2);
}

TEST_F(EvaluateTest, PrintsATable) {
  const ProgramResult result = run("judge", {"--pictures", "3", "-q"});
  EXPECT_EQ(result.code, 0) << result.errors;
  for (const char* part : {"objects", "autoencoded", "everything", "Intervals hold 95 %"}) EXPECT_NE(result.output.find(part), std::string::npos) << part;
}

TEST_F(EvaluateTest, RefusesWhatCannotBe) {
  const std::string out = (home_ / "out").string();
  expect_failure("poem", {"--out", out}, 2, "poem");
  expect_failure("generate", {"--pictures", "1", "--out", out}, 2, "--pictures");
  expect_failure("generate", {"--pictures", "2", "--out", (home_ / "nowhere").string()}, 3, "nowhere");
  expect_failure("controlnet", {"--out", out}, 4, "--controlnet");
  expect_failure("controlnet", {"--controlnet", "no-such-net", "--out", out}, 4, "no-such-net");
  expect_failure("controlnet", {"--controlnet", (*models_ / "tiny").string(), "--out", out}, 4, "is no ControlNet");
  expect_failure("inpaint", {"--out", out}, 4, "--against");
  expect_failure("generate", {"--world", "full", "--out", out}, 4, "knows the small world");
  expect_failure("generate", {"--judge", (*models_ / "tiny").string(), "--out", out}, 4, "is no judge");
  expect_failure("generate", {"--model", "no-such-model", "--out", out}, 4, "no-such-model");
  expect_failure("generate", {"--world", "flat", "--out", out}, 2, "--world");
  expect_failure("style", {"--set", "gama=0.5", "--out", out}, 2, "gamma");
  expect_failure("style", {"--set", "gamma", "--out", out}, 2, "NAME=VALUE");
  expect_failure("style", {"--set", "gamma=high", "--out", out}, 2, "high");
  expect_failure("style", {"--set", "gamma=7", "--out", out}, 2, "0 to 1");
  expect_failure("judge", {"--set", "gamma=0.5", "--out", out}, 2, "--set");
}

TEST_F(EvaluateTest, StopsWithinASecondAndWritesNothing) {
  const std::string out = (home_ / "out").string();
  for (const char* method : {"style", "generate"}) {
    Program program(home_.path(), arguments(method, {"--pictures", "500", "--out", out}));
    std::this_thread::sleep_for(std::chrono::seconds(3));
    ASSERT_TRUE(program.running());
    program.send(SIGINT);
    const Clock::time_point start = Clock::now();
    const auto result = program.finish();
    EXPECT_EQ(result.code, 130);
    EXPECT_NE(result.errors.find("interrupted; nothing was written"), std::string::npos) << result.errors;
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(kSanitized ? 6 : 2)) << method << ": one second, and as much again for a busy machine";
    EXPECT_TRUE(fs::is_empty(home_ / "out"));
  }
}

}  // namespace
}  // namespace attelier
