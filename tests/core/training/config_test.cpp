#include "core/training/config.h"

#include "core/training/objectives.h"
#include "tests/core/training/training_testing.h"

namespace attelier {
namespace {

using TrainingConfig = TrainingTest;

TEST_F(TrainingConfig, AllMistakesAreNamedAtOnceAndNothingIsBegun) {
  Json config = tiny_vae_config();
  config["batch"] = "many";
  config["steps"] = 0;
  config["crop"] = 64;
  config["pictures_size"] = 64;
  config["optimizer"]["learning_rat"] = 1;
  config["optimizer"]["warm_up"] = -1;
  config["data"] = {{"source", "folder"}, {"path", "nowhere"}, {"crop", "left"}};
  config["vae"]["block_out_channels"] = "large";
  config["validation"] = {"absent.png"};
  const std::string message = refusal(config);
  for (const char* part : {"/batch is \"many\"; expected a whole number", "/steps is 0; allowed is 1 to", "/crop is 64; at most the picture_size, 32", "/pictures_size is unknown; did you mean \"picture_size\"?",
                           "/optimizer/learning_rat is unknown; did you mean \"learning_rate\"?", "/optimizer/warm_up is -1", "/data/path is \"nowhere\", and there is no folder", "/data/crop is \"left\"; allowed are centre, random",
                           "/vae cannot be used", "/validation names \"absent.png\""})
    EXPECT_TRUE(contains(message, part));
}

TEST_F(TrainingConfig, AnUnknownObjectiveIsNamedWithTheNearOne) {
  const std::string message = refusal({{"objective", "lorra"}, {"steps", -1}});
  EXPECT_TRUE(contains(message, "/objective is \"lorra\"; did you mean \"lora\"?"));
  EXPECT_TRUE(contains(message, "/steps is -1"));
  EXPECT_TRUE(contains(refusal({{"steps", 5}}), "/objective is missing"));
  folder_.write("config.json", "{\n  \"objective\": \"vae\",\n  \"steps\": 0,\n  \"optimizer\": {\n    \"warm_up\": -1 } }\n");
  const std::string lines = message_of(ExitCode::kBadInput, [&] { train(folder_ / "config.json", {}, {}); });
  for (const char* part : {"line 3: /steps is 0", "line 5: /optimizer/warm_up is -1"}) EXPECT_TRUE(contains(lines, part));
  folder_.write("config.json", "{");
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { train(folder_ / "config.json", {}, {}); }), "is not JSON"));
  folder_.write("config.json", "[1]");
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { train(folder_ / "config.json", {}, {}); }), "is array"));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { train(folder_ / "absent.json", {}, {}); }), "absent.json"));
}

TEST_F(TrainingConfig, MistakesOfObjectivesOnACheckpoint) {
  Json lora = tiny_denoising_config("lora");
  lora["targets"] = {"to_q", "to_poem"};
  lora["picture_size"] = 17;
  lora["data"] = {{"source", "world"}, {"looks", {"oil", "crayon"}}, {"places", {"still life"}}, {"characters", {1}}, {"path", "x"}};
  std::string message = refusal(lora);
  for (const char* part : {"/targets names to_poem", "/picture_size is 17; a multiple of 2", "/data/looks names \"crayon\"; there are plain", "/data/places names a still life", "/data/path belongs to \"source\": \"folder\""})
    EXPECT_TRUE(contains(message, part));

  Json inpainting = tiny_denoising_config("inpainting");
  inpainting["masks"] = {"object", "hole"};
  inpainting["data"] = {{"source", "textures"}};
  inpainting["model"] = "no-such-model";
  message = refusal(inpainting);
  for (const char* part : {"/masks names \"object\"", "/model cannot be used"}) EXPECT_TRUE(contains(message, part));

  Json controlnet = tiny_denoising_config("controlnet");
  controlnet["data"] = {{"source", "small_world"}};
  controlnet["condition"] = "edges";
  controlnet["down_block_types"] = {"DownBlock2D", "DownBlock3D", "DownBlock2D", "DownBlock2D"};
  message = refusal(controlnet);
  for (const char* part : {"/condition is \"edges\", which \"source\": \"small_world\" does not know", "/conditioning_channels has 4 entries; this autoencoder makes pictures 2 times smaller, which needs 2",
                           "/down_block_types names \"DownBlock3D\""}) EXPECT_TRUE(contains(message, part));
  controlnet["down_block_types"] = {"DownBlock2D"};
  EXPECT_TRUE(contains(refusal(controlnet), "/down_block_types has 1 entries; this UNet has 4 levels"));

  Json vae = tiny_vae_config();
  vae["model"] = "mini";
  EXPECT_TRUE(contains(refusal(vae), "/vae and /model are both there"));
  vae.erase("vae"), vae.erase("model"), vae["decoder_only"] = true;
  message = refusal(vae);
  for (const char* part : {"/model is missing: a checkpoint to go on from", "/decoder_only needs the encoder"}) EXPECT_TRUE(contains(message, part));

  Json nothing = tiny_denoising_config("lora");
  nothing.erase("model");
  nothing["data"] = {{"source", "folder"}};
  message = refusal(nothing);
  for (const char* part : {"/model is missing", "/data/path is missing"}) EXPECT_TRUE(contains(message, part));
}

TEST_F(TrainingConfig, DefaultsAreFilledIn) {
  const CheckedConfig checked = check_config(tiny_vae_config(), folder_ / "config.json");
  EXPECT_EQ(checked.kind->name, "vae");
  EXPECT_EQ(checked.config.at("accumulate"), 1);
  EXPECT_EQ(checked.config.at("optimizer").at("beta2"), 0.99);
  EXPECT_EQ(checked.config.at("data").at("texture_share"), 0.0);
  EXPECT_EQ(checked.config.at("loss").at("kl"), 2e-5);
}

TEST(TrainingConfigs, TheCommittedOnesAreRight) {
  const std::filesystem::path root = ATTELIER_SOURCE_DIR;
  int64_t count = 0;
  for (const char* folder : {"assets/mini/training", "assets/mini-controlnet-edges/training", "assets/mini-inpaint/training", "assets/mini-xl/training", "assets/mini-rgt/x2/training", "assets/mini-rgt/x4/training", "assets/mini-biformer/training", "assets/mini-vsa/training", "assets/examples/training", "assets/examples/training/family"})
    for (const auto& entry : std::filesystem::directory_iterator(root / folder)) {
      if (entry.path().extension() != ".json") continue;
      ++count;
      ConfigProblems problems;
      const Json config = read_config(entry.path());
      for (const ObjectiveKind& kind : objective_kinds())
        if (config.at("objective") == kind.name) resolve_config(merged(common_shape(), kind.shape), config, problems);
      EXPECT_NO_THROW(problems.report(entry.path()));
    }
  EXPECT_GE(count, 3);
}

}  // namespace
}  // namespace attelier
