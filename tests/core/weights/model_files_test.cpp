#include "core/weights/model_files.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/base/files.h"
#include "core/weights/recognise.h"
#include "tests/core/weights/model_files_testing.h"

namespace attelier {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::json;

fs::path model(const std::string& name) { return fixture("model_files/" + name); }

void expect_same(const TensorSource& first, const TensorSource& second) {
  std::vector<std::string> names, others;
  for (const auto& [name, info] : first.tensors()) names.push_back(name);
  for (const auto& [name, info] : second.tensors()) others.push_back(name);
  ASSERT_EQ(names, others);
  for (const auto& [name, info] : first.tensors()) {
    EXPECT_EQ(info.shape, second.tensors().at(name).shape) << name;
    EXPECT_EQ(info.dtype, second.tensors().at(name).dtype) << name;
    EXPECT_TRUE(at::equal(first.read(name), second.read(name))) << name;
    EXPECT_EQ(first.read(name).sizes(), at::IntArrayRef(info.shape)) << name;
  }
}

struct Forms {
  const char* name;
  const char* file;
  std::vector<std::string> components;
  const char* family;
};
const std::vector<Forms> kForms = {{"sd1", "sd1.safetensors", {"text_encoder", "unet", "vae"}, "sd1"},
                                   {"sd2", "sd2.ckpt", {"text_encoder", "unet", "vae"}, "sd2-inpainting"},
                                   {"sdxl", "sdxl.safetensors", {"text_encoder", "text_encoder_2", "unet", "vae"}, "sdxl"},
                                   {"controlnet", "controlnet.safetensors", {"controlnet"}, "controlnet-sd1"}};

TEST(ModelFiles, FolderAndSingleFileGiveTheSameBits) {
  for (const Forms& forms : kForms) {
    SCOPED_TRACE(forms.name);
    const ModelFiles folder(model(forms.name)), file(model(forms.file));
    EXPECT_EQ(file.components(), forms.components);
    EXPECT_EQ(folder.family(), forms.family);
    EXPECT_EQ(file.family(), forms.family);
    for (const std::string& component : forms.components) {
      SCOPED_TRACE(component);
      expect_same(*folder.weights(component), *file.weights(component));
    }
  }
}

TEST(ModelFiles, ConfigsOfSingleFilesAreThoseThatDiffusersWrote) {
  // No tensor tells the groups; the tiny SD1 has other heads than all released ones, and tiny widths have tiny heads.
  const std::vector<std::string> untold = {"norm_num_groups", "num_attention_heads", "sample_size", "attention_head_dim", "architectures", "hidden_act", "eos_token_id",
                                           "bos_token_id", "addition_time_embed_dim"};
  for (const Forms& forms : kForms) {
    const ModelFiles folder(model(forms.name)), file(model(forms.file));
    for (const std::string& component : forms.components) {
      const Json wanted = folder.config(component), made = file.config(component);
      size_t compared = 0;
      for (const auto& [key, value] : made.items()) {
        if (std::find(untold.begin(), untold.end(), key) != untold.end() || (component == "text_encoder" && key == "projection_dim")) continue;
        ++compared;
        Json expected = wanted.value(key, Json());
        if (key == "transformer_layers_per_block" && expected.is_number()) expected = Json(std::vector<Json>(value.size(), expected));
        EXPECT_EQ(value, expected) << forms.name << " " << component << " " << key;
      }
      EXPECT_GT(compared, 4u);
      for (const char* key : {"architectures", "hidden_act"})
        if (wanted.contains("hidden_act")) {
          EXPECT_EQ(made.at(key), wanted.at(key)) << forms.name << " " << component;
        }
    }
  }
}

TEST(ModelFiles, SchedulersOfSingleFiles) {
  EXPECT_EQ(ModelFiles(model("sd1.safetensors")).scheduler_config().at("_class_name"), "PNDMScheduler");
  EXPECT_EQ(ModelFiles(model("sd2.ckpt")).scheduler_config().at("_class_name"), "DDIMScheduler");
  EXPECT_EQ(ModelFiles(model("sdxl.safetensors")).scheduler_config().at("timestep_spacing"), "leading");
  EXPECT_EQ(ModelFiles(model("sdxl")).scheduler_config().at("_class_name"), "EulerDiscreteScheduler");
  const auto prediction = [](const std::string& family, std::map<std::string, TensorInfo> tensors, std::map<std::string, std::string> metadata) {
    return recognise_prediction(ShapesOnly(std::move(tensors), std::move(metadata)), family);
  };
  EXPECT_EQ(prediction("sd1", {}, {}), "epsilon");
  EXPECT_EQ(prediction("sd2", {}, {}), "v_prediction");
  EXPECT_EQ(prediction("sd2", {}, {{"global_step", "875000"}}), "epsilon");
  EXPECT_EQ(prediction("sd2", {}, {{"global_step", "140000"}}), "v_prediction");
  EXPECT_EQ(prediction("sd2-inpainting", {}, {}), "epsilon");
  EXPECT_EQ(prediction("sdxl", {{"v_pred", {}}}, {}), "v_prediction");
  EXPECT_EQ(prediction("sd1", {}, {{"modelspec.prediction_type", "v"}}), "v_prediction");
}

TEST(ModelFiles, InfinitiesAsPythonWritesThem) {
  const TemporaryFolder folder;
  folder.write("scheduler_config.json", R"({"_class_name": "a \"NaN\\", "lambda_min_clipped": -Infinity, "s_tmax": Infinity})");
  const Json config = ModelFiles(folder.path()).scheduler_config();
  EXPECT_EQ(config.at("_class_name"), "a \"NaN\\");
  EXPECT_EQ(config.at("lambda_min_clipped"), "-Infinity");
  EXPECT_EQ(config.at("s_tmax"), "Infinity");
}

