// A ControlNet beside a frozen UNet (Zhang et al. 2023): a copy of its down path that starts with zero convolutions and learns to follow a picture.
#include <c10/core/GradMode.h>

#include <cmath>

#include "core/training/base_model.h"
#include "core/training/conditions.h"
#include "core/training/denoising_objective.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

/// The UNet's own sizes, with other down blocks where the configuration names some.
UNetConfig encoder_config(const Json& config, const ModelFiles& files) {
  Json unet = files.config("unet");
  if (!config.at("down_block_types").empty()) unet["down_block_types"] = config.at("down_block_types");
  return UNetConfig::from_json(unet);
}

ControlNetConfig controlnet_config(const Json& config, const ModelFiles& files) {
  ControlNetConfig result;
  result.unet = encoder_config(config, files);
  result.conditioning_channels = config.at("conditioning_channels").get<std::vector<int64_t>>();
  return result;
}

class ControlNetObjective : public DenoisingObjective {
 public:
  ControlNetObjective(const Json& config, std::unique_ptr<BaseModel> base, int64_t size, std::shared_ptr<const SampleSource> source)
      : DenoisingObjective(config, base->model().scheduler_config(), std::move(source)),
        base_(std::move(base)),
        size_(size),
        kind_(condition_named(config.at("condition"))),
        net_(controlnet_config(config, base_->model().files())) {}

  nn::Module& module() override { return net_; }

  /// The UNet's weights where the names are the same; every way into the UNet starts at zero.
  void initialise(at::Generator generator, at::Device device) override {
    c10::NoGradGuard no_grad;
    net_.initialise(generator);
    std::map<std::string, at::Tensor> originals;
    for (const nn::NamedParameter& entry : base_->unet().named_parameters()) originals[entry.name] = entry.parameter->value;
    for (const nn::NamedParameter& entry : net_.named_parameters()) {
      at::Tensor& value = entry.parameter->value;
      const bool zero = entry.name.starts_with("controlnet_down_blocks.") || entry.name.starts_with("controlnet_mid_block.") || entry.name.starts_with("controlnet_cond_embedding.conv_out.");
      if (zero) value.zero_();
      else if (const auto original = originals.find(entry.name); original != originals.end()) value.copy_(original->second);
    }
    net_.to(device, at::kFloat);
  }

  /// Each held-out condition, the picture behind it, and what the caption and the condition make.
  at::Tensor sheet(const Context& context) override {
    std::vector<at::Tensor> tiles;
    for (int64_t i = 0; i < 4; ++i) {
      const Example one = example(-1 - i);
      tiles.push_back(to_signed(one.condition));
      tiles.push_back(decode(one.latent.unsqueeze(0).to(context.device).to(at::kFloat)).cpu()[0]);
      tiles.push_back(sample(one, static_cast<uint64_t>(i), context));
    }
    return contact_sheet(tiles, 6);
  }

  void export_model(const fs::path& folder, const Context&) override { write_component(folder, net_.config().to_json(), "diffusion_pytorch_model.safetensors", net_); }

 protected:
  at::Tensor encode(const at::Tensor& picture) override { return base_->encode(picture); }
  at::Tensor decode(const at::Tensor& latent) override { return base_->decode(latent); }
  void complete(Example& example, const Sample& sample, std::mt19937_64&) override { example.condition = condition_picture(sample, kind_); }

  at::Tensor predict(const NoisyBatch& batch, const Context&) override {
    UNetInputs inputs;
    inputs.sample = batch.noisy;
    inputs.timestep = batch.timestep;
    base_->tell(inputs, batch.captions, size_);
    ForwardContext context;
    context.recompute = recompute();
    ControlNetResiduals residuals = net_.forward(inputs, batch.condition, 1, false, context);
    inputs.down_residuals = std::move(residuals.down);
    inputs.mid_residual = std::move(residuals.mid);
    return base_->unet().forward(inputs, context);
  }

