// Each objective on a tiny checkpoint: it learns, its file is what the rest of the program reads, and a stopped run goes on as if it had not stopped.
#include "core/training/objectives.h"

#include <c10/core/GradMode.h>

#include "core/diffusion/diffusion_model.h"
#include "core/models/unet.h"
#include "core/training/lora_layers.h"
#include "core/weights/load.h"
#include "core/weights/lora.h"
#include "tests/core/training/training_testing.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class Objectives : public TrainingTest {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "pictures");
    for (int i = 0; i < 4; ++i) save_image(folder_ / fmt::format("pictures/{}.png", i), to_image(at::full({1, 3, 16, 16}, 0.2 * i)));
  }
  Json folder_config(const std::string& objective) const {
    Json config = tiny_denoising_config(objective);
    config["data"] = {{"source", "folder"}, {"path", "pictures"}, {"caption", "a red ball"}};
    return config;
  }
  /// Runs to the end, then again with a stop on the way; the states must be equal.
  void expect_resumable(const Json& config) {
    run(config);
    const auto whole = state();
    fs::remove_all(folder_ / "run");
    stop_after(config, 3);
    run(config, {.resume = true});
    expect_equal(whole, state());
  }
  /// The "noise error" of the first and of the last state.
  std::pair<double, double> errors(Json config, int64_t steps, double rate) {
    config["optimizer"]["learning_rate"] = rate;
    config["optimizer"]["ema_decay"] = 0.5;
    config["validation_pictures"] = 8, config["caption_dropout"] = 0, config["batch"] = 4;
    config["steps"] = 1;
    config["optimizer"]["warm_up"] = 1000000;  // a first step of nothing
    const double before = run(config).metrics.at(0).value;
    config["optimizer"]["warm_up"] = 1, config["steps"] = steps;
    const double after = run(config, {.restart = true}).metrics.at(0).value;
    return {before, after};
  }
};

TEST_F(Objectives, LoraLearnsAndEverythingElseReadsIt) {
  Json config = folder_config("lora");
  config["rank"] = 4, config["alpha"] = 8, config["train_text_encoder"] = true;
  const auto [before, after] = errors(config, 40, 0.003);
  EXPECT_LT(after, 0.93 * before);

  const Lora lora = Lora::open(folder_ / "run/model/lora.safetensors");
  DiffusionModel model(tiny_base(), at::kCPU, at::kFloat);
  const std::vector<LoraTarget> targets = {{"unet", &model.unet()}, {"text_encoder", &model.text_encoder()}};
  const AppliedLoras applied(targets, {{&lora}}, LoraMode::kRunTime);
  EXPECT_EQ(applied.reports()[0].unmatched.size(), 0u);
  EXPECT_EQ(applied.reports()[0].applied, lora.layers().size());
  EXPECT_EQ(lora.layers().size(), 16u * 2 * 4 + 2 * 4);
  for (const LoraLayer& layer : lora.layers()) EXPECT_EQ(layer.scale, 2);
}

TEST_F(Objectives, FineTuningLearnsAndKeepsWhatIsAround) {
  const auto weights = [](const fs::path& folder, const char* component) {
    std::map<std::string, at::Tensor> all;
    for (const char* name : {"diffusion_pytorch_model.safetensors", "model.safetensors"}) {
      if (!fs::exists(folder / component / name)) continue;
      const auto file = open_tensors(folder / component / name);
      for (const auto& [key, info] : file->tensors()) all[key] = file->read(key).to(at::kHalf).clone();
    }
    return all;
  };
  const auto changed = [&](const char* component, const std::map<std::string, at::Tensor>& before) {
    const auto after = weights(folder_ / "run/model", component);
    EXPECT_EQ(after.size(), before.size());
    size_t count = 0;
    for (const auto& [name, tensor] : before) count += !at::equal(tensor, after.at(name));
    return count;
  };
  const auto unet = weights(tiny_base(), "unet"), text = weights(tiny_base(), "text_encoder"), vae = weights(tiny_base(), "vae");
  Json config = folder_config("fine_tune");
  const auto [before, after] = errors(config, 40, 0.002);
  EXPECT_LT(after, 0.93 * before);
  EXPECT_GT(changed("unet", unet), unet.size() * 9 / 10);
  EXPECT_EQ(changed("text_encoder", text), 0u) << "nobody asked for it";
  EXPECT_EQ(changed("vae", vae), 0u);
  config["train_text_encoder"] = true, config["caption_dropout"] = 0;
  run(config, {.restart = true});
  EXPECT_GT(changed("text_encoder", text), text.size() / 2);
  EXPECT_EQ(weights(tiny_base(), "unet").at("conv_in.weight").equal(unet.at("conv_in.weight")), true) << "the checkpoint itself is only read";
  EXPECT_NO_THROW(DiffusionModel(folder_ / "run/model", at::kCPU, at::kFloat));
  fs::remove_all(folder_ / "run");
  expect_resumable(config);
}

