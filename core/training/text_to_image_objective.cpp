// Text encoder and UNet trained together from nothing, on the latents of captioned pictures; pictures without a caption widen what the empty prompt covers.
// With a second text encoder the structure is SDXL's (Podell et al. 2023).
#include <c10/core/GradMode.h>

#include "core/base/files.h"
#include "core/models/text_encoder.h"
#include "core/models/unet.h"
#include "core/models/vae.h"
#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"
#include "core/training/denoising_objective.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"
#include "core/weights/load.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kVocabularyCaptions = 20000;

Json read_json(const fs::path& path) { return Json::parse(read_file(path, 1 << 20)); }
fs::path vae_folder(const Json& config, const fs::path& base) { return base / config.at("vae").get<std::string>(); }

bool is_xl(const Json& config) { return config.at("text_encoder_2").is_object(); }

/// What the configuration says of an encoder; SDXL's second one has a projection.
TextEncoderConfig told_text_config(const Json& config, const char* name) {
  Json told = config.at(name);
  if (std::string_view(name) == "text_encoder_2") told["architectures"] = {"CLIPTextModelWithProjection"};
  return TextEncoderConfig::from_json(told);
}

TextEncoderConfig text_config(const Json& config, const char* name, const Tokenizer& tokenizer) {
  TextEncoderConfig result = told_text_config(config, name);
  result.vocabulary = tokenizer.vocabulary_size();
  result.eos_token = tokenizer.end_token();
  return result;
}

UNetConfig unet_config(const Json& config, const VaeConfig& vae) {
  constexpr int64_t kTimeIds = 6;
  Json told = config.at("unet");
  if (is_xl(config)) told["addition_embed_type"] = "text_time";
  UNetConfig result = UNetConfig::from_json(told);
  result.in_channels = result.out_channels = vae.latent_channels;
  result.cross_attention_dim = told_text_config(config, "text_encoder").width;
  result.sample_size = config.at("picture_size").get<int64_t>() / vae.factor();
  if (!is_xl(config)) return result;
  const TextEncoderConfig second = told_text_config(config, "text_encoder_2");
  result.cross_attention_dim += second.width;
  result.addition_input_dim = second.projection + kTimeIds * result.addition_time_embed_dim;
  return result;
}

/// What is trained together, so that one optimiser holds all.
struct Networks : nn::Module {
  Networks(const Json& config, const Tokenizer& tokenizer, const VaeConfig& vae) : text_encoder(text_config(config, "text_encoder", tokenizer)), unet(unet_config(config, vae)) {
    add("text_encoder", text_encoder);
    if (is_xl(config)) add("text_encoder_2", text_encoder_2.emplace(text_config(config, "text_encoder_2", tokenizer), "text_encoder_2"));
    add("unet", unet);
  }
  TextEncoder text_encoder;
  std::optional<TextEncoder> text_encoder_2;
  UNet unet;
};

std::shared_ptr<const Tokenizer> make_tokenizer(const Json& config, const fs::path& folder, const SampleSource& source, const Context& context) {
  if (!fs::exists(folder / "vocab.json")) learn_vocabulary(source.captions(kVocabularyCaptions, context), config.at("merges"), folder);
  return Tokenizer::from_folder(folder);
}

class TextToImageObjective : public DenoisingObjective {
 public:
  TextToImageObjective(const Json& config, const fs::path& base, std::shared_ptr<const SampleSource> source, const Context& context)
      : DenoisingObjective(config, default_scheduler_config(config.at("prediction")), source),
        vae_folder_(vae_folder(config, base)),
        tokenizer_folder_(base / config.at("output").get<std::string>() / "tokenizer"),
        tokenizer_(make_tokenizer(config, tokenizer_folder_, *source, context)),
        vae_(VaeConfig::from_json(read_json(vae_folder_ / "config.json"))),
        networks_(config, *tokenizer_, vae_.config()) {
    load_weights(vae_, *open_tensors(vae_folder_ / "diffusion_pytorch_model.safetensors"), at::kCPU, at::kFloat);
  }

  nn::Module& module() override { return networks_; }

