// Autoencoder training on drawn pictures: squared error, gradients, KL. From nothing, or a checkpoint's, or its decoder alone.
#include <c10/core/GradMode.h>

#include <cmath>

#include "core/models/vae.h"
#include "core/training/autocast.h"
#include "core/training/base_model.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"
#include "core/training/rolling_pool.h"
#include "core/training/sample.h"
#include "core/weights/load.h"

namespace attelier {
namespace {

constexpr int64_t kValidationSize = 256;  // of photographs

/// Mean squared difference of neighbouring pixels' differences: the error in edges.
at::Tensor gradient_error(const at::Tensor& difference) {
  const at::Tensor horizontal = difference.slice(3, 1) - difference.slice(3, 0, -1);
  const at::Tensor vertical = difference.slice(2, 1) - difference.slice(2, 0, -1);
  return horizontal.abs().mean() + vertical.abs().mean();
}

/// The parameters of a module whose names begin like this.
struct Part : nn::Module {
  Part(nn::Module& whole, std::initializer_list<std::string_view> prefixes) {
    for (const nn::NamedParameter& entry : whole.named_parameters())
      if (std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view prefix) { return entry.name.starts_with(prefix); })) add(entry.name, *entry.parameter);
  }
};

/// The configuration's own, or the one of the checkpoint that it goes on from.
VaeConfig vae_config(const Json& config, const std::filesystem::path& base) {
  return VaeConfig::from_json(config.at("model").is_null() ? config.at("vae") : ModelFiles(base_model_path(config, base)).config("vae"));
}

class VaeObjective : public Objective {
 public:
  VaeObjective(const Json& config, const std::filesystem::path& base, std::unique_ptr<SampleSource> source)
      : config_(config),
        vae_(vae_config(config, base)),
        decoder_(vae_, {"decoder.", "post_quant_conv."}),
        decoder_only_(config.at("decoder_only").get<bool>()),
        source_(std::move(source)),
        seed_(config.at("seed").get<uint64_t>()),
        batch_(config.at("batch").get<int64_t>()),
        crop_(config.at("crop").get<int64_t>()),
        picture_size_(config.at("picture_size").get<int64_t>()),
        validation_(validation_pictures(config.at("validation"), base, kValidationSize)),
        pool_(config.at("pool").get<int64_t>(), config.at("fresh").get<int64_t>(), config.at("data").at("drawing_threads").get<int>(),
              [this](int64_t number) { return source_->sample(number).pixels; }) {
    if (!config.at("model").is_null()) start_ = ModelFiles(base_model_path(config, base)).weights("vae");
  }

  nn::Module& module() override {
    if (decoder_only_) return decoder_;
    return vae_;
  }

  /// Residual branches start at zero and the path beside them keeps the variance, so that the first code is a linear one that colours survive: with
  /// PyTorch's own draw, seven convolutions shrink the signal to a fiftieth, and the training stayed grey for thousands of steps.
  /// Latents start almost without noise (log variance -6), so that none is given up before the decoder has learnt to read it.
  void initialise(at::Generator generator, at::Device device) override {
    c10::NoGradGuard no_grad;
    if (start_) {
      load_weights(vae_, *start_, at::kCPU, at::kFloat);
      own_weights(vae_);
      return vae_.to(device, at::kFloat);
    }
    vae_.initialise(generator);
    for (const nn::NamedParameter& entry : vae_.named_parameters()) {
      at::Tensor& value = entry.parameter->value;
      if (value.dim() == 4)
        value.normal_(0, std::sqrt(static_cast<double>(value.size(0)) / static_cast<double>(value.numel())), generator);
      else if (entry.name.ends_with(".bias"))
        value.zero_();
      if (entry.name.ends_with("conv2.weight")) value.zero_();
      const int64_t channels = vae_.config().latent_channels;
      if (entry.name == "quant_conv.weight") value.slice(0, channels).zero_();
      if (entry.name == "quant_conv.bias") value.slice(0, channels).fill_(-6);
    }
    vae_.to(device, at::kFloat);
  }

  void prepare(int64_t step, const Context& context) override { pool_.fill(step, context); }