TEST_F(Objectives, ALoraKeepsItsAlpha) {
  Json config = folder_config("lora");
  config["rank"] = 4, config["alpha"] = 0.1, config["steps"] = 1;
  run(config);
  const Lora lora = Lora::open(folder_ / "run/model/lora.safetensors");
  for (const LoraLayer& layer : lora.layers()) EXPECT_NEAR(layer.scale, 0.1 / 4, 1e-8);
}

TEST_F(Objectives, ThePoolFitsTheFolder) {
  Json config = folder_config("lora");
  config.erase("pool");
  config["steps"] = 1;
  int64_t encoded = 0;
  Context context;
  context.progress = [&](const Progress& progress) {
    if (progress.stage == "encoding") encoded = progress.total;
  };
  run(config, {}, context);
  EXPECT_EQ(encoded, 4 * 4) << "four of each picture";
  config["data"] = {{"source", "small_world"}};
  struct Enough {};
  context.progress = [&](const Progress& progress) {
    encoded = progress.total;
    throw Enough();
  };
  EXPECT_THROW(run(config, {.restart = true}, context), Enough);
  EXPECT_EQ(encoded, 2048);
}

TEST_F(Objectives, SayWhichPicturesLackACaption) {
  const auto warnings = [&](const Json& config) {
    std::string text;
    Context context;
    context.log = [&](LogLevel level, const std::string& line) {
      if (level == LogLevel::kWarning) text += line + "\n";
    };
    run(config, {.restart = true}, context);
    return text;
  };
  Json config = folder_config("lora");
  config["steps"] = 2;
  EXPECT_EQ(warnings(config), "");
  config["data"].erase("caption");
  folder_.write("pictures/0.txt", "a red ball");
  const std::string some = warnings(config);
  EXPECT_TRUE(contains(some, "3 of 4 pictures have no caption"));
  EXPECT_TRUE(contains(some, "1.png"));
  EXPECT_EQ(std::count(some.begin(), some.end(), '\n'), 1) << "once";
  fs::remove(folder_ / "pictures/0.txt");
  EXPECT_TRUE(contains(warnings(config), "2.png, ..."));
  config["caption_dropout"] = 1;
  EXPECT_EQ(warnings(config), "") << "captions are not wanted";
  Json without_text = tiny_vae_config();
  without_text["data"] = config["data"];
  EXPECT_EQ(warnings(without_text), "");
}

TEST_F(Objectives, FiguresSayOnWhatTheyWereMeasured) {
  Json config = folder_config("lora");
  config["steps"] = 1;
  EXPECT_EQ(run(config).metrics.at(0).name, "noise error of training pictures");
  config["data"] = {{"source", "small_world"}};
  EXPECT_EQ(run(config, {.restart = true}).metrics.at(0).name, "noise error");
}