TEST(ModelFiles, TokenizersLieInFoldersOnly) {
  EXPECT_EQ(ModelFiles(model("sdxl")).tokenizer_folder("tokenizer_2"), model("sdxl/tokenizer_2"));
  EXPECT_EQ(ModelFiles(model("sd1")).tokenizer_folder(), model("sd1/tokenizer"));
  EXPECT_TRUE(ModelFiles(model("sd1.safetensors")).tokenizer_folder().empty());
}

TEST(ModelFiles, VariantsAndShardsInEverySpelling) {
  const ModelFiles plain(model("sd1"));
  const NamedTensors tensors = all_tensors(*plain.weights("vae"));
  const auto half = static_cast<std::ptrdiff_t>(tensors.size() / 2);
  const NamedTensors first(tensors.begin(), tensors.begin() + half), second(tensors.begin() + half, tensors.end());
  struct Names {
    const char *index, *shard1, *shard2;
  };
  const std::vector<Names> sharded = {
      {"diffusion_pytorch_model.safetensors.index.json", "diffusion_pytorch_model-00001-of-00002.safetensors", "diffusion_pytorch_model-00002-of-00002.safetensors"},
      {"diffusion_pytorch_model.safetensors.index.fp16.json", "diffusion_pytorch_model.fp16-00001-of-00002.safetensors", "diffusion_pytorch_model.fp16-00002-of-00002.safetensors"},
      {"diffusion_pytorch_model.fp16.safetensors.index.json", "model-00001-of-00002.fp16.safetensors", "model-00002-of-00002.fp16.safetensors"}};
  for (const Names& names : sharded) {
    const TemporaryFolder folder;
    link_tree(model("sd1"), folder / "model");
    const fs::path vae = folder / "model/vae";
    fs::remove(vae / "diffusion_pytorch_model.safetensors");
    write_safetensors(vae / names.shard1, first);
    write_safetensors(vae / names.shard2, second);
    Json map;
    for (const auto& [name, tensor] : first) map[name] = names.shard1;
    for (const auto& [name, tensor] : second) map[name] = names.shard2;
    std::ofstream(vae / names.index) << Json{{"metadata", {{"total_size", 1}}}, {"weight_map", map}};
    const ModelFiles files(folder / "model");
    expect_same(*plain.weights("vae"), *files.weights("vae"));
    EXPECT_EQ(files.files().size(), plain.files().size() + 2);
  }
  for (const char* name : {"diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.bf16.safetensors", "anything.safetensors"}) {
    const TemporaryFolder folder;
    link_tree(model("sd1"), folder / "model");
    fs::rename(folder / "model/vae/diffusion_pytorch_model.safetensors", folder / "model/vae" / name);
    expect_same(*plain.weights("vae"), *ModelFiles(folder / "model").weights("vae"));
  }
}