 private:
  std::unique_ptr<BaseModel> base_;
  int64_t size_;
  ConditionKind kind_;
  ControlNet net_;
};

void check(const Json& config, const fs::path& base, ConfigProblems& problems) {
  check_data(config.at("data"), base, problems);
  const std::string condition = config.at("condition"), source = config.at("data").at("source");
  if (!can_tell(source, condition_named(condition))) {
    if (condition == "given") problems.add("/condition", "is \"given\", which needs \"source\": \"folder\" with a \"conditioning_image\" in each line of metadata.jsonl");
    else problems.add("/condition", "is \"{}\", which \"source\": \"{}\" does not know of its pictures; \"world\" knows all, \"small_world\" depth, others have \"canny\", a folder \"given\" too", condition, source);
  }
  if (!check_base_model(config, base, problems)) return;
  const ModelFiles files(base_model_path(config, base));
  const VaeConfig vae = VaeConfig::from_json(files.config("vae"));
  const int64_t channels = UNetConfig::from_json(files.config("unet")).in_channels;
  if (channels != vae.latent_channels) problems.add("/model", "is {}, whose UNet has {} input channels; a text-to-image UNet with {} is needed", config.at("model").dump(), channels, vae.latent_channels);
  const Json& blocks = config.at("down_block_types");
  const size_t levels = UNetConfig::from_json(files.config("unet")).block_out_channels.size();
  if (!blocks.empty() && blocks.size() != levels) problems.add("/down_block_types", "has {} entries; this UNet has {} levels", blocks.size(), levels);
  for (const Json& name : blocks)
    if (name != "CrossAttnDownBlock2D" && name != "DownBlock2D") problems.add("/down_block_types", "names {}; there are CrossAttnDownBlock2D and DownBlock2D", name.dump());
  // Each entry after the first halves the picture's sides.
  const auto entries = static_cast<int64_t>(config.at("conditioning_channels").size());
  if (entries < 1 || int64_t{1} << (entries - 1) != vae.factor())
    problems.add("/conditioning_channels", "has {} entries; this autoencoder makes pictures {} times smaller, which needs {}", entries, vae.factor(), std::llround(std::log2(vae.factor())) + 1);
}

}  // namespace

ObjectiveKind controlnet_objective() {
  using enum ParameterType;
  ConfigShape shape = merged(denoising_shape(nullptr), base_model_shape());
  shape.parameters.push_back({.name = "condition", .label = "condition", .help = "depth, edges, segmentation: of the world's truth (small_world: depth); canny: edges of any picture; given: the folder's own pictures", .type = kChoice, .default_value = "depth", .choices = condition_names()});
  shape.parameters.push_back({.name = "conditioning_channels", .label = "conditioning_channels", .help = "Widths of the convolutions that the condition passes", .type = kIntegers, .default_value = {16, 32, 96, 256}, .minimum = 1, .maximum = 4096});
  shape.parameters.push_back({.name = "down_block_types", .label = "down_block_types", .help = "CrossAttnDownBlock2D or DownBlock2D for each level: a ControlNet without attention is half as large; absent = as in the UNet", .type = kTexts, .default_value = Json::array()});
  return {"controlnet", "A ControlNet beside a frozen checkpoint", shape, check, [](const Json& config, const fs::path& base, const Context& context) -> std::unique_ptr<Objective> {
            auto model = std::make_unique<BaseModel>(base_model_path(config, base), context.device);
            const int64_t size = picture_size(config, model->model().files());
            std::shared_ptr<const SampleSource> source = make_sample_source(config.at("data"), config.at("seed"), size, base, context);
            if (config.at("condition") == "given" && !source->has_condition())
              fail(ExitCode::kBadInput, "/condition is \"given\", but not every picture of /data/path has a \"conditioning_image\" in metadata.jsonl");
            return std::make_unique<ControlNetObjective>(config, std::move(model), size, std::move(source));
          }};
}

}  // namespace attelier
