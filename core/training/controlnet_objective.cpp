// A ControlNet beside a frozen UNet (Zhang et al. 2023): a copy of its down path that starts with zero convolutions and learns to follow a picture.
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "core/training/checkpoint_objective.h"
#include "core/training/conditions.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"
#include "core/weights/load.h"
#include "core/weights/model_store.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

fs::path start_path(const Json& config, const fs::path& base) {
  const std::string name = config.at("start");
  std::error_code error;
  return fs::exists(base / name, error) ? base / name : resolve_model(name);
}

/// Of the ControlNet that is trained further; else the UNet's own sizes, with other down blocks where the configuration names some.
ControlNetConfig controlnet_config(const Json& config, const fs::path& base, const ModelFiles& files) {
  if (!config.at("start").is_null()) return ControlNetConfig::from_json(ModelFiles(start_path(config, base)).config("controlnet"));
  Json unet = files.config("unet");
  if (!config.at("down_block_types").empty()) unet["down_block_types"] = config.at("down_block_types");
  ControlNetConfig result;
  result.unet = UNetConfig::from_json(unet);
  result.conditioning_channels = config.at("conditioning_channels").get<std::vector<int64_t>>();
  return result;
}

/// Names of the kinds of pictures that it learns to read, each as likely.
std::vector<std::string> conditions_of(const Json& config) {
  std::vector<std::string> names = config.at("conditions");
  if (names.empty()) names.push_back(config.at("condition"));
  return names;
}

class ControlNetObjective : public CheckpointObjective {
 public:
  ControlNetObjective(const Json& config, const fs::path& base_folder, std::unique_ptr<BaseModel> base, int64_t size, std::shared_ptr<const SampleSource> source)
      : CheckpointObjective(config, std::move(base), size, std::move(source)), net_(controlnet_config(config, base_folder, this->base().model().files())) {
    for (const std::string& name : conditions_of(config)) kinds_.push_back(condition_named(name));
    if (!config.at("start").is_null()) start_ = ModelFiles(start_path(config, base_folder)).weights("controlnet");
  }

  nn::Module& module() override { return net_; }

  /// The UNet's weights where the names are the same; every way into the UNet starts at zero. Or those of the ControlNet that is trained further.
  void initialise(at::Generator generator, at::Device device) override {
    c10::NoGradGuard no_grad;
    if (start_) {
      load_weights(net_, *start_, at::kCPU, at::kFloat);
      own_weights(net_);
      return net_.to(device, at::kFloat);
    }
    net_.initialise(generator);
    std::map<std::string, at::Tensor> originals;
    for (const nn::NamedParameter& entry : base().unet().named_parameters()) originals[entry.name] = entry.parameter->value;
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
  void complete(Example& example, const Sample& sample, std::mt19937_64& random) override { example.condition = condition_picture(sample, kinds_[random() % kinds_.size()]); }

  at::Tensor predict(const NoisyBatch& batch, const Context&) override {
    UNetInputs inputs = inputs_of(batch);
    const ForwardContext context = forward_context();
    ControlNetResiduals residuals = net_.forward(inputs, batch.condition, 1, false, context);
    inputs.down_residuals = std::move(residuals.down);
    inputs.mid_residual = std::move(residuals.mid);
    return base().unet().forward(inputs, context);
  }

 private:
  std::vector<ConditionKind> kinds_;
  ControlNet net_;
  std::shared_ptr<const TensorSource> start_;  // null: from the UNet
};

void check_conditions(const Json& config, ConfigProblems& problems) {
  const std::string source = config.at("data").at("source"), pointer = config.at("conditions").empty() ? "/condition" : "/conditions";
  const std::vector<std::string>& known = condition_names();
  for (const std::string& condition : conditions_of(config)) {
    if (std::find(known.begin(), known.end(), condition) == known.end()) problems.add(pointer, "names \"{}\"; there are {}", condition, fmt::join(known, ", "));
    else if (can_tell(source, condition_named(condition))) continue;
    else if (condition == "given") problems.add(pointer, "is \"given\", which needs \"source\": \"folder\" with a \"conditioning_image\" in each line of metadata.jsonl");
    else problems.add(pointer, "is \"{}\", which \"source\": \"{}\" does not know of its pictures; \"world\" knows all, \"small_world\" depth, others have \"canny\", a folder \"given\" too", condition, source);
  }
}

void check_blocks(const Json& config, size_t levels, ConfigProblems& problems) {
  const Json& blocks = config.at("down_block_types");
  if (blocks.empty()) return;
  if (!config.at("start").is_null()) problems.add("/down_block_types", "and /start are both there: the blocks are those of that ControlNet; leave /down_block_types out");
  if (blocks.size() != levels) problems.add("/down_block_types", "has {} entries; this UNet has {} levels", blocks.size(), levels);
  for (const Json& name : blocks)
    if (name != "CrossAttnDownBlock2D" && name != "DownBlock2D") problems.add("/down_block_types", "names {}; there are CrossAttnDownBlock2D and DownBlock2D", name.dump());
}

void check(const Json& config, const fs::path& base, ConfigProblems& problems) {
  check_data(config.at("data"), base, problems);
  check_conditions(config, problems);
  if (!check_base_model(config, base, problems)) return;
  const ModelFiles files(base_model_path(config, base));
  const VaeConfig vae = VaeConfig::from_json(files.config("vae"));
  const UNetConfig unet = UNetConfig::from_json(files.config("unet"));
  if (unet.in_channels != vae.latent_channels)
    problems.add("/model", "is {}, whose UNet has {} input channels; a text-to-image UNet with {} is needed", config.at("model").dump(), unet.in_channels, vae.latent_channels);
  check_blocks(config, unet.block_out_channels.size(), problems);
  const bool goes_on = !config.at("start").is_null();
  std::vector<int64_t> conditioning_channels = config.at("conditioning_channels");
  if (goes_on) {
    try {
      const ControlNetConfig start = controlnet_config(config, base, files);
      conditioning_channels = start.conditioning_channels;
      if (start.unet.block_out_channels != unet.block_out_channels || start.unet.in_channels != unet.in_channels)
        problems.add("/start", "is {}, which belongs to another UNet: its widths are {} with {} input channels; /model has {} with {}", config.at("start").dump(),
                     fmt::join(start.unet.block_out_channels, ", "), start.unet.in_channels, fmt::join(unet.block_out_channels, ", "), unet.in_channels);
    } catch (const Error& error) {
      return problems.add("/start", "cannot be used: {}", error.what());
    }
  }
  // Each entry after the first halves the picture's sides.
  const auto entries = static_cast<int64_t>(conditioning_channels.size());
  if (entries < 1 || int64_t{1} << (entries - 1) != vae.factor())
    problems.add(goes_on ? "/start" : "/conditioning_channels", "has {} entries; this autoencoder makes pictures {} times smaller, which needs {}", entries, vae.factor(), std::llround(std::log2(vae.factor())) + 1);
}

}  // namespace