TEST(ModelFiles, OldNamesOfAutoencodersAndTextEncoders) {
  const ModelFiles plain(model("sd1"));
  const TemporaryFolder folder;
  link_tree(model("sd1"), folder / "model");
  NamedTensors vae, text;
  for (auto [name, tensor] : all_tensors(*plain.weights("vae"))) {
    for (const auto& [now, before] : {std::pair{".to_q.", ".query."}, {".to_k.", ".key."}, {".to_v.", ".value."}, {".to_out.0.", ".proj_attn."}})
      if (const size_t place = name.find(now); place != std::string::npos) name.replace(place, std::string(now).size(), before);
    vae.emplace_back(name, tensor);
  }
  for (const auto& [name, tensor] : all_tensors(*plain.weights("text_encoder"))) text.emplace_back(name.substr(std::string("text_model.").size()), tensor);
  text.emplace_back("vision_model.something", at::zeros({2}));
  text.emplace_back("logit_scale", at::zeros({}));
  text.emplace_back("text_projection.weight", at::zeros({16, 16}));
  fs::remove(folder / "model/vae/diffusion_pytorch_model.safetensors");
  fs::remove(folder / "model/text_encoder/model.safetensors");
  write_safetensors(folder / "model/vae/diffusion_pytorch_model.safetensors", vae);
  write_safetensors(folder / "model/text_encoder/model.safetensors", text);
  const ModelFiles old(folder / "model");
  EXPECT_NE(vae[0].first.empty(), true);
  expect_same(*plain.weights("vae"), *old.weights("vae"));
  expect_same(*plain.weights("text_encoder"), *old.weights("text_encoder"));
}

TEST(ModelFiles, OneComponentAlone) {
  const ModelFiles pipeline(model("sdxl"));
  for (const std::string name : {"unet", "vae", "text_encoder_2"}) {
    const ModelFiles folder(model("sdxl") / name);
    EXPECT_EQ(folder.components(), std::vector<std::string>{name});
    expect_same(*pipeline.weights(name), *folder.weights(name));
    EXPECT_EQ(folder.config(name), pipeline.config(name));
  }
  EXPECT_TRUE(ModelFiles(model("sdxl/text_encoder_2")).has("text_encoder"));
  EXPECT_TRUE(ModelFiles(model("sdxl/tokenizer")).has("tokenizer_2"));
  EXPECT_FALSE(ModelFiles(model("sd1")).has("text_encoder_2"));
  EXPECT_EQ(ModelFiles(model("sdxl/scheduler")).scheduler_config(), pipeline.scheduler_config());
  const ModelFiles file(model("sdxl/unet/diffusion_pytorch_model.safetensors"));
  EXPECT_EQ(file.config("unet"), pipeline.config("unet"));
}