TEST_F(Objectives, AStopDuringTheExportLosesNothing) {
  Json config = tiny_denoising_config("lora");
  config["data"] = {{"source", "small_world"}}, config["steps"] = 1;
  std::stop_source source;
  source.request_stop();
  Context stopped;
  stopped.stop = source.get_token();
  const auto is_saved = [&](const TrainingOptions& options) {
    try {
      run(config, options, stopped);
    } catch (const StateSaved&) {
      return true;
    } catch (const Interrupted&) {
      return false;
    }
    ADD_FAILURE() << "it was not stopped";
    return false;
  };
  EXPECT_FALSE(is_saved({})) << "before the first step there is nothing to save";
  run(config);
  EXPECT_TRUE(is_saved({.resume = true}));
  EXPECT_TRUE(is_saved({.export_only = true}));
  config["data"] = {{"source", "folder"}, {"path", "pictures"}};
  EXPECT_TRUE(is_saved({.resume = true})) << "while the pictures are looked at";
}

TEST_F(Objectives, BothNamingsOfALoraAreTheSameLora) {
  Json config = folder_config("lora");
  config["steps"] = 3, config["targets"] = {"to_q", "to_out.0", "conv1", "proj_in"}, config["alpha"] = 2;
  std::map<std::string, at::Tensor> outputs;
  DiffusionModel model(tiny_base(), at::kCPU, at::kFloat);
  model.unet().to(at::kCPU, at::kFloat);
  UNetInputs inputs;
  inputs.sample = at::randn({1, 4, 8, 8}, make_generator(1), at::kFloat);
  inputs.timestep = at::full({1}, 500.0f);
  inputs.encoder_hidden_states = at::randn({1, 77, 32}, make_generator(2), at::kFloat);
  const auto output = [&] {
    const c10::NoGradGuard no_grad;
    return model.unet().forward(inputs, {});
  };
  outputs["none"] = output();
  for (const char* naming : {"kohya", "diffusers"}) {
    config["naming"] = naming;
    run(config, {.restart = true});
    const Lora lora = Lora::open(folder_ / "run/model/lora.safetensors");
    const AppliedLoras applied({{"unet", &model.unet()}}, {{&lora}}, LoraMode::kMerged);
    EXPECT_TRUE(applied.reports()[0].unmatched.empty());
    outputs[naming] = output();
  }
  EXPECT_TRUE(at::equal(outputs["kohya"], outputs["diffusers"]));
  EXPECT_FALSE(at::allclose(outputs["kohya"], outputs["none"], 1e-3, 1e-5));
}

TEST_F(Objectives, ALoraLeavesTheCheckpointAsItWas) {
  DiffusionModel model(tiny_base(), at::kCPU, at::kFloat);
  UNet& unet = model.unet();
  unet.to(at::kCPU, at::kFloat);
  UNetInputs inputs;
  inputs.sample = at::randn({1, 4, 8, 8}, make_generator(1), at::kFloat);
  inputs.timestep = at::full({1}, 10.0f);
  inputs.encoder_hidden_states = at::randn({1, 77, 32}, make_generator(2), at::kFloat);
  const at::Tensor before = unet.forward(inputs, {});
  {
    LoraLayers layers({{"unet", &unet}}, {"to_q", "to_v"}, 2, 2);
    layers.initialise_layers(make_generator(1), at::kCPU);
    layers.attach();
    EXPECT_TRUE(at::equal(unet.forward(inputs, {}), before)) << "up starts at zero";
    for (const nn::NamedParameter& entry : layers.named_parameters()) entry.parameter->value.fill_(0.1);
    EXPECT_FALSE(at::allclose(unet.forward(inputs, {}), before));
  }
  EXPECT_TRUE(at::equal(unet.forward(inputs, {}), before));
}

TEST_F(Objectives, LoraIsResumable) { expect_resumable(folder_config("lora")); }

