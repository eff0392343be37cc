#include "tests/testing/tiny_model.h"

#include <c10/core/InferenceMode.h>

#include "core/base/context.h"
#include "core/base/files.h"
#include "core/models/text_encoder.h"
#include "core/models/unet.h"
#include "core/models/vae.h"
#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"
#include "core/weights/load.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

void write_json(const fs::path& path, const Json& json) { write_file_atomically(path, json.dump(2) + "\n"); }

void write_component(const fs::path& folder, const Json& config, const std::string& weights, nn::Module& module) {
  fs::create_directories(folder);
  write_json(folder / "config.json", config);
  write_safetensors(folder / weights, named_tensors(module));
}

}  // namespace

void write_tiny_model(const fs::path& folder, const TinyModelOptions& options) {
  const c10::InferenceMode inference;
  at::Generator generator = make_generator(options.seed);
  const std::vector<std::string> words = {"a red house by the sea at night", "a blue boat and a green tree", "a red ball in the snow", "the sea by night, a watercolour"};
  learn_vocabulary(words, 60, folder / "tokenizer");
  const auto tokenizer = Tokenizer::from_folder(folder / "tokenizer");

  TextEncoderConfig text;
  text.vocabulary = tokenizer->vocabulary_size();
  text.eos_token = tokenizer->end_token();
  text.width = options.text_width;
  text.layers = 2;
  text.heads = 4;
  text.intermediate = 2 * options.text_width;
  TextEncoder text_encoder(text);
  text_encoder.initialise(generator);
  write_component(folder / "text_encoder", text.to_json(), "model.safetensors", text_encoder);

  UNetConfig net;
  net.in_channels = net.out_channels = options.latent_channels;
  net.sample_size = options.latent_size;
  net.block_out_channels = options.unet_widths;
  net.cross_attention_dim = options.text_width;
  UNet unet(net);
  unet.initialise(generator);
  for (const nn::NamedParameter& named : unet.named_parameters())
    if (named.name.starts_with("conv_out.")) named.parameter->value.mul_(options.prediction_gain);
  write_component(folder / "unet", net.to_json(), "diffusion_pytorch_model.safetensors", unet);

  VaeConfig autoencoder;
  autoencoder.latent_channels = options.latent_channels;
  autoencoder.block_out_channels = options.vae_widths;
  autoencoder.layers_per_block = 1;
  autoencoder.sample_size = options.latent_size * autoencoder.factor();
  Vae vae(autoencoder);
  vae.initialise(generator);
  write_component(folder / "vae", autoencoder.to_json(), "diffusion_pytorch_model.safetensors", vae);

  fs::create_directories(folder / "scheduler");
  write_json(folder / "scheduler/scheduler_config.json",
             {{"_class_name", "DDIMScheduler"}, {"num_train_timesteps", 1000}, {"beta_start", 0.00085}, {"beta_end", 0.012}, {"beta_schedule", "scaled_linear"},
              {"clip_sample", false}, {"set_alpha_to_one", false}, {"steps_offset", 1}, {"prediction_type", "epsilon"}});
  write_json(folder / "model_index.json", {{"_class_name", "StableDiffusionPipeline"},
                                           {"scheduler", {"diffusers", "DDIMScheduler"}},
                                           {"text_encoder", {"transformers", "CLIPTextModel"}},
                                           {"tokenizer", {"transformers", "CLIPTokenizer"}},
                                           {"unet", {"diffusers", "UNet2DConditionModel"}},
                                           {"vae", {"diffusers", "AutoencoderKL"}}});
}

}  // namespace attelier
