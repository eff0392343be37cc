// JSON from strangers.
#include "core/base/json_text.h"

#include "tests/testing/errors.h"

namespace attelier {
namespace {

TEST(JsonText, DepthIsBounded) {
  const std::string deep = std::string(60, '[') + std::string(60, ']');
  EXPECT_NO_THROW(parse_json_text(deep, "x"));
  for (const size_t depth : {size_t{70}, size_t{1000000}}) {
    EXPECT_EQ(error_of([&] { parse_json_text(std::string(depth, '['), "x"); }, "x: is nested more than 64 levels deep"), ExitCode::kBadInput);
    std::string objects;
    for (size_t i = 0; i < depth; ++i) objects += "{\"a\":";
    EXPECT_EQ(error_of([&] { parse_json_text(objects, "x"); }, "deep"), ExitCode::kBadInput);
  }
}

TEST(JsonText, AKeyThatIsGivenTwiceIsRefused) {
  EXPECT_EQ(error_of([] { parse_json_text(R"({"a": 1, "b": {"c": 1, "c": 2}})", "x"); }, "\"c\" twice"), ExitCode::kBadInput);
  EXPECT_NO_THROW(parse_json_text(R"({"a": {"c": 1}, "b": {"c": 1}, "c": [{"c": 1}, {"c": 1}]})", "x"));
}

TEST(JsonText, WhatIsNotJsonIsRefusedWithItsPlace) {
  for (const char* text : {"", "{", "{]", "nul", "{\"a\": 1e999}", "\"\xff\"", "{\"a\" 1}", "1 2", "\"\n\""})
    EXPECT_EQ(error_of([&] { parse_json_text(text, "my.json"); }, "my.json: is not JSON"), ExitCode::kBadInput) << text;
}

TEST(JsonText, LinesOfValues) {
  const std::string text = "\xEF\xBB\xBF{\n \"a\": {\"b,}\\\"\": [1,\n  {\"x/~\": \"]}\"},\n true] },\n\"c\":\n -1.5e3}";
  const auto lines = json_lines(text, {"/a", "/a/b,}\"", "/a/b,}\"/1", "/a/b,}\"/1/x~1~0", "/a/b,}\"/2", "/c", "/d", ""});
  const std::map<std::string, int64_t> expected = {{"", 1}, {"/a", 2}, {"/a/b,}\"", 2}, {"/a/b,}\"/1", 3}, {"/a/b,}\"/1/x~1~0", 3}, {"/a/b,}\"/2", 4}, {"/c", 6}};
  EXPECT_EQ(lines, expected);
}

TEST(JsonText, ManyProblemsAreCut) {
  std::vector<Problem> problems;
  for (int i = 0; i < 100; ++i) problems.push_back({"/p" + std::to_string(i), "is wrong"});
  const std::string message = message_of(ExitCode::kBadInput, [&] { report_problems(problems, "", "x", ExitCode::kBadInput); });
  for (const char* part : {"x has 100 problems", "/p39 is wrong", "and 60 more"}) EXPECT_TRUE(contains(message, part));
  EXPECT_NO_THROW(report_problems({}, "", "x", ExitCode::kBadInput));
}

}  // namespace
}  // namespace attelier