TEST_F(Objectives, InpaintingStartsAsTheCheckpointAndLearns) {
  Json config = folder_config("inpainting");
  config["masks"] = {"rectangle", "stroke"};
  const auto [before, after] = errors(config, 40, 0.001);
  EXPECT_LT(after, 0.9 * before);

  // A pipeline of its own, with 2 * 4 + 1 channels.
  DiffusionModel model(folder_ / "run/model", at::kCPU, at::kFloat);
  EXPECT_EQ(model.files().family(), "sd1-inpainting");
  EXPECT_EQ(model.unet().config().in_channels, 9);
  EXPECT_TRUE(contains(read_file(folder_ / "run/model/model_index.json"), "StableDiffusionInpaintPipeline"));
  EXPECT_FALSE(model.encode_prompt("a red ball", {}, {}).embeds.numel() == 0);
  // It can be trained on.
  config["model"] = (folder_ / "run/model").string(), config["output"] = "again", config["steps"] = 1;
  EXPECT_EQ(run(config).steps, 1);
}

TEST_F(Objectives, TheFirstConvolutionOfAnInpaintingUNetIsExtendedByZeros) {
  Json config = folder_config("inpainting");
  config["steps"] = 1, config["optimizer"] = {{"learning_rate", 1e-12}, {"weight_decay", 0}};
  run(config);
  UNet original(UNetConfig::from_json(Json::parse(read_file(tiny_base() / "unet/config.json"))));
  load_weights(original, *open_tensors(tiny_base() / "unet/diffusion_pytorch_model.safetensors"), at::kCPU, at::kFloat);
  const auto trained = state();
  for (const nn::NamedParameter& entry : original.named_parameters()) {
    const at::Tensor& now = trained.at("model." + entry.name);
    const bool first = entry.name == "conv_in.weight";
    EXPECT_TRUE(at::allclose(first ? now.slice(1, 0, 4) : now, entry.parameter->value, 0, 1e-9)) << entry.name;
    if (first) {
      EXPECT_LT(now.slice(1, 4).abs().max().item<double>(), 1e-9);
    }
  }
}

TEST_F(Objectives, InpaintingIsResumable) { expect_resumable(folder_config("inpainting")); }

TEST_F(Objectives, ControlNetStartsAsNothingAndLearnsFromTheWorld) {
  Json config = tiny_denoising_config("controlnet");
  config["data"] = {{"source", "world"}, {"looks", {"plain"}}};
  config["conditioning_channels"] = {8, 16};
  config["pool"] = 6, config["fresh"] = 0, config["condition"] = "depth";
  const auto [before, after] = errors(config, 30, 0.002);
  EXPECT_LT(after, 0.95 * before);
  const auto net = load_controlnet(folder_ / "run/model", at::kCPU, at::kFloat);
  EXPECT_EQ(net->config().conditioning_channels, (std::vector<int64_t>{8, 16}));
}

TEST_F(Objectives, AnUntrainedControlNetChangesNothing) {
  Json config = folder_config("controlnet");
  config["condition"] = "given", config["conditioning_channels"] = {8, 16};
  std::string lines;
  for (int i = 0; i < 4; ++i) lines += fmt::format("{{\"file_name\": \"{}.png\", \"text\": \"a ball\", \"conditioning_image\": \"{}.png\"}}\n", i, 3 - i);
  folder_.write("pictures/metadata.jsonl", lines);
  config["steps"] = 1, config["optimizer"] = {{"learning_rate", 1e-12}, {"weight_decay", 0}};
  run(config);
  const auto net = load_controlnet(folder_ / "run/model", at::kCPU, at::kFloat);
  UNetInputs inputs;
  inputs.sample = at::randn({1, 4, 8, 8}, make_generator(1), at::kFloat);
  inputs.timestep = at::full({1}, 500.0f);
  inputs.encoder_hidden_states = at::randn({1, 77, 32}, make_generator(2), at::kFloat);
  const c10::NoGradGuard no_grad;
  const ControlNetResiduals residuals = net->forward(inputs, at::rand({1, 3, 16, 16}), 1, false, {});
  for (const at::Tensor& one : residuals.down) EXPECT_LT(one.abs().max().item<double>(), 1e-6);
  EXPECT_LT(residuals.mid.abs().max().item<double>(), 1e-6);
  config["data"]["path"] = "pictures";
  folder_.write("pictures/metadata.jsonl", "{\"file_name\": \"0.png\", \"text\": \"a ball\"}\n");
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run(config, {.restart = true}); }), "conditioning_image"));
  EXPECT_TRUE(fs::exists(folder_ / "run/state.safetensors")) << "a restart that is refused costs nothing";
}