TEST(ModelFiles, OneComponentWithoutConfigInEitherSpelling) {
  const TemporaryFolder folder;
  for (const std::string name : {"unet", "vae", "text_encoder"}) {
    fs::create_symlink(model("sd1") / name / (name == "text_encoder" ? "model.safetensors" : "diffusion_pytorch_model.safetensors"), folder / (name + ".safetensors"));
    const ModelFiles file(folder / (name + ".safetensors"));
    EXPECT_EQ(file.components(), std::vector<std::string>{name});
    expect_same(*ModelFiles(model("sd1")).weights(name), *file.weights(name));
  }
  const auto whole = open_tensors(model("sd1.safetensors"));
  for (const auto& [name, prefix] : {std::pair<std::string, std::string>{"unet", "model.diffusion_model."}, {"vae", "first_stage_model."}}) {
    NamedTensors bare;
    for (const auto& [key, tensor] : all_tensors(*whole))
      if (key.starts_with(prefix)) bare.emplace_back(key.substr(prefix.size()), tensor);
    write_safetensors(folder / ("bare_" + name + ".safetensors"), bare);
    expect_same(*ModelFiles(model("sd1")).weights(name), *ModelFiles(folder / ("bare_" + name + ".safetensors")).weights(name));
  }
}

TEST(ModelFiles, NoWeightIsHeldTwice) {
  const ModelFiles file(model("sdxl.safetensors"));
  const auto text = file.weights("text_encoder_2");
  const std::string base = "text_model.encoder.layers.0.self_attn.";
  const auto* q = static_cast<const char*>(text->read(base + "q_proj.weight").const_data_ptr());
  const auto* k = static_cast<const char*>(text->read(base + "k_proj.weight").const_data_ptr());
  EXPECT_EQ(k - q, 16 * 16 * 2) << "the thirds of the packed projection are not views of the file";
  EXPECT_EQ(file.weights("unet")->read("conv_in.weight").const_data_ptr(), file.weights("unet")->read("conv_in.weight").const_data_ptr());
}

TEST(ModelFiles, HashIdentifiesTheBytesAndIsRemembered) {
  const TemporaryFolder folder;
  const Environment cache("XDG_CACHE_HOME", (folder / "cache").string());
  EXPECT_EQ(ModelFiles(model("sd1.safetensors")).hash(), sha256_file(model("sd1.safetensors")));

  int64_t read = 0;
  Context context;
  context.progress = [&](const Progress& progress) { read = progress.done; };
  const ModelFiles sd1(model("sd1"));
  const std::string hash = sd1.hash(&context);
  EXPECT_EQ(read, sd1.bytes());
  read = 0;
  EXPECT_EQ(sd1.hash(&context), hash);
  EXPECT_EQ(read, 0) << "files were read again";
  EXPECT_EQ(sd1.hash_again(&context), hash);
  EXPECT_EQ(read, sd1.bytes());

  fs::copy(model("sd1"), folder / "copy", fs::copy_options::recursive);
  EXPECT_EQ(ModelFiles(folder / "copy").hash(), hash) << "the hash depends on the place";
  {
    std::fstream file(folder / "copy/vae/diffusion_pytorch_model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('\x3f');
  }
  EXPECT_NE(ModelFiles(folder / "copy").hash(), hash);
  std::ofstream(folder / "cache/attelier/hashes.json") << "{ damaged";
  EXPECT_EQ(sd1.hash(), hash);

  std::stop_source stop;
  stop.request_stop();
  Context stopped;
  stopped.stop = stop.get_token();
  EXPECT_THROW(sd1.hash_again(&stopped), Interrupted);
}

std::string error_of(const fs::path& path) {
  return message_of(ExitCode::kModel, [&] { ModelFiles files(path); });
}

TEST(ModelFiles, ErrorsSayWhatIsWrongAndWhatToDo) {
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(error_of(folder / "nothing"), "does not exist"));
  EXPECT_TRUE(contains(error_of(folder.path()), "neither model_index.json"));
  write_safetensors(folder / "weights.safetensors", {{"layer.weight", at::zeros({2})}});
  EXPECT_TRUE(contains(error_of(folder.path()), "weights.safetensors"));
  EXPECT_TRUE(contains(error_of(folder / "weights.safetensors"), "\"layer.weight\""));
  EXPECT_TRUE(contains(error_of(folder.write("picture.png", "\x89PNG\r\n\x1a\n and so on, and so on")), "picture.png"));
  EXPECT_TRUE(contains(error_of(fixture("lora/kohya.safetensors")), "--lora"));

  write_safetensors(folder / "flux.safetensors", {{"model.diffusion_model.double_blocks.0.img_attn.qkv.weight", at::zeros({2})}});
  EXPECT_TRUE(contains(error_of(folder / "flux.safetensors"), "none of SD1, SD2 and SDXL"));
  write_safetensors(folder / "refiner.safetensors",
                    {{"model.diffusion_model.input_blocks.0.0.weight", at::zeros({2})}, {"conditioner.embedders.0.model.ln_final.weight", at::zeros({2})}});
  EXPECT_TRUE(contains(error_of(folder / "refiner.safetensors"), "refiner"));

  folder.write("config.json", "{\"_class_name\": \"Transformer3D\"}");
  EXPECT_TRUE(contains(error_of(folder.path()), "\"_class_name\": \"Transformer3D\""));
  folder.write("config.json", "{}");
  EXPECT_TRUE(contains(error_of(folder.path()), "does not say which model"));
  folder.write("config.json", "{\"a\": ");
  EXPECT_TRUE(contains(error_of(folder.path()), "not valid JSON"));
  folder.write("config.json", "[1]");
  EXPECT_TRUE(contains(error_of(folder.path()), "JSON object"));
}

