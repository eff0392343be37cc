#include "core/training/base_model.h"

#include <c10/core/GradMode.h>

#include "core/base/files.h"
#include "core/weights/model_store.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMostKept = 4096;  // captions

}  // namespace

BaseModel::BaseModel(const fs::path& path, at::Device device) : model_(path, device, at::kFloat) {
  c10::NoGradGuard no_grad;
  model_.vae();  // before a second thread asks for it
  model_.unet().to(device, at::kFloat);
}

std::vector<TextEncoder*> BaseModel::text_encoders(bool trainable) {
  c10::NoGradGuard no_grad;
  std::vector<TextEncoder*> encoders = {&model_.text_encoder(0)};
  if (model_.is_xl()) encoders.push_back(&model_.text_encoder(1));
  if (trainable)
    for (TextEncoder* encoder : encoders) encoder->to(model_.device(), at::kFloat);
  return encoders;
}

PromptEmbedding BaseModel::embed(const std::string& caption) {
  PromptEmbedding embedding = model_.encode_prompt(caption, {}, {});
  if (!caption.empty() || !model_.zeros_for_empty_prompt()) return embedding;
  return {at::zeros_like(embedding.embeds), at::zeros_like(embedding.pooled), {}};
}

void BaseModel::tell(UNetInputs& inputs, const std::vector<std::string>& captions, int64_t size, bool with_gradients) {
  std::vector<at::Tensor> embeds, pooled;
  const auto add = [&](const PromptEmbedding& embedding) {
    embeds.push_back(embedding.embeds);
    if (embedding.pooled.defined()) pooled.push_back(embedding.pooled);
  };
  for (const std::string& caption : captions) {
    if (with_gradients) {
      add(embed(caption));
      continue;
    }
    auto found = known_.find(caption);
    if (found == known_.end()) {
      c10::NoGradGuard no_grad;
      if (known_.size() >= kMostKept) known_.clear();
      found = known_.emplace(caption, embed(caption)).first;
    }
    add(found->second);
  }
  inputs.encoder_hidden_states = at::cat(embeds);
  if (!model_.is_xl()) return;
  inputs.text_embeds = at::cat(pooled);
  const auto side = static_cast<double>(size);
  inputs.time_ids = at::tensor({side, side, 0.0, 0.0, side, side}).to(at::kFloat).to(inputs.text_embeds.device()).expand({static_cast<int64_t>(captions.size()), 6});
}

void BaseModel::export_surroundings(const fs::path& folder, const std::string& class_name) const {
  const fs::path& from = model_.files().path();
  std::error_code error;
  if (!fs::is_regular_file(from / "model_index.json", error)) return;
  fs::create_directories(folder);
  for (const char* name : {"vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler"})
    if (fs::is_directory(from / name, error)) fs::copy(from / name, folder / name, fs::copy_options::overwrite_existing | fs::copy_options::recursive);
  Json index = Json::parse(read_file(from / "model_index.json", 1 << 20), nullptr, false);
  if (!index.is_object()) index = Json::object();
  index["_class_name"] = class_name;
  write_file_atomically(folder / "model_index.json", index.dump(2) + "\n");
}

void own_weights(nn::Module& module) {
  c10::NoGradGuard no_grad;
  for (const nn::NamedParameter& entry : module.named_parameters()) entry.parameter->value = entry.parameter->value.clone();
}

ConfigShape base_model_shape() {
  ConfigShape shape;
  shape.parameters = {{.name = "model", .label = "model", .help = "The checkpoint: a path relative to the configuration, or a name", .type = ParameterType::kText, .default_value = nullptr}};
  return shape;
}

fs::path base_model_path(const Json& config, const fs::path& base) {
  const std::string name = config.at("model");
  std::error_code error;
  return fs::exists(base / name, error) ? base / name : resolve_model(name);
}

bool check_base_model(const Json& config, const fs::path& base, ConfigProblems& problems) {
  if (config.at("model").is_null()) {
    problems.add("/model", "is missing: the checkpoint to start from");
    return false;
  }
  try {
    const ModelFiles files(base_model_path(config, base));
    std::vector<std::string> absent;
    for (const char* component : {"unet", "vae", "text_encoder"})
      if (!files.has(component)) absent.emplace_back(component);
    if (!absent.empty()) {
      problems.add("/model", "is {}, which has no {}; a whole text-to-image model is needed", config.at("model").dump(), fmt::join(absent, ", "));
      return false;
    }
    UNetConfig::from_json(files.config("unet"));
    const int64_t factor = VaeConfig::from_json(files.config("vae")).factor(), size = picture_size(config, files);
    if (size % factor != 0) problems.add("/picture_size", "is {}; a multiple of {} is needed by the autoencoder", size, factor);
  } catch (const Error& error) {
    problems.add("/model", "cannot be used: {}", error.what());
    return false;
  }
  return true;
}

int64_t picture_size(const Json& config, const ModelFiles& files) {
  if (!config.at("picture_size").is_null()) return config.at("picture_size");
  return UNetConfig::from_json(files.config("unet")).sample_size * VaeConfig::from_json(files.config("vae")).factor();
}

}  // namespace attelier
