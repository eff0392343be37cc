// A UNet that repaints under a mask (SD 1.5's inpainting variant): latent, mask and masked latent in, from a text-to-image UNet whose first convolution
// gets zeros for the new channels.
#include <c10/core/GradMode.h>

#include "core/diffusion/latents.h"
#include "core/training/checkpoint_objective.h"
#include "core/training/masks.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"
#include "core/weights/load.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

UNetConfig inpainting_config(const ModelFiles& files) {
  UNetConfig config = UNetConfig::from_json(files.config("unet"));
  config.in_channels = 2 * VaeConfig::from_json(files.config("vae")).latent_channels + 1;
  return config;
}

/// Every weight of `original` in storage of its own; input channels that it lacks are zero.
void start_from(UNet& unet, UNet& original) {
  const auto parameters = unet.named_parameters(), originals = original.named_parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor& value = originals[i].parameter->value;
    at::Tensor own = at::zeros(parameters[i].parameter->shape, at::kFloat);
    (parameters[i].name == "conv_in.weight" ? own.narrow(1, 0, value.size(1)) : own).copy_(value);
    parameters[i].parameter->value = own;
  }
}

class InpaintingObjective : public CheckpointObjective {
 public:
  InpaintingObjective(const Json& config, std::unique_ptr<BaseModel> base, int64_t size, std::shared_ptr<const SampleSource> source)
      : CheckpointObjective(config, std::move(base), size, std::move(source)), unet_(inpainting_config(this->base().model().files())) {
    for (const std::string& name : config.at("masks").get<std::vector<std::string>>()) masks_.push_back(mask_named(name));
  }

  nn::Module& module() override { return unet_; }

  void initialise(at::Generator, at::Device device) override {
    c10::NoGradGuard no_grad;
    const ModelFiles& files = base().model().files();
    UNet original(UNetConfig::from_json(files.config("unet")));
    load_weights(original, *files.weights("unet"), at::kCPU, at::kFloat);
    start_from(unet_, original);
    unet_.to(device, at::kFloat);
  }

  /// Each held-out picture, its masked self, and the repainted one.
  at::Tensor sheet(const Context& context) override {
    std::vector<at::Tensor> tiles;
    for (int64_t i = 0; i < 4; ++i) {
      const Example one = example(-1 - i);
      for (const at::Tensor& latent : {one.latent, one.masked}) tiles.push_back(decode(latent.unsqueeze(0).to(context.device).to(at::kFloat)).cpu()[0]);
      tiles.push_back(sample(one, static_cast<uint64_t>(i), context));
    }
    return contact_sheet(tiles, 6);
  }

  void export_model(const fs::path& folder, const Context&) override {
    base().export_surroundings(folder, base().model().is_xl() ? "StableDiffusionXLInpaintPipeline" : "StableDiffusionInpaintPipeline");
    write_component(folder / "unet", unet_.config().to_json(), "diffusion_pytorch_model.safetensors", unet_);
  }

 protected:

  void complete(Example& example, const Sample& sample, std::mt19937_64& random) override {
    const at::Tensor mask = random_mask(masks_[random() % masks_.size()], sample.pixels.size(1), sample.instances, random).unsqueeze(0);
    const at::Tensor masked = masked_picture(to_signed(sample.pixels).unsqueeze(0), mask);
    example.mask = mask_to_latent(mask, example.latent.size(1), example.latent.size(2))[0].to(at::kHalf);
    example.masked = encode(masked)[0].to(at::kCPU, at::kHalf);
  }

  at::Tensor predict(const NoisyBatch& batch, const Context&) override {
    UNetInputs inputs = inputs_of(batch);
    inputs.sample = at::cat({batch.noisy, inpainting_channels(batch.mask, batch.masked, batch.noisy.size(0))}, 1);
    return unet_.forward(inputs, forward_context());
  }

 private:
  UNet unet_;
  std::vector<MaskKind> masks_;
};

void check(const Json& config, const fs::path& base, ConfigProblems& problems) {
  check_data(config.at("data"), base, problems);
  const std::vector<std::string>& known = mask_names();
  if (config.at("masks").empty()) problems.add("/masks", "is empty; there are {}", fmt::join(known, ", "));
  for (const Json& name : config.at("masks")) {
    if (std::find(known.begin(), known.end(), name) == known.end()) problems.add("/masks", "names {}; there are {}", name.dump(), fmt::join(known, ", "));
    else if (const Json& source = config.at("data").at("source"); name == "object" && source != "world" && source != "small_world")
      problems.add("/masks", "names \"object\", which only \"source\": \"world\" and \"small_world\" know; leave it out");
  }
  if (!check_base_model(config, base, problems)) return;
  const ModelFiles files(base_model_path(config, base));
  const int64_t channels = UNetConfig::from_json(files.config("unet")).in_channels, latent = VaeConfig::from_json(files.config("vae")).latent_channels;
  if (channels != latent && channels != 2 * latent + 1)
    problems.add("/model", "is {}, whose UNet has {} input channels; {} (text to image) and {} (inpainting, to go on) are possible", config.at("model").dump(), channels, latent, 2 * latent + 1);
}

}  // namespace

ObjectiveKind inpainting_objective() {
  ConfigShape shape = merged(denoising_shape(nullptr), base_model_shape());
  shape.parameters.push_back({.name = "masks", .label = "masks", .help = "Kinds of masks, each as likely: rectangle, stroke, object, all", .type = ParameterType::kTexts, .default_value = {"rectangle", "stroke", "stroke", "all"}});
  return {"inpainting", "An inpainting UNet from a text-to-image one", shape, check, [](const Json& config, const fs::path& base, const Context& context) -> std::unique_ptr<Objective> {
            auto model = std::make_unique<BaseModel>(base_model_path(config, base), context.device);
            const int64_t size = picture_size(config, model->model().files());
            return std::make_unique<InpaintingObjective>(config, std::move(model), size, make_sample_source(config.at("data"), config.at("seed"), size, base, context));
          }};
}

}  // namespace attelier