TEST_F(Objectives, AControlNetReadsSeveralKindsAndIsTrainedFurther) {
  Json config = tiny_denoising_config("controlnet");
  config["data"] = {{"source", "small_world"}}, config["conditions"] = {"canny", "depth"}, config["conditioning_channels"] = {8, 16};
  config["down_block_types"] = {"DownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"};
  run(config);
  fs::rename(folder_ / "run/model", folder_ / "first");
  const auto first = open_tensors(folder_ / "first/diffusion_pytorch_model.safetensors");
  for (const auto& [name, info] : first->tensors()) EXPECT_FALSE(name.starts_with("down_blocks") && contains(name, "attentions")) << name;
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] {
    Json both = config;
    both["start"] = "first", both["conditions"] = {"canny", "poem"};
    run(both, {.restart = true});
  }), "/conditions names \"poem\""));
  config.erase("down_block_types"), config.erase("conditioning_channels");
  config["start"] = "first", config["steps"] = 1, config["optimizer"] = {{"learning_rate", 1e-12}, {"weight_decay", 0}};
  run(config, {.restart = true});
  const auto second = open_tensors(folder_ / "run/model/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(first->tensors().size(), second->tensors().size());
  for (const auto& [name, info] : first->tensors()) EXPECT_TRUE(at::equal(first->read(name), second->read(name))) << name;
}

TEST_F(Objectives, ControlNetIsResumable) {
  Json config = tiny_denoising_config("controlnet");
  config["data"] = {{"source", "world"}}, config["condition"] = "edges", config["conditioning_channels"] = {8, 16};
  expect_resumable(config);
}

Json tiny_text_to_image_config() {
  Json config = tiny_denoising_config("text_to_image");
  config.erase("model");
  config["vae"] = (tiny_base() / "vae").string(), config["picture_size"] = 16, config["merges"] = 40, config["prediction"] = "v_prediction";
  config["data"] = {{"source", "small_world"}, {"texture_share", 0.2}};
  config["text_encoder"] = {{"hidden_size", 16}, {"num_hidden_layers", 1}, {"num_attention_heads", 2}, {"intermediate_size", 32}, {"max_position_embeddings", 77}};
  config["unet"] = {{"block_out_channels", {8, 16}}, {"layers_per_block", 1}, {"norm_num_groups", 4}, {"attention_head_dim", 2}, {"down_block_types", {"CrossAttnDownBlock2D", "DownBlock2D"}}, {"up_block_types", {"UpBlock2D", "CrossAttnUpBlock2D"}}};
  config["sheet"] = {"a red house"};
  return config;
}

TEST_F(Objectives, AnExportThatFailsHalfWayLeavesNoHalfModel) {
  const Json config = tiny_text_to_image_config();
  Context context;
  context.progress = [&](const Progress& progress) {
    if (progress.stage == "training" && progress.done == 6) fs::remove_all(folder_ / "run/tokenizer");  // which is copied after the autoencoder
  };
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run(config, {}, context); }), "--export"));
  for (const auto& entry : fs::directory_iterator(folder_ / "run")) EXPECT_FALSE(entry.path().filename().string().starts_with("model")) << entry.path();
  run(config, {.resume = true});
  EXPECT_NO_THROW(DiffusionModel(folder_ / "run/model", at::kCPU, at::kFloat));
}

