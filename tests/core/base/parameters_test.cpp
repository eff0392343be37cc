#include "core/base/parameters.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace attelier {
namespace {

const ParameterDescriptions kDescriptions = {
    {"steps", "Steps", "Number of steps.", ParameterType::kInteger, 50, 1, 1000},
    {"temperature", "T", "Sharpness.", ParameterType::kNumber, 1.5, 0.0, std::nullopt, true},
    {"size", "Size", "Width and height.", ParameterType::kSize, nullptr, 8, 4096},
    {"layers", "Layers", "Blocks.", ParameterType::kIntegers, {6, 7}},
    {"variant", "Variant", "Which.", ParameterType::kChoice, "official", std::nullopt, std::nullopt, false, "", {"official", "diffusers"}},
};

TEST(Parameters, DefaultsAreFilledIn) {
  std::vector<Problem> problems;
  const Json resolved = resolve_parameters(kDescriptions, {{"steps", 20}}, "/params", problems);
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(resolved["steps"], 20);
  EXPECT_EQ(resolved["temperature"], 1.5);
  EXPECT_TRUE(resolved["size"].is_null());
}

TEST(Parameters, EveryProblemIsReportedWithItsPointer) {
  std::vector<Problem> problems;
  resolve_parameters(kDescriptions, {{"steps", 0}, {"temperature", 0}, {"size", {512}}, {"layers", {1.5}}, {"variant", "x"}, {"stepps", 3}}, "/params", problems);
  ASSERT_EQ(problems.size(), 6u);
  EXPECT_EQ(problems[0].pointer, "/params/steps");
  EXPECT_EQ(problems[0].message, "is 0; allowed is 1 to 1000");
  EXPECT_NE(problems[5].message.find("did you mean \"steps\""), std::string::npos);
}

TEST(Parameters, FlagsParseAsTheirTypes) {
  EXPECT_EQ(parse_parameter(kDescriptions[0], "12"), 12);
  EXPECT_EQ(parse_parameter(kDescriptions[2], "512x384"), Json({512, 384}));
  EXPECT_EQ(parse_parameter(kDescriptions[3], "6,7,8"), Json({6, 7, 8}));
  EXPECT_THROW(parse_parameter(kDescriptions[0], "12abc"), Error);
  EXPECT_THROW(parse_parameter(kDescriptions[0], ""), Error);
  EXPECT_THROW(parse_parameter(kDescriptions[0], "99999999999999999999999"), Error);
}

TEST(Parameters, SchemaHoldsRangesAndDefaults) {
  const Json schema = parameters_schema(kDescriptions);
  EXPECT_EQ(schema["properties"]["steps"]["maximum"], 1000);
  EXPECT_EQ(schema["properties"]["temperature"]["exclusiveMinimum"], 0);
  EXPECT_EQ(schema["properties"]["variant"]["enum"], Json({"official", "diffusers"}));
  EXPECT_EQ(schema["additionalProperties"], false);
}

TEST(Parameters, NearestNameIgnoresTheFarOnes) {
  EXPECT_EQ(nearest_name("promt", {"prompt", "steps"}), "prompt");
  EXPECT_EQ(nearest_name("zzzzzz", {"prompt", "steps"}), "");
}

}  // namespace
}  // namespace attelier
