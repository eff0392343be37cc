// All weights of a checkpoint's UNet, and of its text encoders if wanted: what a LoRA is too small for.
#include <c10/core/GradMode.h>

#include "core/base/files.h"
#include "core/training/checkpoint_objective.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTextEncoders[] = {"text_encoder", "text_encoder_2"};

class FineTuneObjective : public CheckpointObjective {
 public:
  FineTuneObjective(const Json& config, std::unique_ptr<BaseModel> base, int64_t size, std::shared_ptr<const SampleSource> source)
      : CheckpointObjective(config, std::move(base), size, std::move(source)), trains_text_(config.at("train_text_encoder").get<bool>()) {
    trained_.add("unet", this->base().unet());
    if (!trains_text_) return;
    encoders_ = this->base().text_encoders(true);
    for (size_t i = 0; i < encoders_.size(); ++i) trained_.add(kTextEncoders[i], *encoders_[i]);
  }

  nn::Module& module() override { return trained_; }

  /// The checkpoint's weights.
  void initialise(at::Generator, at::Device) override {
    c10::NoGradGuard no_grad;
    own_weights(trained_);
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
    base().export_surroundings(folder, base().model().is_xl() ? "StableDiffusionXLPipeline" : "StableDiffusionPipeline");
    write_component(folder / "unet", base().unet().config().to_json(), "diffusion_pytorch_model.safetensors", base().unet());
    for (size_t i = 0; i < encoders_.size(); ++i) write_component(folder / kTextEncoders[i], base().model().files().config(kTextEncoders[i]), "model.safetensors", *encoders_[i]);
  }

 protected:
  at::Tensor predict(const NoisyBatch& batch, const Context&) override {
    return base().unet().forward(inputs_of(batch, trains_text_), forward_context());
  }

 private:
  /// One module for one optimiser.
  struct Trained : nn::Module {
    using nn::Module::add;
  };

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
