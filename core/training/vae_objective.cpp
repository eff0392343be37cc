// Autoencoder training on drawn pictures: squared error, gradients, KL.
#include <c10/core/GradMode.h>

#include <cmath>

#include "core/base/files.h"
#include "core/models/vae.h"
#include "core/training/autocast.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"
#include "core/training/rolling_pool.h"

namespace attelier {
namespace {

/// Mean squared difference of neighbouring pixels' differences: the error in edges.
at::Tensor gradient_error(const at::Tensor& difference) {
  const at::Tensor horizontal = difference.slice(3, 1) - difference.slice(3, 0, -1);
  const at::Tensor vertical = difference.slice(2, 1) - difference.slice(2, 0, -1);
  return horizontal.abs().mean() + vertical.abs().mean();
}

class VaeObjective : public Objective {
 public:
  VaeObjective(const Json& config, const std::filesystem::path& base)
      : config_(config),
        vae_(VaeConfig::from_json(config.at("vae"))),
        seed_(config.value("seed", uint64_t{0})),
        batch_(config.value("batch", int64_t{16})),
        crop_(config.value("crop", int64_t{64})),
        picture_size_(config.value("picture_size", int64_t{256})),
        weights_(config.value("loss", Json::object())),
        validation_(validation_pictures(config, base, 256)),
        pool_(config.value("pool", int64_t{512}), config.value("fresh", int64_t{1}), [this](int64_t number) {
          return draw_picture(seed_, number, picture_size_, config_.value("world_share", 0.0)).pixels;
        }) {}

  nn::Module& module() override { return vae_; }

  /// Residual branches start at zero and the path beside them keeps the variance, so that the first code is a linear one that colours survive: with
  /// PyTorch's own draw, seven convolutions shrink the signal to a fiftieth, and the training stayed grey for thousands of steps.
  /// Latents start almost without noise (log variance -6), so that none is given up before the decoder has learnt to read it.
  void initialise(at::Generator generator) override {
    c10::NoGradGuard no_grad;
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
  }

  void prepare(int64_t step, const Context& context) override {
    pool_.fill(step, [&](int64_t done, int64_t total) {
      context.check_stop();
      context.report("drawing", done, total);
    });
  }

  at::Tensor loss(int64_t step, int64_t micro, const Context& context) override {
    if (micro == 0) pool_.start_next();
    std::mt19937_64 random = step_random(seed_, step, micro);
    const at::Tensor x = batch(random).to(context.device);
    at::Generator generator = make_generator(random());
    at::Tensor reconstruction, mean, logvar;
    {
      const Autocast autocast(context.device.type(), config_.value("bfloat16", true));
      const VaePosterior posterior = vae_.encode(x);
      mean = posterior.mean.to(at::kFloat);
      logvar = posterior.logvar.to(at::kFloat);
      const at::Tensor noise = at::randn(mean.sizes(), generator, at::kFloat).to(context.device);
      reconstruction = vae_.decode(mean + at::exp(0.5 * logvar) * noise).to(at::kFloat);
    }
    const at::Tensor difference = reconstruction - x;
    const at::Tensor kl = 0.5 * (mean.pow(2) + logvar.exp() - 1 - logvar).mean();
    return difference.pow(2).mean() + weights_.value("gradient", 0.02) * gradient_error(difference) + weights_.value("kl", 2e-5) * kl;
  }

  void end_step() override { pool_.swap_in(); }

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
    for (const auto& [name, picture] : validation_) add(picture);
    for (int64_t number = 0; number < 6; ++number) add(to_signed(draw_picture(seed_, -1 - number, 256, config_.value("world_share", 0.0)).pixels).unsqueeze(0));
    return contact_sheet(tiles, 4);
  }

  void export_model(const std::filesystem::path& folder, const Context& context) override {
    // The scaling factor makes the latents of the training pictures have unit variance.
    double squares = 0, sum = 0;
    int64_t count = 0;
    for (int64_t number = 0; number < 32; ++number) {
      const at::Tensor z = vae_.encode(to_signed(draw_picture(seed_, -100 - number, 128, 0.5).pixels).unsqueeze(0).to(context.device)).mean;
      squares += z.pow(2).sum().item<double>();
      sum += z.sum().item<double>();
      count += z.numel();
    }
    const double average = sum / static_cast<double>(count);
    VaeConfig config = vae_.config();
    config.scaling_factor = 1 / std::sqrt(squares / static_cast<double>(count) - average * average);
    write_component(folder / "vae", config.to_json(), "diffusion_pytorch_model.safetensors", vae_);
  }

 private:
  /// [B, 3, crop, crop] in [-1, 1]: crops of pool pictures, mirrored, turned and with their colour channels exchanged, so that no hue is rare.
  at::Tensor batch(std::mt19937_64& random) const {
    std::vector<at::Tensor> crops;
    for (int64_t i = 0; i < batch_; ++i) {
      const at::Tensor& picture = pool_[static_cast<int64_t>(random() % static_cast<uint64_t>(pool_.size()))];
      const auto offset = [&] { return static_cast<int64_t>(random() % static_cast<uint64_t>(picture_size_ - crop_ + 1)); };
      const int64_t y = offset(), x = offset();
      at::Tensor crop = picture.slice(1, y, y + crop_).slice(2, x, x + crop_);
      if (random() & 1) crop = crop.flip(2);
      if (random() & 1) crop = crop.transpose(1, 2);
      if (random() & 1) crop = crop.roll(1 + static_cast<int64_t>(random() & 1), 0);
      if (random() & 1) crop = crop.flip(0);
      crops.push_back(crop);
    }
    return to_signed(at::stack(crops)).contiguous(at::MemoryFormat::ChannelsLast);
  }

  Json config_;
  Vae vae_;
  uint64_t seed_;
  int64_t batch_, crop_, picture_size_;
  Json weights_;
  std::vector<std::pair<std::string, at::Tensor>> validation_;
  RollingPool<at::Tensor> pool_;
};

}  // namespace

std::unique_ptr<Objective> make_vae_objective(const Json& config, const std::filesystem::path& base) { return std::make_unique<VaeObjective>(config, base); }

}  // namespace attelier