  at::Tensor loss(int64_t step, int64_t micro, const Context& context) override {
    if (micro == 0) pool_.start_next();
    std::mt19937_64 random = step_random(seed_, step, micro);
    const at::Tensor x = batch(random).to(context.device);
    at::Generator generator = make_generator(random());
    at::Tensor reconstruction, mean, logvar;
    {
      const Autocast autocast(context.device.type(), config_.at("bfloat16").get<bool>());
      const VaePosterior posterior = encode(x);
      mean = posterior.mean.to(at::kFloat);
      logvar = posterior.logvar.to(at::kFloat);
      const at::Tensor noise = at::randn(mean.sizes(), generator, at::kFloat).to(context.device);
      reconstruction = vae_.decode(mean + at::exp(0.5 * logvar) * noise).to(at::kFloat);
    }
    const at::Tensor difference = reconstruction - x;
    const at::Tensor kl = 0.5 * (mean.pow(2) + logvar.exp() - 1 - logvar).mean();
    return difference.pow(2).mean() + weight("gradient") * gradient_error(difference) + weight("kl") * kl;
  }

  void end_step() override { pool_.swap_in(); }
  void abandon_step() override { pool_.settle(); }

  std::vector<Metric> validate(const Context& context) override {
    std::vector<Metric> metrics;
    double sum = 0;
    for (const auto& [name, picture] : validation_) {
      const at::Tensor x = picture.to(context.device);
      const double value = psnr(vae_.decode(vae_.encode(x).mean), x);
      metrics.push_back({"psnr " + name, value});
      sum += value;
    }
    if (!validation_.empty()) metrics.push_back({"psnr mean", sum / static_cast<double>(validation_.size())});
    return metrics;
  }

  at::Tensor sheet(const Context& context) override {
    std::vector<at::Tensor> tiles;
    const auto add = [&](const at::Tensor& x) {
      tiles.push_back(x[0]);
      tiles.push_back(vae_.decode(vae_.encode(x.to(context.device)).mean).cpu()[0]);
    };
    for (const auto& [name, picture] : validation_) add(fitted(picture));
    for (int64_t number = 0; number < 6; ++number) add(to_signed(fitted(source_->sample(-1 - number).pixels)).unsqueeze(0));
    return contact_sheet(tiles, 4);
  }

  void export_model(const std::filesystem::path& folder, const Context& context) override {
    // The scaling factor makes the latents of the training pictures have unit variance. Textures alone stand for what is drawn: half of them then are scenes.
    const std::unique_ptr<SampleSource> drawn = config_.at("data").at("source") == "textures" ? make_drawn_source(0.5, seed_, 128) : nullptr;
    const SampleSource& pictures = drawn ? *drawn : *source_;
    double squares = 0, sum = 0;
    int64_t count = 0;
    for (int64_t number = 0; number < 32; ++number) {
      const at::Tensor z = vae_.encode(to_signed(fitted(pictures.sample(-100 - number).pixels)).unsqueeze(0).to(context.device)).mean;
      squares += z.pow(2).sum().item<double>();
      sum += z.sum().item<double>();
      count += z.numel();
    }
    const double average = sum / static_cast<double>(count);
    VaeConfig config = vae_.config();
    if (!decoder_only_) config.scaling_factor = 1 / std::sqrt(squares / static_cast<double>(count) - average * average);
    write_component(folder / "vae", config.to_json(), "diffusion_pytorch_model.safetensors", vae_);
  }

 private:
  VaePosterior encode(const at::Tensor& x) {
    if (!decoder_only_) return vae_.encode(x);
    c10::NoGradGuard no_grad;
    return vae_.encode(x);
  }

  /// [B, 3, crop, crop] in [-1, 1]: crops of pool pictures, mirrored, turned and with their colour channels exchanged, so that no hue is rare.
  at::Tensor batch(std::mt19937_64& random) const {
    std::vector<at::Tensor> crops;
    for (int64_t i = 0; i < batch_; ++i) {
      const at::Tensor& picture = pool_[static_cast<int64_t>(random() % static_cast<uint64_t>(pool_.size()))];
      const auto offset = [&] { return static_cast<int64_t>(random() % static_cast<uint64_t>(picture_size_ - crop_ + 1)); };
      const int64_t y = offset(), x = offset();
      at::Tensor crop = picture.slice(1, y, y + crop_).slice(2, x, x + crop_);
      vary({&crop}, random);
      crops.push_back(crop);
    }
    return to_signed(at::stack(crops)).contiguous(at::MemoryFormat::ChannelsLast);
  }

