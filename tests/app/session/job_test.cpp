// Jobs: what is filled in, what is refused and how it is said.
#include "tests/app/session/session_testing.h"

namespace attelier {
namespace {

TEST(Job, DefaultsAreFilledInAndTheCanonicalFormRoundTrips) {
  const Job job = parse_job(json_of(R"({"method": "generate", "params": {"prompt": "a cat"}})"));
  EXPECT_EQ(job.name, "generate");
  EXPECT_EQ(job.model, "mini");
  EXPECT_EQ(job.params["steps"], 30);
  EXPECT_EQ(job.params.size(), job.method->parameters.size());
  EXPECT_EQ(job.output.folder, ".");
  EXPECT_EQ(job.output.exists, "number");
  EXPECT_TRUE(job.output.embed_job);
  EXPECT_EQ(job.run.device, "auto");
  const Json canonical = job.to_json();
  EXPECT_EQ(parse_job(canonical).to_json(), canonical);
}

TEST(Job, NumbersKeepFullPrecision) {
  const Job job = parse_job(json_of(R"({"method": "style", "inputs": {"content": "/dev/null", "style": "/dev/null"},
                                        "params": {"gamma": 0.30000000000000004, "seed": 18446744073709551615}})"));
  EXPECT_NE(job.to_json().dump().find("0.30000000000000004"), std::string::npos);
  EXPECT_NE(job.to_json().dump().find("18446744073709551615"), std::string::npos);
}

TEST(Job, AllProblemsAreReportedAtOnceAsPointersWithLines) {
  const std::string text = R"({
  "job": 2,
  "method": "generate",
  "params": {
    "stepz": 3,
    "steps": 0,
    "size": [64],
    "sampler": "dimm"
  },
  "output": {"exists": "perhaps", "pattern": "../x.png"},
  "run": {"threads": 1025, "device": 4},
  "extra": 1
})";
  const ExitCode code = error_of([&] { parse_job(json_of(text.c_str()), {"night.job.json", text, {}}); },
                                 {"night.job.json has 9 problems", "line 2: /job is 2", "line 5: /params/stepz is unknown; did you mean \"steps\"?",
                                  "line 6: /params/steps is 0; allowed is 1 to 1000", "line 7: /params/size is [64]", "line 8: /params/sampler", "line 10: /output/exists",
                                  "line 11: /run/threads is 1025; allowed is 0 to 1024", "line 11: /run/device is 4", "line 12: /extra is unknown"});
  EXPECT_EQ(code, ExitCode::kBadInput);
}

TEST(Job, APatternThatLeavesTheFolderIsRefused) {
  for (const char* pattern : {"../x.png", "a/b.png", "x", "x.gif", "{nam}.png", "{index:99}.png", "{index:-1}.png", "{name.png", "a\n.png", ""}) {
    Json json = json_of(R"({"method": "generate"})");
    json["output"]["pattern"] = pattern;
    EXPECT_EQ(error_of([&] { parse_job(json, {"x.json", "", {}}); }, {"/output/pattern"}), ExitCode::kBadInput) << pattern;
  }
}