  /// The last layer of every residual branch starts at zero (Dhariwal and Nichol 2021).
  void initialise(at::Generator generator, at::Device device) override {
    c10::NoGradGuard no_grad;
    networks_.initialise(generator);
    for (const nn::NamedParameter& entry : networks_.named_parameters())
      for (const char* last : {"conv2.weight", "proj_out.weight", "unet.conv_out.weight"})
        if (entry.name.ends_with(last)) entry.parameter->value.zero_();
    networks_.to(device, at::kFloat);
    vae_.to(device, at::kFloat);
  }

  at::Tensor sheet(const Context& context) override {
    std::vector<at::Tensor> tiles;
    const int64_t side = config().at("picture_size").get<int64_t>() / vae_.config().factor();
    std::vector<std::string> prompts = config().at("sheet");
    if (prompts.empty()) prompts.emplace_back();
    for (const std::string& prompt : prompts) {
      const Example told{.latent = at::empty({vae_.config().latent_channels, side, side}), .caption = prompt};
      tiles.push_back(sample(told, tiles.size(), context));
    }
    return contact_sheet(tiles, 6);
  }

  void export_model(const fs::path& folder, const Context&) override {
    const fs::copy_options overwrite = fs::copy_options::overwrite_existing | fs::copy_options::recursive;
    fs::create_directories(folder);
    fs::copy(vae_folder_, folder / "vae", overwrite);
    fs::copy(tokenizer_folder_, folder / "tokenizer", overwrite);
    write_component(folder / "text_encoder", networks_.text_encoder.config().to_json(), "model.safetensors", networks_.text_encoder);
    write_component(folder / "unet", networks_.unet.config().to_json(), "diffusion_pytorch_model.safetensors", networks_.unet);
    fs::create_directories(folder / "scheduler");
    write_file_atomically(folder / "scheduler" / "scheduler_config.json", default_scheduler_config(config().at("prediction")).dump(2) + "\n");
    Json index = {{"_class_name", "StableDiffusionPipeline"},
                        {"_diffusers_version", "0.42.1"},
                        {"feature_extractor", {nullptr, nullptr}},
                        {"safety_checker", {nullptr, nullptr}},
                        {"requires_safety_checker", false},
                        {"scheduler", {"diffusers", "DDIMScheduler"}},
                        {"text_encoder", {"transformers", "CLIPTextModel"}},
                        {"tokenizer", {"transformers", "CLIPTokenizer"}},
                        {"unet", {"diffusers", "UNet2DConditionModel"}},
                        {"vae", {"diffusers", "AutoencoderKL"}}};
    if (networks_.text_encoder_2) {
      fs::copy(tokenizer_folder_, folder / "tokenizer_2", overwrite);
      write_component(folder / "text_encoder_2", networks_.text_encoder_2->config().to_json(), "model.safetensors", *networks_.text_encoder_2);
      index["_class_name"] = "StableDiffusionXLPipeline";
      for (const char* unknown_to_xl : {"safety_checker", "requires_safety_checker"}) index.erase(unknown_to_xl);
      index["force_zeros_for_empty_prompt"] = true;
      index["image_encoder"] = {nullptr, nullptr};
      index["text_encoder_2"] = {"transformers", "CLIPTextModelWithProjection"};
      index["tokenizer_2"] = {"transformers", "CLIPTokenizer"};
    }
    write_file_atomically(folder / "model_index.json", index.dump(2) + "\n");
  }

 protected:
  at::Tensor encode(const at::Tensor& picture) override { return vae_.encode(picture.to(device())).mean * vae_.config().scaling_factor; }
  at::Tensor decode(const at::Tensor& latent) override { return vae_.decode(latent / vae_.config().scaling_factor); }

  at::Tensor predict(const NoisyBatch& batch, const Context&) override {
    UNetInputs inputs;
    inputs.sample = batch.noisy;
    inputs.timestep = batch.timestep;
    tell(inputs, batch.captions);
    ForwardContext context;
    context.recompute = recompute();
    return networks_.unet.forward(inputs, context);
  }

