// Full-size models by names and shapes alone: counts, and single files in the authors' naming read back as the modules name them.
#include <gtest/gtest.h>

#include "core/models/text_encoder.h"
#include "core/models/unet.h"
#include "core/models/vae.h"
#include "core/weights/key_maps.h"
#include "core/weights/layouts.h"
#include "core/weights/lora_names.h"
#include "core/weights/recognise.h"
#include "tests/core/weights/model_files_testing.h"

namespace attelier {
namespace {

UNetConfig sd1() { return {}; }

UNetConfig sd1_inpainting() {
  UNetConfig config;
  config.in_channels = 9;
  return config;
}

UNetConfig sd2() {
  UNetConfig config;
  config.sample_size = 96;
  config.heads = {5, 10, 20, 20};
  config.cross_attention_dim = 1024;
  config.linear_projection = true;
  return config;
}

UNetConfig sdxl() {
  UNetConfig config;
  config.sample_size = 128;
  config.block_out_channels = {320, 640, 1280};
  config.down_attention = {false, true, true};
  config.up_attention = {true, true, false};
  config.transformer_layers = {1, 2, 10};
  config.heads = {5, 10, 20};
  config.cross_attention_dim = 2048;
  config.linear_projection = true;
  config.text_time_embedding = true;
  return config;
}

struct Network {
  const char* family;
  UNetConfig config;
  int64_t parameters;
  size_t tensors;
};
const std::vector<Network> kNetworks = {{"sd1", sd1(), 859'520'964, 686},
                                        {"sd1-inpainting", sd1_inpainting(), 859'535'364, 686},
                                        {"sd2", sd2(), 865'910'724, 686},
                                        {"sdxl", sdxl(), 2'567'463'684, 1680}};

TextEncoderConfig clip_l() { return {}; }
TextEncoderConfig clip_h() {
  TextEncoderConfig config;
  config.width = 1024, config.layers = 23, config.heads = 16, config.intermediate = 4096, config.quick_gelu = false;
  return config;
}
TextEncoderConfig clip_big_g() {
  TextEncoderConfig config;
  config.width = 1280, config.layers = 32, config.heads = 20, config.intermediate = 5120, config.quick_gelu = false, config.projection = 1280;
  return config;
}

std::map<std::string, TensorInfo> shapes_of(nn::Module& module) {
  std::map<std::string, TensorInfo> shapes;
  for (const auto& [name, parameter] : module.named_parameters()) shapes[name] = {at::kHalf, parameter->shape};
  return shapes;
}

void expect_counts(nn::Module& module, int64_t parameters, size_t tensors) {
  EXPECT_EQ(module.parameter_count(), parameters);
  EXPECT_EQ(module.named_parameters().size(), tensors);
}

void expect_same_shapes(const std::map<std::string, TensorInfo>& first, const std::map<std::string, TensorInfo>& second) {
  ASSERT_EQ(first.size(), second.size());
  for (auto one = first.begin(), two = second.begin(); one != first.end(); ++one, ++two) {
    EXPECT_EQ(one->first, two->first);
    EXPECT_EQ(one->second.shape, two->second.shape) << one->first;
  }
}

TEST(FullSize, ParameterAndTensorCounts) {
  for (const Network& network : kNetworks) {
    SCOPED_TRACE(network.family);
    UNet unet(network.config);
    expect_counts(unet, network.parameters, network.tensors);
  }
  Vae vae{VaeConfig()};
  expect_counts(vae, 83'653'863, 248);
  TextEncoder l(clip_l()), h(clip_h()), g(clip_big_g());
  expect_counts(l, 123'060'480, 196);
  expect_counts(h, 340'387'840, 372);
  expect_counts(g, 694'659'840, 517);
  ControlNet controlnet{ControlNetConfig()};
  expect_counts(controlnet, 361'279'120, 340);
}

TEST(FullSize, UNetsInTheAuthorsNamesAreRecognised) {
  for (const Network& network : kNetworks) {
    SCOPED_TRACE(network.family);
    UNet unet(network.config);
    const auto shapes = shapes_of(unet);
    const KeyMap map = unet_key_map(UNetStructure::from_diffusers(names_of(shapes)));
    std::map<std::string, TensorInfo> file;
    for (const auto& [name, info] : shapes) {
      const auto original = map.to_original(name);
      ASSERT_TRUE(original) << name;
      EXPECT_TRUE(file.emplace("model.diffusion_model." + *original, info).second) << *original << " twice";
    }
    const auto found = find_components(std::make_shared<ShapesOnly>(file));
    ASSERT_EQ(found.size(), 1u);
    expect_same_shapes(found.at("unet")->tensors(), shapes);
    EXPECT_EQ(recognise_family(*found.at("unet")), network.family);
    const std::string prediction = recognise_prediction(ShapesOnly(file), network.family);
    const auto config = recognise_config("unet", *found.at("unet"), defaults_of(network.family, prediction));
    EXPECT_EQ(UNetConfig::from_json(config).to_json(), network.config.to_json());
  }
}

// A few names that every user of these files knows, so that the table is not only compared with itself.
TEST(FullSize, WellKnownNames) {
  UNet unet(sd1()), xl(sdxl());
  const KeyMap map = unet_key_map(UNetStructure::from_diffusers(names_of(shapes_of(unet)))), map_xl = unet_key_map(UNetStructure::from_diffusers(names_of(shapes_of(xl))));
  const std::vector<std::pair<const char*, const char*>> names = {
      {"input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight", "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"},
      {"input_blocks.3.0.op.bias", "down_blocks.0.downsamplers.0.conv.bias"},
      {"input_blocks.4.0.skip_connection.weight", "down_blocks.1.resnets.0.conv_shortcut.weight"},
      {"input_blocks.11.0.in_layers.2.weight", "down_blocks.3.resnets.1.conv1.weight"},
      {"middle_block.2.emb_layers.1.weight", "mid_block.resnets.1.time_emb_proj.weight"},
      {"output_blocks.2.1.conv.weight", "up_blocks.0.upsamplers.0.conv.weight"},
      {"output_blocks.5.2.conv.weight", "up_blocks.1.upsamplers.0.conv.weight"},
      {"output_blocks.11.1.proj_out.weight", "up_blocks.3.attentions.2.proj_out.weight"},
      {"output_blocks.11.0.out_layers.0.weight", "up_blocks.3.resnets.2.norm2.weight"},
      {"time_embed.2.weight", "time_embedding.linear_2.weight"},
      {"out.0.weight", "conv_norm_out.weight"}};
  for (const auto& [original, diffusers] : names) {
    EXPECT_EQ(map.to_diffusers(original), diffusers);
    EXPECT_EQ(map.to_original(diffusers), original);
  }
  EXPECT_EQ(map_xl.to_diffusers("output_blocks.2.2.conv.weight"), "up_blocks.0.upsamplers.0.conv.weight");
  EXPECT_EQ(map_xl.to_diffusers("output_blocks.5.2.conv.weight"), "up_blocks.1.upsamplers.0.conv.weight");
  EXPECT_EQ(map_xl.to_diffusers("input_blocks.7.1.transformer_blocks.9.ff.net.2.bias"), "down_blocks.2.attentions.0.transformer_blocks.9.ff.net.2.bias");
  EXPECT_EQ(map_xl.to_diffusers("label_emb.0.0.weight"), "add_embedding.linear_1.weight");
  EXPECT_EQ(map.to_diffusers("input_blocks.12.0.in_layers.0.weight"), std::nullopt);
  const KeyMap vae = vae_key_map(4, 2);
  EXPECT_EQ(vae.to_diffusers("decoder.up.3.block.2.conv1.weight"), "decoder.up_blocks.0.resnets.2.conv1.weight");
  EXPECT_EQ(vae.to_diffusers("decoder.up.0.block.0.nin_shortcut.bias"), "decoder.up_blocks.3.resnets.0.conv_shortcut.bias");
  EXPECT_EQ(vae.to_diffusers("encoder.down.2.downsample.conv.weight"), "encoder.down_blocks.2.downsamplers.0.conv.weight");
  EXPECT_EQ(vae.to_diffusers("decoder.mid.attn_1.proj_out.weight"), "decoder.mid_block.attentions.0.to_out.0.weight");
  EXPECT_EQ(vae.to_diffusers("decoder.norm_out.weight"), "decoder.conv_norm_out.weight");
}

// Underscores for dots lose information; still every layer must be found under every spelling, and be itself.
TEST(FullSize, LoraKeysOfEveryLayerInEverySpelling) {
  for (const Network& network : kNetworks) {
    SCOPED_TRACE(network.family);
    UNet unet(network.config);
    TextEncoder text(clip_l());
    const LoraNames names({{"unet", &unet}, {"text_encoder", &text}});
    const KeyMap map = unet_key_map(UNetStructure::from_diffusers(names_of(shapes_of(unet))));
    const auto underscores = [](std::string path) {
      std::replace(path.begin(), path.end(), '.', '_');
      return path;
    };
    size_t layers = 0;
    const auto check = [&](const std::string& key, nn::Module& module) {
      const LoraPlace place = names.find(key);
      const nn::Module* found = place.linear != nullptr ? static_cast<nn::Module*>(place.linear) : place.convolution;
      EXPECT_EQ(found, &module) << key;
    };
    const auto is_layer = [](nn::Module& module) { return dynamic_cast<nn::Linear*>(&module) != nullptr || dynamic_cast<nn::Conv2d*>(&module) != nullptr; };
    unet.visit([&](const std::string& path, nn::Module& module) {
      if (!is_layer(module)) return;
      ++layers;
      check("lora_unet_" + underscores(path), module);
      check("lora_unet_" + underscores(*map.to_original(path)), module);
      check("unet." + path, module);
      check("base_model.model." + path, module);
      check("diffusion_model." + *map.to_original(path), module);
    });
    EXPECT_GT(layers, 250u);
    text.visit([&](const std::string& path, nn::Module& module) {
      if (!is_layer(module)) return;
      check("lora_te_" + underscores(path), module);
      check("lora_te1_" + underscores(path), module);
      check("text_encoder." + path, module);
      check("text_encoder." + path.substr(std::string("text_model.").size()), module);
    });
    EXPECT_FALSE(names.find("lora_te2_text_model_encoder_layers_0_mlp_fc1"));
    EXPECT_FALSE(names.find("lora_unet_down_blocks_9_resnets_0_conv1"));
  }
  UNet xl(sdxl());
  const LoraNames names({{"unet", &xl}});
  for (const char* key : {"lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_out_0", "lora_unet_output_blocks_2_2_conv", "lora_unet_input_blocks_3_0_op",
                          "lora_unet_input_blocks_0_0", "lora_unet_time_embed_2", "lora_unet_label_emb_0_0", "lora_unet_out_2", "lora_unet_middle_block_0_in_layers_2",
                          "lora_unet_middle_block_0_emb_layers_1", "lora_unet_input_blocks_4_0_skip_connection", "lora_unet_middle_block_1_proj_in"})
    EXPECT_TRUE(names.find(key)) << key;
}

TEST(FullSize, AutoencoderControlNetAndTextEncoders) {
  Vae vae{VaeConfig()};
  const auto vae_shapes = shapes_of(vae);
  const KeyMap vae_map = vae_key_map(4, 2);
  std::map<std::string, TensorInfo> file;
  for (auto [name, info] : vae_shapes) {
    if (name.find("attentions.0.to_") != std::string::npos && info.shape.size() == 2) info.shape.insert(info.shape.end(), {1, 1});
    ASSERT_TRUE(vae_map.to_original(name)) << name;
    file.emplace(*vae_map.to_original(name), info);
  }
  const auto found = find_components(std::make_shared<ShapesOnly>(file));
  expect_same_shapes(found.at("vae")->tensors(), vae_shapes);
  EXPECT_EQ(VaeConfig::from_json(recognise_config("vae", *found.at("vae"), {})).to_json(), VaeConfig().to_json());
  EXPECT_EQ(VaeConfig::from_json(recognise_config("vae", *found.at("vae"), defaults_of("sdxl", "epsilon"))).scaling_factor, 0.13025);

  ControlNet controlnet{ControlNetConfig()};
  const auto control_shapes = shapes_of(controlnet);
  const KeyMap control_map = unet_key_map(UNetStructure::from_diffusers(names_of(control_shapes)), 8);
  file.clear();
  for (const auto& [name, info] : control_shapes) {
    ASSERT_TRUE(control_map.to_original(name)) << name;
    file.emplace("control_model." + *control_map.to_original(name), info);
  }
  EXPECT_TRUE(file.contains("control_model.input_hint_block.14.weight") && file.contains("control_model.zero_convs.11.0.bias"));
  const auto control = find_components(std::make_shared<ShapesOnly>(file));
  expect_same_shapes(control.at("controlnet")->tensors(), control_shapes);
  EXPECT_EQ(ControlNetConfig::from_json(recognise_config("controlnet", *control.at("controlnet"), {})).to_json(), ControlNetConfig().to_json());

  const auto text = [](const TextEncoderConfig& config, const std::string& family) {
    TextEncoder encoder(config);
    return TextEncoderConfig::from_json(recognise_config("text_encoder", ShapesOnly(shapes_of(encoder)), defaults_of(family, ""))).to_json();
  };
  EXPECT_EQ(text(clip_l(), "sd1"), clip_l().to_json());
  EXPECT_EQ(text(clip_h(), "sd2"), clip_h().to_json());
  EXPECT_EQ(text(clip_big_g(), "sdxl"), clip_big_g().to_json());
  EXPECT_EQ(text(clip_l(), ""), clip_l().to_json());
}

}  // namespace
}  // namespace attelier