TEST(Job, UnknownAndMissingMethods) {
  EXPECT_EQ(error_of([] { parse_job(json_of(R"({"method": "generat"})"), {"x", "", {}}); }, {"did you mean \"generate\"?"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([] { parse_job(json_of(R"({"method": "zzzzzzzz"})"), {"x", "", {}}); }, {"allowed are generate, style"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([] { parse_job(json_of(R"({"method": 3})"), {"x", "", {}}); }, {"/method is 3", "expected a text"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([] { parse_job(json_of("{}"), {"x", "", {}}); }, {"/method is missing"}), ExitCode::kBadInput);
  for (const char* text : {"[]", "3", "null", "\"generate\"", "true"})
    EXPECT_EQ(error_of([&] { parse_job(json_of(text), {"x", "", {}}); }, {"expected an object"}), ExitCode::kBadInput) << text;
}

TEST(Job, InputsAreCheckedForPresenceAndKind) {
  const TemporaryFolder folder;
  const std::string picture = folder.write("a.png", "x").string();
  Json json = {{"method", "style"}, {"inputs", {{"content", folder.path().string()}, {"styl", picture}}}};
  EXPECT_EQ(error_of([&] { parse_job(json, {"x", "", {}}); }, {"3 problems", "which is a folder", "/inputs/style is missing", "/inputs/styl is unknown; did you mean \"style\"?"}),
            ExitCode::kBadInput);
  json["inputs"] = {{"content", {picture, picture}}, {"style", {picture, 3}}};
  EXPECT_EQ(error_of([&] { parse_job(json, {"x", "", {}}); }, {"/inputs/content names 2 files; one is allowed", "/inputs/style is 3; expected a file name"}), ExitCode::kBadInput);
  json["inputs"] = {{"content", picture}, {"style", {picture, picture}}};
  EXPECT_EQ(parse_job(json).inputs.at("style").size(), 2u);
  json["inputs"]["style"] = {picture, picture, picture, picture};
  EXPECT_EQ(error_of([&] { parse_job(json, {"x", "", {}}); }, {"/inputs/style names 4 files; at most 3 are allowed"}), ExitCode::kBadInput);
  json["inputs"] = {{"content", picture + ".not"}, {"style", picture}};
  EXPECT_EQ(error_of([&] { parse_job(json); }, {"a.png.not, which does not exist"}), ExitCode::kBadInput);
}

TEST(Job, ListsThatGoTogetherAreAsLong) {
  const auto problem = [](const char* text, const char* expected) { EXPECT_EQ(error_of([&] { parse_job(json_of(text), {"x", "", {}}); }, {expected}), ExitCode::kBadInput) << text; };
  problem(R"({"method": "style", "inputs": {"content": "/dev/null", "style": ["/dev/null", "/dev/zero"]}, "params": {"weights": [1, 2, 3]}})", "/params/weights has 3 numbers for 2 files of style");
  problem(R"({"method": "style", "inputs": {"content": "/dev/null", "style": ["/dev/null", "/dev/zero"], "style_mask": "/dev/null"}})", "/inputs/style_mask has 1 files for 2 files of style");
  EXPECT_EQ(parse_job(json_of(R"({"method": "style", "inputs": {"content": "/dev/null", "style": ["/dev/null", "/dev/zero"]}, "params": {"weights": [1, 2]}})")).params["weights"].size(), 2);
}

TEST(Job, FlagsAreNamedInsteadOfPointersAndAreWrongUse) {
  const JobSource source{"", "", {{"/params/steps", "--steps"}, {"/params/eta", "ATTELIER_GENERATE_ETA"}}};
  EXPECT_EQ(error_of([&] { parse_job(json_of(R"({"method": "generate", "params": {"steps": 0}})"), source); }, {"--steps is 0; allowed is 1 to 1000"}), ExitCode::kUsage);
  EXPECT_EQ(error_of([&] { parse_job(json_of(R"({"method": "generate", "params": {"eta": 5}})"), source); }, {"ATTELIER_GENERATE_ETA is 5"}), ExitCode::kUsage);
  EXPECT_EQ(error_of([&] { parse_job(json_of(R"({"method": "style"})"), source); }, {"--content is missing", "--style is missing"}), ExitCode::kUsage);
}

TEST(Job, AModelMayNameItsHash) {
  const Job job = parse_job(json_of(R"({"method": "generate", "model": {"unet": "sd15", "sha256": "ab"}})"));
  EXPECT_EQ(job.model, "sd15");
  EXPECT_EQ(job.model_sha256, "ab");
  EXPECT_EQ(parse_job(job.to_json()).model_sha256, "ab");
  EXPECT_EQ(error_of([] { parse_job(json_of(R"({"method": "generate", "model": {"vae": "x"}})"), {"x", "", {}}); }, {"/model/vae is unknown"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([] { parse_job(json_of(R"({"method": "generate", "model": 3})"), {"x", "", {}}); }, {"/model is 3"}), ExitCode::kBadInput);
}

TEST(Job, HostileKeysCannotFakeOrFloodAMessage) {
  Json json = json_of(R"({"method": "generate"})");
  json["params"]["\x1b[2J\nfake: all is well"] = 1;
  json["params"][std::string(1000000, 'k')] = 1;
  json["params"]["steps"] = std::string(1000000, 's');
  try {
    parse_job(json, {"x", "", {}});
    ADD_FAILURE();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_LT(text.size(), 2000u);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(text.find("\nfake"), std::string::npos);
  }
}

TEST(Job, DeviceAndDtypeNames) {
  EXPECT_EQ(parse_device("cpu"), at::Device(at::kCPU));
  EXPECT_EQ(error_of([] { parse_device("tpu"); }, {"allowed are auto, cpu, cuda"}), ExitCode::kUsage);
  EXPECT_EQ(parse_dtype("auto", at::kCPU), at::kFloat);
  EXPECT_EQ(parse_dtype("auto", at::kCUDA), at::kHalf);
  EXPECT_EQ(error_of([] { parse_dtype("float16", at::kCPU); }, {"needs a GPU"}), ExitCode::kUsage);
}

}  // namespace
}  // namespace attelier
