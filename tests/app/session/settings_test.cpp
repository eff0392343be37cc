// Precedence: built in < system < user < job < environment < flags.
#include "app/session/settings.h"

#include "tests/app/session/session_testing.h"

namespace attelier {
namespace {

TEST(Settings, LaterLayersWinValueByValueAndOriginsTell) {
  const std::vector<SettingsLayer> layers = {
      {"user", json_of(R"({"model": "a", "run": {"device": "cpu", "threads": 1}, "params": {"steps": 10, "eta": 0.5}})"), {}},
      {"job", json_of(R"({"method": "generate", "model": {"unet": "b"}, "params": {"steps": 20}, "output": {"dir": "x"}})"), {}},
      {"flags", json_of(R"({"params": {"steps": 30}, "run": {"threads": 2}})"), {{"/params/steps", "--steps"}}},
  };
  const MergedSettings merged = merge_layers(layers);
  EXPECT_EQ(merged.job, json_of(R"({"method": "generate", "model": {"unet": "b"}, "params": {"steps": 30, "eta": 0.5}, "run": {"device": "cpu", "threads": 2}, "output": {"dir": "x"}})"));
  const std::map<std::string, std::string> expected = {{"/method", "job"},        {"/model", "job"},     {"/params/steps", "--steps"}, {"/params/eta", "user"},
                                                       {"/run/device", "user"},   {"/run/threads", "flags"}, {"/output/dir", "job"}};
  EXPECT_EQ(merged.origins, expected);
}

TEST(Settings, AMisshapenGroupStaysVisible) {
  const MergedSettings merged = merge_layers({{"user", json_of(R"({"params": {"steps": 1}})"), {}}, {"job", json_of(R"({"method": "generate", "params": 3})"), {}}});
  EXPECT_EQ(error_of([&] { parse_job(merged.job, {"x", "", merged.origins}); }, {"/params is 3; expected an object"}), ExitCode::kBadInput);
}

TEST(Settings, TheUsersConfigIsReadForTheMethodAndChecked) {
  const TemporaryFolder folder;
  const Variable home("XDG_CONFIG_HOME", folder.path().string());
  EXPECT_TRUE(config_layers("generate").empty()) << "an absent file is fine (is there an /etc/xdg/attelier/config.json?)";
  folder.write("attelier/config.json", R"({"model": "sd15", "run": {"threads": 3}, "params": {"generate": {"steps": 12}, "style": {"gamma": 0.5}}})");
  const std::vector<SettingsLayer> layers = config_layers("generate");
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_EQ(layers[0].job, json_of(R"({"model": "sd15", "run": {"threads": 3}, "params": {"steps": 12}})"));
  EXPECT_EQ(layers[0].origin, (folder / "attelier/config.json").string());
  folder.write("attelier/config.json", "{\n\"modle\": 1,\n\"run\": {\"threads\": -1},\n\"params\": {\"generate\": {\"steps\": 0}, \"stile\": {}}}");
  EXPECT_EQ(error_of([] { config_layers("style"); }, {"config.json has 4 problems", "line 2: /modle is unknown", "line 3: /run/threads is -1", "line 4: /params/generate/steps is 0",
                                                      "/params/stile is no method"}),
            ExitCode::kBadInput);
  folder.write("attelier/config.json", "not json");
  EXPECT_EQ(error_of([] { config_layers(""); }, {"config.json: is not JSON"}), ExitCode::kBadInput);
}

TEST(Settings, TheEnvironmentSetsCommonSettingsAndParameters) {
  const Variable model("ATTELIER_MODEL", "sd15"), threads("ATTELIER_THREADS", "2"), out("ATTELIER_OUT", "/tmp"), steps("ATTELIER_GENERATE_STEPS", "9"),
      size("ATTELIER_GENERATE_SIZE", "64x32"), other("ATTELIER_STYLE_GAMMA", "0.5"), empty("ATTELIER_DEVICE", "");
  const SettingsLayer layer = environment_layer("generate");
  EXPECT_EQ(layer.job, json_of(R"({"model": "sd15", "run": {"threads": 2}, "output": {"dir": "/tmp"}, "params": {"steps": 9, "size": [64, 32]}})"));
  EXPECT_EQ(layer.origins.at("/params/steps"), "ATTELIER_GENERATE_STEPS");
  const Variable wrong("ATTELIER_THREADS", "many");
  EXPECT_EQ(error_of([] { environment_layer(""); }, {"the environment's ATTELIER_THREADS", "many"}), ExitCode::kUsage);
}

TEST(Settings, TextsAreRepairedAndPathsKeepTheirBytes) {
  ParameterDescription text;
  text.type = ParameterType::kText;
  EXPECT_EQ(parse_setting(text, "prompt", "a\xff" "b"), "a\xEF\xBF\xBD" "b");
  ParameterDescription path;
  path.type = ParameterType::kPath;
  EXPECT_EQ(parse_setting(path, "out", "a\xff").get<std::string>(), "a\xff");
}

TEST(Settings, ARandomSeedIsDrawn) {
  ParameterDescription seed;
  seed.name = "seed";
  seed.type = ParameterType::kInteger;
  const Json first = parse_setting(seed, "seed", "random");
  EXPECT_TRUE(first.is_number_unsigned());
  EXPECT_NE(first, parse_setting(seed, "seed", "random")) << "equal once in 2^32";
  EXPECT_EQ(parse_setting(seed, "seed", "5"), 5);
  EXPECT_EQ(error_of([&] { parse_setting(seed, "seed", "five"); }, {"--seed is \"five\""}), ExitCode::kUsage);
}

TEST(Settings, EveryCommonSettingHasAPlaceInTheJob) {
  const Json job = parse_job(json_of(R"({"method": "generate"})")).to_json();
  for (const CommonSetting& setting : common_settings()) {
    const Json::json_pointer pointer(setting.pointer());
    ASSERT_TRUE(job.contains(pointer)) << setting.pointer();
    EXPECT_EQ(job[pointer], setting.description.default_value) << setting.pointer();
  }
}

}  // namespace
}  // namespace attelier
