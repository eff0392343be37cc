// Classifiers in training: they learn, resume with their running statistics, are read with their labels; impossible configurations are refused.
#include "core/models/backbones/backbone.h"
#include "core/scenes/single_things.h"
#include "core/scenes/world/characters.h"
#include "core/training/objectives.h"
#include "tests/core/training/training_testing.h"

namespace attelier {
namespace {

class ClassifyTraining : public TrainingTest {
 protected:
  static Json tiny_biformer() {
    return {{"architecture", "biformer"}, {"depth", {1, 1, 1, 1}}, {"embed_dim", {8, 16, 16, 32}}, {"head_dim", 8}, {"n_win", 2}, {"topks", {1, 2, -1, -2}}, {"qk_dims", {8, 16, 16, 32}}, {"mlp_ratios", {2, 2, 2, 2}}};
  }
  static Json tiny_vitae(const char* windows) {
    return {{"architecture", "vitaev2_vsa"}, {"stages", 2}, {"embed_dims", {8, 8}}, {"token_dims", {16, 32}}, {"downsample_ratios", {4, 2}}, {"kernel_size", {7, 3}}, {"dilations", {{1, 2}, {1}}}, {"RC_heads", {1, 2}},
            {"NC_heads", {2, 2}}, {"RC_group", {1, 8}}, {"NC_group", {1, 16}}, {"NC_depth", {1, 1}}, {"mlp_ratio", 2.0}, {"window_size", 4}, {"RC_tokens_type", windows}, {"NC_tokens_type", windows}, {"wide_pcm", false}};
  }
  static Json tiny_config(const Json& backbone) {
    return {{"objective", "classify"}, {"seed", 3}, {"steps", 6}, {"batch", 4}, {"picture_size", 32}, {"kinds", {"car", "tree", "apple"}}, {"pool", 8}, {"fresh", 1}, {"bfloat16", false}, {"output", "run"},
            {"validation_pictures", 6}, {"label_smoothing", 0.05}, {"optimizer", {{"learning_rate", 0.002}, {"warm_up", 1}, {"ema_decay", 0.5}}}, {"backbone", backbone}};
  }
};

TEST_F(ClassifyTraining, LearnsAndIsReadWithItsLabels) {
  for (const Json& backbone : {tiny_biformer(), tiny_vitae("VSA"), tiny_vitae("window")}) {
    Json config = tiny_config(backbone);
    config["steps"] = 60, config["pool"] = 6, config["fresh"] = 0, config["looks"] = {"plain", "flat"};
    std::vector<double> losses;
    Context context;
    context.log = [&](LogLevel, const std::string& text) {
      if (const size_t at = text.find("loss "); at != std::string::npos) losses.push_back(std::stod(text.substr(at + 5)));
    };
    const TrainingResult result = run(config, {.restart = true}, context);
    ASSERT_FALSE(losses.empty());
    EXPECT_LT(result.loss, 0.85 * losses.front());
    ASSERT_EQ(result.metrics.size(), 4u);
    EXPECT_LE(result.metrics[1].value, result.metrics[0].value);
    EXPECT_LE(result.metrics[0].value, result.metrics[2].value);
    EXPECT_EQ(result.metrics[3].name, "accuracy of five");
    EXPECT_EQ(result.metrics[3].value, 1);
    const Json written = Json::parse(read_file(folder_ / "run/model/config.json"));
    EXPECT_EQ(written.at("id2label"), (Json{{"0", "car"}, {"1", "tree"}, {"2", "apple"}}));
    EXPECT_EQ(written.at("label2id").at("apple"), 2);
    const auto model = load_backbone(folder_ / "run/model", at::kCPU, at::kFloat);
    EXPECT_EQ(model->forward(at::zeros({2, 3, 32, 32}), {}).logits.sizes(), (std::vector<int64_t>{2, 3}));
    // Half floats have neither the range nor the precision of running statistics.
    for (const auto& [name, tensor] : read_all(*open_tensors(folder_ / "run/model/model.safetensors"))) {
      const bool statistic = name.ends_with(".running_mean") || name.ends_with(".running_var");
      EXPECT_EQ(tensor.scalar_type(), statistic ? at::kFloat : at::kHalf) << name;
      if (name.ends_with(".running_var")) {
        EXPECT_FALSE(at::equal(tensor, at::ones_like(tensor))) << name;
      }
    }
  }
}

TEST_F(ClassifyTraining, AStoppedRunGoesOnAsIfItHadNotStopped) {
  for (const Json& backbone : {tiny_biformer(), tiny_vitae("VSA")}) {
    run(tiny_config(backbone), {.restart = true});
    const auto whole = state();
    std::filesystem::remove_all(folder_ / "run");
    stop_after(tiny_config(backbone), 3);
    run(tiny_config(backbone), {.resume = true});
    expect_equal(whole, state());
    std::filesystem::remove_all(folder_ / "run");
  }
}

TEST_F(ClassifyTraining, ImpossibleConfigurationsAreRefusedAtOnce) {
  Json config = tiny_config(tiny_biformer());
  config["kinds"] = {"car", "sofa", "car"};
  config["looks"] = {"crayon"};
  config["label_smoothing"] = 1;
  config["picture_size"] = 36;
  const std::string message = refusal(config);
  for (const char* part : {"/kinds names \"sofa\"; there are house", "/looks names \"crayon\"; there are plain", "/label_smoothing is 1", "/picture_size is 36"}) EXPECT_TRUE(contains(message, part)) << message;
  config = tiny_config({{"architecture", "bifomer"}});
  EXPECT_TRUE(contains(refusal(config), "/backbone cannot be used"));
  config = tiny_config(tiny_biformer());
  config["kinds"] = {"car"};
  EXPECT_TRUE(contains(refusal(config), "/kinds names 1 kinds"));
}

TEST_F(ClassifyTraining, CharactersAreToldApartAndFromEverybodyElse) {
  Json config = tiny_config(tiny_biformer());
  config.erase("kinds");
  config["characters"] = {0, 5};
  run(config, {.restart = true});
  const Json labels = Json::parse(read_file(folder_ / "run/model/config.json")).at("id2label");
  EXPECT_EQ(labels, (Json{{"0", world::identity(0).name}, {"1", world::identity(5).name}, {"2", "somebody else"}}));
  std::filesystem::remove_all(folder_ / "run");
  config["characters"] = {3, 3};
  config["kinds"] = {"car", "tree"};
  const std::string message = refusal(config);
  EXPECT_TRUE(contains(message, "/characters")) << message;
  config.erase("kinds");
  EXPECT_TRUE(contains(refusal(config), "/characters has two that are called " + world::identity(3).name));
  config["characters"] = Json::array();
  EXPECT_TRUE(contains(refusal(config), "/characters is empty"));
}

TEST(SingleThings, ShowTheirCharacter) {
  const std::vector<float> first = draw_single_character(2, world::Look::kPlain, 5, 48);
  EXPECT_EQ(first.size(), 48u * 48 * 3);
  EXPECT_EQ(first, draw_single_character(2, world::Look::kPlain, 5, 48));
  EXPECT_NE(first, draw_single_character(3, world::Look::kPlain, 5, 48));
}

TEST(SingleThings, ShowTheirKind) {
  const auto& kinds = subject_kinds();
  EXPECT_GE(kinds.size(), 45u);
  for (const world::Kind kind : {world::Kind::kPerson, world::Kind::kSofa, world::Kind::kWindow}) EXPECT_EQ(std::find(kinds.begin(), kinds.end(), kind), kinds.end());
  const std::vector<float> first = draw_single_thing(world::Kind::kLemon, world::Look::kPlain, 5, 48);
  EXPECT_EQ(first.size(), 48u * 48 * 3);
  EXPECT_EQ(first, draw_single_thing(world::Kind::kLemon, world::Look::kPlain, 5, 48));
  EXPECT_NE(first, draw_single_thing(world::Kind::kLemon, world::Look::kPlain, 6, 48));
  EXPECT_NE(first, draw_single_thing(world::Kind::kLemon, world::Look::kOutline, 5, 48));
  // A lemon is yellow, and large enough.
  int64_t yellow = 0;
  for (size_t i = 0; i < first.size(); i += 3) yellow += first[i] > 0.6f && first[i + 1] > 0.5f && first[i + 2] < 0.45f;
  EXPECT_GE(yellow, 48 * 48 / 60);
}

}  // namespace
}  // namespace attelier
