#include "core/diffusion/diffusion_model.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/base/files.h"
#include "core/text/prompt_tokens.h"
#include "core/weights/load.h"

namespace attelier {
namespace {

std::string component_name(const std::string& base, int64_t index) { return index == 0 ? base : base + "_2"; }

/// Loads one component; config and weights come from the same place.
template <typename ModuleType, typename Config>
std::unique_ptr<ModuleType> load_component(const ModelFiles& files, const std::string& component, at::Device device, at::ScalarType dtype) {
  auto module = std::make_unique<ModuleType>(Config::from_json(files.config(component)));
  load_weights(*module, *files.weights(component), device, dtype);
  module->prepare_for_inference();
  return module;
}

}  // namespace

DiffusionModel::DiffusionModel(const std::filesystem::path& path, at::Device device, at::ScalarType dtype)
    : files_(std::make_unique<ModelFiles>(path)), device_(device), dtype_(dtype) {}

DiffusionModel::~DiffusionModel() = default;

template <typename ModuleType, typename Config>
std::unique_ptr<ModuleType> DiffusionModel::load(const std::string& component, at::ScalarType dtype) const {
  if (on_load_) on_load_(false);
  auto module = load_component<ModuleType, Config>(*files_, component, device_, dtype);
  if (on_load_) on_load_(true);
  return module;
}

bool DiffusionModel::has(const std::string& component) const { return files_->has(component); }
bool DiffusionModel::is_xl() const { return files_->has("unet") && !files_->config("unet").value("addition_embed_type", nlohmann::json()).is_null(); }

bool DiffusionModel::zeros_for_empty_prompt() const {
  if (!is_xl()) return false;
  const std::filesystem::path index = files_->path() / "model_index.json";
  std::error_code error;
  if (!std::filesystem::is_regular_file(index, error)) return true;
  const nlohmann::json json = nlohmann::json::parse(read_file(index, uint64_t{1} << 24), nullptr, false);
  return !json.is_object() || json.value("force_zeros_for_empty_prompt", nlohmann::json(true)) != nlohmann::json(false);
}

UNet& DiffusionModel::unet() {
  if (!unet_) unet_ = load<UNet, UNetConfig>("unet", dtype_);
  return *unet_;
}

at::ScalarType DiffusionModel::vae_dtype() const {
  // SDXL's decoder overflows in float16 (Podell et al. 2023); bfloat16 has float32's range.
  const bool upcast = files_->config("vae").value("force_upcast", true) && is_xl();
  return upcast && dtype_ == at::kHalf ? at::kFloat : dtype_;
}

Vae& DiffusionModel::vae() {
  if (!vae_) vae_ = load<Vae, VaeConfig>("vae", vae_dtype());
  return *vae_;
}

TextEncoder& DiffusionModel::text_encoder(int64_t index) {
  auto& slot = text_encoders_[index];
  if (!slot) slot = load<TextEncoder, TextEncoderConfig>(component_name("text_encoder", index), dtype_);
  return *slot;
}

const Tokenizer& DiffusionModel::tokenizer(int64_t index) {
  auto& slot = tokenizers_[index];
  if (slot) return *slot;
  const std::filesystem::path folder = files_->tokenizer_folder(component_name("tokenizer", index));
  if (!folder.empty()) {
    slot = Tokenizer::from_folder(folder);
    return *slot;
  }
  // Single files carry no tokenizer: CLIP's own merges. OpenCLIP encoders pad with 0 ("!"), CLIP-L with the end token.
  TokenizerOptions options;
  const bool open_clip = index == 1 || text_encoder(index).config().width == 1024;
  if (open_clip) options.pad_token = 0;
  slot = Tokenizer::from_clip_merges(cache_folder() / "deps/clip/bpe_simple_vocab_16e6.txt.gz", options);
  return *slot;
}

nlohmann::json DiffusionModel::scheduler_config() const { return files_->scheduler_config(); }

std::unique_ptr<Scheduler> DiffusionModel::scheduler(const std::string& class_name, const nlohmann::json& options) const {
  return make_scheduler(files_->scheduler_config(), class_name, options);
}

int64_t DiffusionModel::native_size() {
  const int64_t sample = UNetConfig::from_json(files_->config("unet")).sample_size;
  return sample * VaeConfig::from_json(files_->config("vae")).factor();
}

namespace {

/// One encoder's view of a prompt: hidden states [1, S, C] and the pooled vector of the first chunk.
struct Encoded {
  at::Tensor hidden, pooled;
  std::string cut;
};

Encoded encode_one(const Tokenizer& tokenizer, TextEncoder& encoder, const std::string& prompt, const PromptOptions& options, bool xl, at::Device device,
                   const ForwardContext& context) {
  const PromptTokens tokens = tokenize_prompt(tokenizer, prompt, options.weights, options.long_prompt, options.chunks);
  Encoded result;
  result.cut = tokens.cut;
  std::vector<at::Tensor> hidden;
  for (size_t i = 0; i < tokens.ids.size(); ++i) {
    const at::Tensor ids = at::tensor(tokens.ids[i]).unsqueeze(0).to(device);
    const TextEncoderOutput output = encoder.forward(ids, {}, context);
    const auto skip = static_cast<size_t>(options.clip_skip);
    const size_t last = output.hidden_states.size() - 1;
    if (skip > last) fail(ExitCode::kBadInput, "/params/clip_skip is {}; this text encoder has {} layers", skip, last);
    at::Tensor states;
    if (xl)
      states = output.hidden_states.at(last - std::min(last, skip + 1));  // without the final layer norm
    else
      states = skip == 0 ? output.last_hidden_state : encoder.final_norm(output.hidden_states[last - skip]);
    if (i < tokens.weights.size()) {
      // The mean of the embedding is kept, so that weights shift emphasis and not strength.
      const at::Tensor factor = at::tensor(tokens.weights[i]).view({1, -1, 1}).to(states.device(), states.scalar_type());
      const at::Tensor before = states.mean();
      states = states * factor;
      states = states * (before / states.mean());
    }
    hidden.push_back(states);
    if (i == 0) result.pooled = output.pooled;
  }
  result.hidden = at::cat(hidden, 1);
  return result;
}

}  // namespace

PromptEmbedding DiffusionModel::encode_prompt(const std::string& prompt, const PromptOptions& options, const ForwardContext& context) {
  const bool xl = is_xl();
  Encoded first = encode_one(tokenizer(0), text_encoder(0), prompt, options, xl, device_, context);
  if (!xl) return {first.hidden, {}, first.cut};
  PromptOptions even = options;
  even.chunks = std::max(options.chunks, first.hidden.size(1) / tokenizer(0).options().length);
  const Encoded second = encode_one(tokenizer(1), text_encoder(1), options.second.empty() ? prompt : options.second, even, xl, device_, context);
  if (second.hidden.size(1) > first.hidden.size(1)) {
    even.chunks = second.hidden.size(1) / tokenizer(1).options().length;
    first = encode_one(tokenizer(0), text_encoder(0), prompt, even, xl, device_, context);
  }
  return {at::cat({first.hidden, second.hidden}, 2), second.pooled, first.cut.empty() ? second.cut : first.cut};
}

at::Tensor DiffusionModel::encode(const at::Tensor& picture, const NoiseSource& noise, const ForwardContext& context, const VaeTiling& tiling) {
  const VaePosterior posterior = vae().encode(picture.to(device_, vae_dtype()), context, tiling);
  const at::Tensor z = noise ? posterior.sample(noise(posterior.mean)) : posterior.mean;
  return (z * vae().config().scaling_factor).to(dtype_);
}

at::Tensor DiffusionModel::decode(const at::Tensor& latent, const ForwardContext& context, const VaeTiling& tiling, const Context* progress) {
  const at::Tensor z = latent.to(device_, vae_dtype()) / vae().config().scaling_factor;
  const auto report = [progress](int64_t done, int64_t total) {
    if (progress != nullptr) progress->report("decoding", done, total);
  };
  return vae().decode(z, context, tiling, z.size(0) > 1, report).to(at::kFloat);
}

std::unique_ptr<ControlNet> load_controlnet(const std::filesystem::path& path, at::Device device, at::ScalarType dtype) {
  const ModelFiles files(path);
  if (!files.has("controlnet")) fail(ExitCode::kModel, "{}: is no ControlNet; it holds {}", path.string(), fmt::join(files.components(), ", "));
  return load_component<ControlNet, ControlNetConfig>(files, "controlnet", device, dtype);
}

}  // namespace attelier