  double weight(const char* name) const { return config_.at("loss").at(name); }
  /// The corner [.., side, side] of a picture that the network can take and that all tiles of a sheet have.
  at::Tensor fitted(const at::Tensor& picture) const {
    const int64_t side = std::min(picture_size_, kValidationSize) / vae_.config().factor() * vae_.config().factor();
    return picture.slice(-2, 0, side).slice(-1, 0, side);
  }

  Json config_;
  Vae vae_;
  Part decoder_;
  bool decoder_only_;
  std::shared_ptr<const TensorSource> start_;  // null: from nothing
  std::unique_ptr<SampleSource> source_;
  uint64_t seed_;
  int64_t batch_, crop_, picture_size_;
  std::vector<std::pair<std::string, at::Tensor>> validation_;
  RollingPool<at::Tensor> pool_;
};

void check(const Json& config, const std::filesystem::path& base, ConfigProblems& problems) {
  check_data(config.at("data"), base, problems);
  const int64_t crop = config.at("crop"), size = config.at("picture_size");
  if (crop > size) problems.add("/crop", "is {}; at most the picture_size, {}", crop, size);
  check_validation(config, base, problems);
  const bool goes_on = !config.at("model").is_null();
  if (goes_on == config.at("vae").is_object()) problems.add(goes_on ? "/vae" : "/model", "{}", goes_on ? "and /model are both there: the sizes are the checkpoint's; leave /vae out" : "is missing: a checkpoint to go on from, or the sizes of a new autoencoder as /vae");
  if (config.at("decoder_only") == true && !goes_on) problems.add("/decoder_only", "needs the encoder of a /model");
  if (goes_on == config.at("vae").is_object()) return;
  try {
    const int64_t factor = vae_config(config, base).factor();
    if (crop % factor != 0) problems.add("/crop", "is {}; a multiple of {} is needed by this autoencoder", crop, factor);
  } catch (const Error& error) {
    problems.add(goes_on ? "/model" : "/vae", "cannot be used: {}", error.what());
  }
}

}  // namespace

ObjectiveKind vae_objective() {
  using enum ParameterType;
  ConfigShape shape;
  shape.parameters = {{.name = "crop", .label = "crop", .help = "Side of the squares that are cut from the pictures", .type = kInteger, .default_value = 64, .minimum = 8, .maximum = 4096},
                      {.name = "picture_size", .label = "picture_size", .help = "Side of the pictures", .type = kInteger, .default_value = 256, .minimum = 8, .maximum = 4096},
                      {.name = "pool", .label = "pool", .help = "Pictures at hand", .type = kInteger, .default_value = 512, .minimum = 1, .maximum = 1e7},
                      {.name = "fresh", .label = "fresh", .help = "New ones a step", .type = kInteger, .default_value = 1, .minimum = 0, .maximum = 65536},
                      {.name = "model", .label = "model", .help = "A checkpoint whose autoencoder is trained further: a path relative to the configuration, or a name; absent: from nothing", .type = kText, .default_value = nullptr},
                      {.name = "decoder_only", .label = "decoder_only", .help = "Leave the encoder as it is, so that every latent keeps its meaning", .type = kBoolean, .default_value = false},
                      validation_parameter()};
  shape.groups = {data_group(),
                  {"loss", {{.name = "gradient", .label = "gradient", .help = "Weight of the error of neighbouring pixels' differences", .default_value = 0.02, .minimum = 0, .maximum = 1e6},
                            {.name = "kl", .label = "kl", .help = "Weight of the divergence from the normal distribution", .default_value = 2e-5, .minimum = 0, .maximum = 1e6}}}};
  shape.optional_networks = {"vae"};
  return {"vae", "An autoencoder, from nothing or a checkpoint's", shape, check, [](const Json& config, const std::filesystem::path& base, const Context& context) -> std::unique_ptr<Objective> {
            return std::make_unique<VaeObjective>(config, base, make_sample_source(config.at("data"), config.at("seed"), config.at("picture_size"), base, context));
          }};
}

}  // namespace attelier