TEST_F(Objectives, ADecoderIsTrainedFurtherAndLatentsKeepTheirMeaning) {
  Json config = tiny_vae_config();
  config.erase("vae");
  config["model"] = tiny_base().string(), config["decoder_only"] = true;
  run(config);
  const auto before = open_tensors(tiny_base() / "vae/diffusion_pytorch_model.safetensors"), after = open_tensors(folder_ / "run/model/vae/diffusion_pytorch_model.safetensors");
  size_t changed = 0, kept = 0;
  for (const auto& [name, info] : before->tensors()) {
    const bool equal = at::equal(before->read(name).to(at::kHalf), after->read(name).to(at::kHalf)), encodes = name.starts_with("encoder.") || name.starts_with("quant_conv.");
    EXPECT_TRUE(equal || !encodes) << name;
    (equal ? kept : changed) += 1;
  }
  EXPECT_GT(changed, 10u);
  EXPECT_GT(kept, 10u);
  EXPECT_EQ(ModelFiles(folder_ / "run/model").config("vae").at("scaling_factor"), ModelFiles(tiny_base()).config("vae").at("scaling_factor"));
  fs::remove_all(folder_ / "run");
  config["decoder_only"] = false;
  expect_resumable(config);
  EXPECT_FALSE(at::equal(before->read("encoder.conv_in.weight").to(at::kHalf), open_tensors(folder_ / "run/model/vae/diffusion_pytorch_model.safetensors")->read("encoder.conv_in.weight").to(at::kHalf)));
}

TEST_F(Objectives, ARestartLearnsItsOwnWords) {
  Json config = tiny_text_to_image_config();
  config["steps"] = 1;
  const auto entries = [&] { return Json::parse(read_file(folder_ / "run/model/tokenizer/vocab.json", 1 << 20)).size(); };
  run(config);
  const size_t before = entries();
  config["merges"] = config["merges"].get<int>() + 20;
  run(config, {.restart = true});
  EXPECT_EQ(entries(), before + 20);
}

TEST_F(Objectives, TextToImageFromNothingWithVelocity) {
  Json config = tiny_text_to_image_config();
  expect_resumable(config);
  const DiffusionModel model(folder_ / "run/model", at::kCPU, at::kFloat);
  EXPECT_EQ(model.scheduler()->prediction_type(), "v_prediction");

  // Computing blocks again in the backward pass changes no more than the last digits.
  const auto plain = state();
  config["recompute"] = true;
  run(config, {.restart = true});
  const auto again = state();
  for (const auto& [name, tensor] : plain) {
    if (!name.starts_with("moment1.")) continue;
    EXPECT_LE((again.at(name) - tensor).norm().item<double>(), 1e-3 * tensor.norm().item<double>() + 1e-9) << name;
  }
}

TEST_F(Objectives, TextToImageWithTwoEncodersIsAnSdxl) {
  Json config = tiny_text_to_image_config();
  config["prediction"] = "epsilon";
  config["text_encoder_2"] = {{"hidden_size", 24}, {"num_hidden_layers", 2}, {"num_attention_heads", 2}, {"intermediate_size", 32}, {"max_position_embeddings", 77}, {"projection_dim", 20}, {"hidden_act", "gelu"}};
  config["unet"]["addition_time_embed_dim"] = 8;
  expect_resumable(config);
  DiffusionModel model(folder_ / "run/model", at::kCPU, at::kFloat);
  EXPECT_EQ(model.files().family(), "sdxl");
  EXPECT_TRUE(model.is_xl() && model.zeros_for_empty_prompt());
  EXPECT_EQ(model.unet().config().cross_attention_dim, 16 + 24);
  EXPECT_EQ(model.unet().config().addition_input_dim, 20 + 6 * 8);
  EXPECT_EQ(model.encode_prompt("a red house", {}, {}).pooled.size(1), 20);

  // What the program reads of a prompt is what the training told: going on with it as a checkpoint, nothing learnt, gives the same error.
  config["steps"] = 1, config["caption_dropout"] = 0;
  config["optimizer"] = {{"learning_rate", 1e-12}, {"weight_decay", 0}, {"ema_decay", 0}};
  const double made = run(config, {.restart = true}).metrics.at(0).value;
  fs::rename(folder_ / "run/model", folder_ / "made");
  Json further = tiny_denoising_config("fine_tune");
  further["model"] = "made", further["data"] = config["data"], further["steps"] = 1, further["optimizer"] = config["optimizer"];
  EXPECT_NEAR(run(further, {.restart = true}).metrics.at(0).value, made, 2e-3 * made);
}

}  // namespace
}  // namespace attelier
