// Text encoder and UNet trained together on the latents of captioned scenes; texture pictures without a caption widen what the empty prompt covers.
#include <c10/core/GradMode.h>

#include "core/base/files.h"
#include "core/diffusion/scheduler.h"
#include "core/models/text_encoder.h"
#include "core/models/unet.h"
#include "core/models/vae.h"
#include "core/scenes/small_world.h"
#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"
#include "core/training/autocast.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"
#include "core/training/rolling_pool.h"
#include "core/weights/load.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

/// What SD1.x ships as scheduler_config.json, so that every method's settings carry over.
Json scheduler_config() {
  return {{"_class_name", "DDIMScheduler"}, {"_diffusers_version", "0.42.1"}, {"num_train_timesteps", 1000}, {"beta_start", 0.00085},
          {"beta_end", 0.012},              {"beta_schedule", "scaled_linear"}, {"clip_sample", false},      {"set_alpha_to_one", false},
          {"steps_offset", 1},              {"prediction_type", "epsilon"}};
}

Json read_json(const fs::path& path) { return Json::parse(read_file(path, 1 << 20)); }

/// One trained pair, so that one optimiser holds both.
struct Pair : nn::Module {
  Pair(const TextEncoderConfig& text_config, const UNetConfig& unet_config) : text_encoder(text_config), unet(unet_config) {
    add("text_encoder", text_encoder);
    add("unet", unet);
  }
  TextEncoder text_encoder;
  UNet unet;
};

struct Example {
  at::Tensor latent;  // [C, h, w], float16, scaled
  at::Tensor ids;     // i64 [77]
};

std::shared_ptr<const Tokenizer> make_tokenizer(const Json& config, const fs::path& folder) {
  if (!fs::exists(folder / "vocab.json")) learn_vocabulary(caption_sample(20000), config.value("merges", int64_t{500}), folder);
  return Tokenizer::from_folder(folder);
}

TextEncoderConfig text_config(Json config, const Tokenizer& tokenizer) {
  TextEncoderConfig result = TextEncoderConfig::from_json(config);
  result.vocabulary = tokenizer.vocabulary_size();
  result.eos_token = tokenizer.end_token();
  return result;
}

UNetConfig unet_config(const Json& config, int64_t latent_channels, int64_t context_width, int64_t latent_size) {
  UNetConfig result = UNetConfig::from_json(config);
  result.in_channels = result.out_channels = latent_channels;
  result.cross_attention_dim = context_width;
  result.sample_size = latent_size;
  return result;
}

class TextToImageObjective : public Objective {
 public:
  TextToImageObjective(const Json& config, const fs::path& base)
      : config_(config),
        vae_folder_(base / config.at("vae").get<std::string>()),
        tokenizer_folder_(base / config.value("output", std::string("training")) / "tokenizer"),
        tokenizer_(make_tokenizer(config, tokenizer_folder_)),
        vae_(VaeConfig::from_json(read_json(vae_folder_ / "config.json"))),
        size_(config.value("picture_size", int64_t{256})),
        pair_(text_config(config.at("text_encoder"), *tokenizer_),
              unet_config(config.at("unet"), vae_.config().latent_channels, config.at("text_encoder").at("hidden_size"), size_ / vae_.config().factor())),
        seed_(config.value("seed", uint64_t{0})),
        batch_(config.value("batch", int64_t{16})),
        scheduler_(make_scheduler(scheduler_config())),
        validation_(validation_pictures(config, base, size_)),
        pool_(config.value("pool", int64_t{2048}), config.value("fresh", int64_t{4}), [this](int64_t number) { return example(number); }) {
    load_weights(vae_, *open_tensors(vae_folder_ / "diffusion_pytorch_model.safetensors"), at::kCPU, at::kFloat);
  }

  nn::Module& module() override { return pair_; }

  /// The last layer of every residual branch starts at zero (Dhariwal and Nichol 2021).
  void initialise(at::Generator generator) override {
    c10::NoGradGuard no_grad;
    pair_.initialise(generator);
    for (const nn::NamedParameter& entry : pair_.named_parameters())
      for (const char* last : {"conv2.weight", "proj_out.weight", "unet.conv_out.weight"})
        if (entry.name.ends_with(last)) entry.parameter->value.zero_();
  }

