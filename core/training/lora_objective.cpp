// Low-rank adaptation of a checkpoint to a few pictures (Hu et al. 2021; with ten pictures of one subject, what DreamBooth is used for).
#include <c10/core/GradMode.h>

#include "core/training/checkpoint_objective.h"
#include "core/training/lora_layers.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> endings_of(const Json& config) {
  std::vector<std::string> endings = config.at("targets");
  if (!config.at("train_text_encoder").get<bool>()) return endings;
  const std::vector<std::string> text = config.at("text_targets");
  endings.insert(endings.end(), text.begin(), text.end());
  return endings;
}

class LoraObjective : public CheckpointObjective {
 public:
  LoraObjective(const Json& config, std::unique_ptr<BaseModel> base, int64_t size, std::shared_ptr<const SampleSource> source)
      : CheckpointObjective(config, std::move(base), size, std::move(source)),
        trains_text_(config.at("train_text_encoder").get<bool>()),
        layers_(targets(), endings_of(config), config.at("rank"), config.at("alpha").is_null() ? config.at("rank").get<double>() : config.at("alpha").get<double>()) {}

  nn::Module& module() override { return layers_; }

  void initialise(at::Generator generator, at::Device device) override {
    layers_.initialise_layers(generator, device);
    layers_.attach();
  }

  at::Tensor sheet(const Context& context) override {
    std::vector<at::Tensor> tiles;
    Example told = example(-1);
    std::vector<std::string> prompts = config().at("sheet");
    if (prompts.empty()) prompts = {told.caption, told.caption, told.caption};
    for (const std::string& prompt : prompts) {
      told.caption = prompt;
      tiles.push_back(sample(told, tiles.size(), context));
    }
    return contact_sheet(tiles, 6);
  }

  void export_model(const fs::path& folder, const Context&) override {
    fs::create_directories(folder);
    layers_.write(folder / "lora.safetensors", config().at("naming") == "kohya" ? LoraLayers::Naming::kKohya : LoraLayers::Naming::kDiffusers);
  }

 protected:
  at::Tensor predict(const NoisyBatch& batch, const Context&) override {
    return base().unet().forward(inputs_of(batch, trains_text_), forward_context());
  }

 private:
  std::vector<LoraTarget> targets() {
    std::vector<LoraTarget> all = {{"unet", &base().unet()}};
    if (!trains_text_) return all;
    const char* names[] = {"text_encoder", "text_encoder_2"};
    for (TextEncoder* encoder : base().text_encoders(true)) all.push_back({names[all.size() - 1], encoder});
    return all;
  }

  bool trains_text_;
  LoraLayers layers_;
};

/// A UNet that the checkpoint's config describes, without weights: for its layers' names.
void check_targets(const Json& config, const ModelFiles& files, ConfigProblems& problems) {
  UNet unet(UNetConfig::from_json(files.config("unet")));
  const auto complain = [&](const char* pointer, const std::vector<std::string>& unmatched) {
    if (!unmatched.empty()) problems.add(pointer, "names {}, with which no layer ends; such names are to_q, to_out.0, ff.net.2, proj_in (UNet), q_proj, fc1 (text encoder)", fmt::join(unmatched, ", "));
  };
  const std::vector<std::string> own = config.at("targets"), text = config.at("text_targets");
  complain("/targets", unmatched_endings({{"unet", &unet}}, own));
  if (!config.at("train_text_encoder").get<bool>()) return;
  TextEncoder encoder(TextEncoderConfig::from_json(files.config("text_encoder")));
  complain("/text_targets", unmatched_endings({{"text_encoder", &encoder}}, text));
}

void check(const Json& config, const fs::path& base, ConfigProblems& problems) {
  check_data(config.at("data"), base, problems);
  if (config.at("targets").empty()) problems.add("/targets", "is empty; name endings of layers, such as to_q");
  if (!check_base_model(config, base, problems)) return;
  const ModelFiles files(base_model_path(config, base));
  const int64_t channels = UNetConfig::from_json(files.config("unet")).in_channels, latent = VaeConfig::from_json(files.config("vae")).latent_channels;
  if (channels != latent) problems.add("/model", "is {}, whose UNet has {} input channels; a LoRA is trained on a text-to-image UNet with {}", config.at("model").dump(), channels, latent);
  check_targets(config, files, problems);
}

}  // namespace

ObjectiveKind lora_objective() {
  using enum ParameterType;
  ConfigShape shape = merged(denoising_shape(nullptr), base_model_shape());
  const std::vector<ParameterDescription> own = {
      {.name = "rank", .label = "rank", .help = "Width of the matrices", .type = kInteger, .default_value = 8, .minimum = 1, .maximum = 1024},
      {.name = "alpha", .label = "alpha", .help = "The addition is multiplied by alpha / rank; absent: by 1", .default_value = nullptr, .minimum = 0, .maximum = 1e6, .minimum_is_exclusive = true},
      {.name = "targets", .label = "targets", .help = "Endings of the UNet's layers that are adapted", .type = kTexts, .default_value = {"to_q", "to_k", "to_v", "to_out.0"}},
      {.name = "train_text_encoder", .label = "train_text_encoder", .help = "Adapt the text encoder too", .type = kBoolean, .default_value = false},
      {.name = "text_targets", .label = "text_targets", .help = "Endings of its layers", .type = kTexts, .default_value = {"q_proj", "k_proj", "v_proj", "out_proj"}},
      {.name = "naming", .label = "naming", .help = "Names in the file", .type = kChoice, .default_value = "kohya", .choices = {"kohya", "diffusers"}}};
  shape.parameters.insert(shape.parameters.end(), own.begin(), own.end());
  return {"lora", "A LoRA beside a frozen checkpoint", shape, check, [](const Json& config, const fs::path& base, const Context& context) -> std::unique_ptr<Objective> {
            auto model = std::make_unique<BaseModel>(base_model_path(config, base), context.device);
            const int64_t size = picture_size(config, model->model().files());
            return std::make_unique<LoraObjective>(config, std::move(model), size, make_sample_source(config.at("data"), config.at("seed"), size, base, context));
          }};
}

}  // namespace attelier
