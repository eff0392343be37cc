// All weights of a checkpoint's UNet, and of its text encoders if wanted: what a LoRA is too small for.
#include <c10/core/GradMode.h>

#include "core/base/files.h"
#include "core/training/base_model.h"
#include "core/training/denoising_objective.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTextEncoders[] = {"text_encoder", "text_encoder_2"};

class FineTuneObjective : public DenoisingObjective {
 public:
  FineTuneObjective(const Json& config, std::unique_ptr<BaseModel> base, int64_t size, std::shared_ptr<const SampleSource> source)
      : DenoisingObjective(config, base->model().scheduler_config(), std::move(source)), base_(std::move(base)), size_(size), trains_text_(config.at("train_text_encoder").get<bool>()) {
    trained_.add("unet", base_->unet());
    if (!trains_text_) return;
    encoders_ = base_->text_encoders(true);
    for (size_t i = 0; i < encoders_.size(); ++i) trained_.add(kTextEncoders[i], *encoders_[i]);
  }

  nn::Module& module() override { return trained_; }

  /// The checkpoint's weights, in storage of their own: a file's is not written to.
  void initialise(at::Generator, at::Device) override {
    c10::NoGradGuard no_grad;
    for (const nn::NamedParameter& entry : trained_.named_parameters()) entry.parameter->value = entry.parameter->value.clone();
  }

  at::Tensor sheet(const Context& context) override {
    std::vector<at::Tensor> tiles;
    Example told = example(-1);
    std::vector<std::string> prompts = config().at("sheet");
    for (int64_t i = -1; prompts.size() < 4 && config().at("sheet").empty(); --i) prompts.push_back(example(i).caption);
    for (const std::string& prompt : prompts) {
      told.caption = prompt;
      tiles.push_back(sample(told, tiles.size(), context));
    }
    return contact_sheet(tiles, 6);
  }

  void export_model(const fs::path& folder, const Context&) override {
    base_->export_surroundings(folder, base_->model().is_xl() ? "StableDiffusionXLPipeline" : "StableDiffusionPipeline");
    write_component(folder / "unet", base_->unet().config().to_json(), "diffusion_pytorch_model.safetensors", base_->unet());
    for (size_t i = 0; i < encoders_.size(); ++i) write_component(folder / kTextEncoders[i], base_->model().files().config(kTextEncoders[i]), "model.safetensors", *encoders_[i]);
  }

 protected:
  at::Tensor encode(const at::Tensor& picture) override { return base_->encode(picture); }
  at::Tensor decode(const at::Tensor& latent) override { return base_->decode(latent); }
  at::Tensor predict(const NoisyBatch& batch, const Context&) override {
    UNetInputs inputs;
    inputs.sample = batch.noisy;
    inputs.timestep = batch.timestep;
    base_->tell(inputs, batch.captions, size_, trains_text_);
    ForwardContext context;
    context.recompute = recompute();
    return base_->unet().forward(inputs, context);
  }

 private:
  /// One module for one optimiser.
  struct Trained : nn::Module {
    using nn::Module::add;
  };

  std::unique_ptr<BaseModel> base_;
  int64_t size_;
  bool trains_text_;
  std::vector<TextEncoder*> encoders_;
  Trained trained_;
};

void check(const Json& config, const fs::path& base, ConfigProblems& problems) {
  check_data(config.at("data"), base, problems);
  if (!check_base_model(config, base, problems)) return;
  const ModelFiles files(base_model_path(config, base));
  const int64_t channels = UNetConfig::from_json(files.config("unet")).in_channels, latent = VaeConfig::from_json(files.config("vae")).latent_channels;
  if (channels != latent) problems.add("/model", "is {}, whose UNet has {} input channels; a text-to-image UNet with {} is needed (\"objective\": \"inpainting\" goes on with the other)", config.at("model").dump(), channels, latent);
}

}  // namespace

ObjectiveKind fine_tune_objective() {
  ConfigShape shape = merged(denoising_shape(nullptr), base_model_shape());
  shape.parameters.push_back({.name = "train_text_encoder", .label = "train_text_encoder", .help = "Train the text encoders too", .type = ParameterType::kBoolean, .default_value = false});
  return {"fine_tune", "All weights of a checkpoint", shape, check, [](const Json& config, const fs::path& base, const Context& context) -> std::unique_ptr<Objective> {
            auto model = std::make_unique<BaseModel>(base_model_path(config, base), context.device);
            const int64_t size = picture_size(config, model->model().files());
            return std::make_unique<FineTuneObjective>(config, std::move(model), size, make_sample_source(config.at("data"), config.at("seed"), size, base, context));
          }};
}

}  // namespace attelier