ObjectiveKind controlnet_objective() {
  using enum ParameterType;
  ConfigShape shape = merged(denoising_shape(nullptr), base_model_shape());
  shape.parameters.push_back({.name = "condition", .label = "condition", .help = "depth, edges, segmentation: of the world's truth (small_world: depth); canny: edges of any picture; given: the folder's own pictures", .type = kChoice, .default_value = "depth", .choices = condition_names()});
  shape.parameters.push_back({.name = "conditions", .label = "conditions", .help = "Several of them, each as likely, for one ControlNet that reads all", .type = kTexts, .default_value = Json::array()});
  shape.parameters.push_back({.name = "start", .label = "start", .help = "A ControlNet that is trained further: a path relative to the configuration, or a name; absent: a copy of the UNet's down path", .type = kText, .default_value = nullptr});
  shape.parameters.push_back({.name = "conditioning_channels", .label = "conditioning_channels", .help = "Widths of the convolutions that the condition passes", .type = kIntegers, .default_value = {16, 32, 96, 256}, .minimum = 1, .maximum = 4096});
  shape.parameters.push_back({.name = "down_block_types", .label = "down_block_types", .help = "CrossAttnDownBlock2D or DownBlock2D for each level: a ControlNet without attention is half as large; absent = as in the UNet", .type = kTexts, .default_value = Json::array()});
  return {"controlnet", "A ControlNet beside a frozen checkpoint", shape, check, [](const Json& config, const fs::path& base, const Context& context) -> std::unique_ptr<Objective> {
            auto model = std::make_unique<BaseModel>(base_model_path(config, base), context.device);
            const int64_t size = picture_size(config, model->model().files());
            std::shared_ptr<const SampleSource> source = make_sample_source(config.at("data"), config.at("seed"), size, base, context);
            const std::vector<std::string> conditions = conditions_of(config);
            if (std::find(conditions.begin(), conditions.end(), "given") != conditions.end() && !source->has_condition())
              fail(ExitCode::kBadInput, "/condition is \"given\", but not every picture of /data/path has a \"conditioning_image\" in metadata.jsonl");
            return std::make_unique<ControlNetObjective>(config, base, std::move(model), size, std::move(source));
          }};
}

}  // namespace attelier