TEST(ModelFiles, MissingPartsOfAFolder) {
  const TemporaryFolder folder;
  link_tree(model("sd1"), folder / "model");
  fs::remove_all(folder / "model/vae");
  fs::remove_all(folder / "model/scheduler");
  fs::remove(folder / "model/unet/diffusion_pytorch_model.safetensors");
  const ModelFiles files(folder / "model");
  const auto weights = [&](const std::string& name) { return message_of(ExitCode::kModel, [&] { files.weights(name); }); };
  EXPECT_TRUE(contains(weights("vae"), "model_index.json lists \"vae\""));
  EXPECT_TRUE(contains(weights("unet"), "holds no weights"));
  EXPECT_TRUE(contains(weights("depth"), "it has text_encoder, tokenizer, unet"));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { files.scheduler_config(); }), "scheduler"));
  const NamedTensors one = {{"a", at::zeros({1})}};
  write_safetensors(folder / "model/unet/x-00001-of-00002.safetensors", one);
  EXPECT_TRUE(contains(weights("unet"), "no index"));
  write_safetensors(folder / "model/unet/first.safetensors", one);
  write_safetensors(folder / "model/unet/second.safetensors", one);
  EXPECT_TRUE(contains(weights("unet"), "first.safetensors, second.safetensors"));
  fs::remove(folder / "model/unet/config.json");
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { ModelFiles(folder / "model").config("unet"); }), "unet"));
}

TEST(ModelFiles, IncompleteSingleFilesNameTheMissingTensor) {
  const TemporaryFolder folder;
  NamedTensors tensors;
  for (auto& [name, tensor] : all_tensors(*open_tensors(model("sd1.safetensors"))))
    if (name != "model.diffusion_model.middle_block.1.proj_in.weight") tensors.emplace_back(name, tensor);
  write_safetensors(folder / "cut.safetensors", tensors);
  EXPECT_TRUE(contains(error_of(folder / "cut.safetensors"), "\"mid_block.attentions.0.proj_in.weight\" is missing"));
}

TEST(ModelFiles, TwoTensorsOfOneNameAreRefused) {
  const TemporaryFolder folder;
  NamedTensors tensors = all_tensors(*open_tensors(model("sd1.safetensors")));
  tensors.emplace_back("cond_stage_model.transformer.final_layer_norm.bias", at::zeros({16}));
  write_safetensors(folder / "twice.safetensors", tensors);
  EXPECT_TRUE(contains(error_of(folder / "twice.safetensors"), "are both the model's \"text_model.final_layer_norm.bias\""));
}

}  // namespace
}  // namespace attelier