  void prepare(int64_t step, const Context& context) override {
    pool_.fill(step, [&](int64_t done, int64_t total) {
      context.check_stop();
      context.report("encoding", done, total);
    });
  }

  /// Squared error of the noise, weighted by min(SNR, 5)/SNR (Hang et al. 2023, min-SNR-5).
  at::Tensor loss(int64_t step, int64_t micro, const Context& context) override {
    if (micro == 0) pool_.start_next();
    std::mt19937_64 random = step_random(seed_, step, micro);
    const double dropout = config_.value("caption_dropout", 0.1);
    std::vector<at::Tensor> latents, ids;
    std::vector<float> times, signal, weight;
    for (int64_t i = 0; i < batch_; ++i) {
      const Example& one = pool_[static_cast<int64_t>(random() % static_cast<uint64_t>(pool_.size()))];
      const bool drop = static_cast<double>(random() >> 11) * 0x1p-53 < dropout;
      latents.push_back(one.latent);
      ids.push_back(drop ? empty_ids() : one.ids);
      const auto t = static_cast<size_t>(random() % 1000);
      const double alpha = scheduler_->alphas_cumprod()[t];
      times.push_back(static_cast<float>(t));
      signal.push_back(static_cast<float>(alpha));
      weight.push_back(static_cast<float>(std::min(alpha / (1 - alpha), 5.0) / (alpha / (1 - alpha))));
    }
    const at::Device device = context.device;
    const at::Tensor x0 = at::stack(latents).to(device).to(at::kFloat);
    const at::Tensor noise = at::randn(x0.sizes(), make_generator(random()), at::kFloat).to(device);
    const at::Tensor alpha = at::tensor(signal).view({-1, 1, 1, 1}).to(device);
    UNetInputs inputs;
    inputs.sample = (alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise).contiguous(at::MemoryFormat::ChannelsLast);
    inputs.timestep = at::tensor(times).to(device);
    at::Tensor prediction;
    {
      const Autocast autocast(device.type(), config_.value("bfloat16", true));
      inputs.encoder_hidden_states = pair_.text_encoder.forward(at::stack(ids).to(device)).last_hidden_state;
      prediction = pair_.unet.forward(inputs, {}).to(at::kFloat);
    }
    return ((prediction - noise).pow(2).mean({1, 2, 3}) * at::tensor(weight).to(device)).mean();
  }

  void end_step() override { pool_.swap_in(); }

  std::vector<Metric> validate(const Context& context) override {
    // The plain loss on scenes that were never drawn for training, at fixed noise.
    double sum = 0;
    const int64_t count = 16;
    for (int64_t i = 0; i < count; ++i) {
      const Example one = example(-1000 - i);
      const double alpha = scheduler_->alphas_cumprod()[static_cast<size_t>(i * 1000 / count + 30)];
      const at::Tensor x0 = one.latent.unsqueeze(0).to(context.device).to(at::kFloat);
      const at::Tensor noise = at::randn(x0.sizes(), make_generator(static_cast<uint64_t>(i)), at::kFloat).to(context.device);
      UNetInputs inputs;
      inputs.sample = std::sqrt(alpha) * x0 + std::sqrt(1 - alpha) * noise;
      inputs.timestep = at::full({1}, static_cast<double>(i * 1000 / count + 30), at::kFloat);
      inputs.encoder_hidden_states = pair_.text_encoder.forward(one.ids.unsqueeze(0).to(context.device)).last_hidden_state;
      sum += (pair_.unet.forward(inputs, {}) - noise).pow(2).mean().item<double>();
    }
    return {{"noise error", sum / static_cast<double>(count)}};
  }

  at::Tensor sheet(const Context& context) override {
    std::vector<at::Tensor> tiles;
    for (const Json& prompt : config_.value("sheet", Json::array())) {
      context.check_stop();
      tiles.push_back(sample(prompt.get<std::string>(), static_cast<uint64_t>(tiles.size()), context));
    }
    if (tiles.empty()) tiles.push_back(sample("", 0, context));
    return contact_sheet(tiles, 6);
  }