 private:
  void tell(UNetInputs& inputs, const std::vector<std::string>& captions) {
    std::vector<at::Tensor> rows;
    for (const std::string& caption : captions) rows.push_back(at::tensor(tokenizer_->tokenize(caption).ids));
    const at::Tensor ids = at::stack(rows).to(device());
    const TextEncoderOutput first = networks_.text_encoder.forward(ids);
    if (!networks_.text_encoder_2) {
      inputs.encoder_hidden_states = first.last_hidden_state;
      return;
    }
    // SDXL reads what enters the encoders' last layers, and an empty prompt is zeros.
    const TextEncoderOutput second = networks_.text_encoder_2->forward(ids);
    const auto before_last = [](const TextEncoderOutput& output) { return output.hidden_states.at(output.hidden_states.size() - 2); };
    std::vector<float> told;
    for (const std::string& caption : captions) told.push_back(caption.empty() ? 0 : 1);
    const auto batch = static_cast<int64_t>(captions.size());
    const at::Tensor mask = at::tensor(told).to(device()).view({batch, 1});
    inputs.encoder_hidden_states = at::cat({before_last(first), before_last(second)}, 2) * mask.unsqueeze(2);
    inputs.text_embeds = second.pooled * mask;
    const auto side = config().at("picture_size").get<double>();
    inputs.time_ids = at::tensor({side, side, 0.0, 0.0, side, side}).to(at::kFloat).to(device()).expand({batch, 6});
  }
  at::Device device() { return vae_.named_parameters().front().parameter->value.device(); }

  fs::path vae_folder_, tokenizer_folder_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Vae vae_;
  Networks networks_;
};

void check(const Json& config, const fs::path& base, ConfigProblems& problems) {
  check_data(config.at("data"), base, problems);
  const auto attempt = [&](const std::string& pointer, const auto& action) {
    try {
      action();
    } catch (const Error& error) {
      problems.add(pointer, "cannot be used: {}", error.what());
    } catch (const Json::exception& error) {
      problems.add(pointer, "cannot be used: {}", error.what());
    }
  };
  for (const char* name : {"text_encoder", "text_encoder_2"})
    if (config.at(name).is_object()) attempt(fmt::format("/{}", name), [&] { told_text_config(config, name); });
  if (config.at("unet").is_object()) attempt("/unet", [&] { UNetConfig::from_json(config.at("unet")); });
  if (config.at("vae").is_null()) return problems.add("/vae", "is missing: the folder of a trained autoencoder (config.json and diffusion_pytorch_model.safetensors)");
  attempt("/vae", [&] {
    const fs::path folder = vae_folder(config, base);
    const int64_t factor = VaeConfig::from_json(read_json(folder / "config.json")).factor(), size = config.at("picture_size");
    if (size % factor != 0) problems.add("/picture_size", "is {}; a multiple of {} is needed by the autoencoder", size, factor);
    open_tensors(folder / "diffusion_pytorch_model.safetensors");
  });
}

}  // namespace

ObjectiveKind text_to_image_objective() {
  using enum ParameterType;
  ConfigShape shape = denoising_shape(256);
  shape.parameters.push_back({.name = "vae", .label = "vae", .help = "Folder of a trained autoencoder, relative to the configuration", .type = kPath, .default_value = nullptr});
  shape.parameters.push_back({.name = "merges", .label = "merges", .help = "Pairs that the vocabulary learns from the captions", .type = kInteger, .default_value = 500, .minimum = 0, .maximum = 100000});
  shape.parameters.push_back({.name = "prediction", .label = "prediction", .help = "What the UNet tells", .type = kChoice, .default_value = "epsilon", .choices = {"epsilon", "v_prediction"}});
  shape.networks = {"text_encoder", "unet"};
  shape.optional_networks = {"text_encoder_2"};
  return {"text_to_image", "Text encoders and a UNet from nothing, on a trained autoencoder", shape, check,
          [](const Json& config, const fs::path& base, const Context& context) -> std::unique_ptr<Objective> {
            return std::make_unique<TextToImageObjective>(config, base, make_sample_source(config.at("data"), config.at("seed"), config.at("picture_size"), base, context), context);
          }};
}

}  // namespace attelier