  void export_model(const fs::path& folder, const Context&) override {
    const fs::copy_options overwrite = fs::copy_options::overwrite_existing | fs::copy_options::recursive;
    fs::create_directories(folder);
    fs::copy(vae_folder_, folder / "vae", overwrite);
    fs::copy(tokenizer_folder_, folder / "tokenizer", overwrite);
    write_component(folder / "text_encoder", pair_.text_encoder.config().to_json(), "model.safetensors", pair_.text_encoder);
    write_component(folder / "unet", pair_.unet.config().to_json(), "diffusion_pytorch_model.safetensors", pair_.unet);
    fs::create_directories(folder / "scheduler");
    write_file_atomically(folder / "scheduler" / "scheduler_config.json", scheduler_config().dump(2) + "\n");
    const Json index = {{"_class_name", "StableDiffusionPipeline"},
                        {"_diffusers_version", "0.42.1"},
                        {"feature_extractor", {nullptr, nullptr}},
                        {"safety_checker", {nullptr, nullptr}},
                        {"requires_safety_checker", false},
                        {"scheduler", {"diffusers", "DDIMScheduler"}},
                        {"text_encoder", {"transformers", "CLIPTextModel"}},
                        {"tokenizer", {"transformers", "CLIPTokenizer"}},
                        {"unet", {"diffusers", "UNet2DConditionModel"}},
                        {"vae", {"diffusers", "AutoencoderKL"}}};
    write_file_atomically(folder / "model_index.json", index.dump(2) + "\n");
  }

 private:
  at::Tensor ids_of(const std::string& text) const { return at::tensor(tokenizer_->tokenize(text).ids); }
  const at::Tensor& empty_ids() const {
    static const at::Tensor ids = ids_of("");
    return ids;
  }

  Example example(int64_t number) {
    c10::NoGradGuard no_grad;
    const DrawnPicture picture = draw_picture(seed_, number, size_, config_.value("world_share", 0.8));
    const at::Tensor mean = vae_.encode(to_signed(picture.pixels).unsqueeze(0)).mean[0];
    return {(mean * vae_.config().scaling_factor).to(at::kHalf), ids_of(picture.caption)};
  }

  /// DDIM, 25 steps, guidance 5: [3, H, W] in [-1, 1].
  at::Tensor sample(const std::string& prompt, uint64_t seed, const Context& context) {
    const int64_t side = size_ / vae_.config().factor();
    at::Tensor z = at::randn({1, vae_.config().latent_channels, side, side}, make_generator(seed), at::kFloat).to(context.device);
    const at::Tensor ids = at::stack({empty_ids(), ids_of(prompt)}).to(context.device);
    UNetInputs inputs;
    inputs.encoder_hidden_states = pair_.text_encoder.forward(ids).last_hidden_state;
    scheduler_->set_timesteps(25);
    for (const double t : scheduler_->timesteps()) {
      inputs.sample = at::cat({z, z});
      inputs.timestep = at::full({1}, t, at::kFloat);
      const std::vector<at::Tensor> noise = pair_.unet.forward(inputs, {}).chunk(2);
      z = scheduler_->step(noise[0] + 5.0 * (noise[1] - noise[0]), z, {});
    }
    return vae_.decode(z / vae_.config().scaling_factor).cpu()[0];
  }

  Json config_;
  fs::path vae_folder_, tokenizer_folder_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Vae vae_;
  int64_t size_;
  Pair pair_;
  uint64_t seed_;
  int64_t batch_;
  std::unique_ptr<Scheduler> scheduler_;
  std::vector<std::pair<std::string, at::Tensor>> validation_;
  RollingPool<Example> pool_;
};

}  // namespace

std::unique_ptr<Objective> make_text_to_image_objective(const Json& config, const fs::path& base) {
  return std::make_unique<TextToImageObjective>(config, base);
}

}  // namespace attelier
