#include "core/weights/lora.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/weights/quote.h"
#include "core/weights/tensor_file.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr uint64_t kLargestConfig = uint64_t{1} << 24;

enum class Role { kDown, kUp, kMiddle, kAlpha };

struct Ending {
  std::string_view text;
  Role role;
};
constexpr std::array kEndings = {
    Ending{".lora_down.weight", Role::kDown},
    Ending{".lora_up.weight", Role::kUp},
    Ending{".lora_mid.weight", Role::kMiddle},
    Ending{".alpha", Role::kAlpha},
    Ending{".lora_linear_layer.down.weight", Role::kDown},
    Ending{".lora_linear_layer.up.weight", Role::kUp},
    Ending{".lora.down.weight", Role::kDown},
    Ending{".lora.up.weight", Role::kUp},
    Ending{"_lora.down.weight", Role::kDown},
    Ending{"_lora.up.weight", Role::kUp},
    Ending{".lora_A.weight", Role::kDown},
    Ending{".lora_B.weight", Role::kUp},
    Ending{".lora_A.default.weight", Role::kDown},
    Ending{".lora_B.default.weight", Role::kUp},
};

// Other kinds of adapters: by a part of their tensors' names, or by the end.
constexpr std::array kRefusedParts = {
    std::pair{"dora_scale", "a DoRA"}, std::pair{"lora_magnitude_vector", "a DoRA"}, std::pair{"hada_w1", "a LoHa"},    std::pair{"hada_w2", "a LoHa"},
    std::pair{"lokr_w1", "a LoKr"},    std::pair{"lokr_w2", "a LoKr"},               std::pair{"oft_blocks", "an OFT"}, std::pair{"oft_diag", "an OFT"}};
constexpr std::array kRefusedEndings = {".diff", ".diff_b", ".w_norm", ".b_norm"};

std::optional<std::pair<std::string, Role>> split_key(const std::string& name) {
  for (const Ending& ending : kEndings)
    if (name.ends_with(ending.text)) return std::pair{name.substr(0, name.size() - ending.text.size()), ending.role};
  return std::nullopt;
}

const char* refused_kind(const std::string& name) {
  for (const auto& [part, kind] : kRefusedParts)
    if (name.find(part) != std::string::npos) return kind;
  for (const char* ending : kRefusedEndings)
    if (name.ends_with(ending)) return "a full difference";
  return nullptr;
}

struct Parts {
  at::Tensor down, up, middle;
  std::optional<double> alpha;
};

std::string shape_text(const at::Tensor& tensor) { return fmt::format("[{}]", fmt::join(tensor.sizes(), ", ")); }

fs::path find_file(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return path;
  for (const char* name : {"pytorch_lora_weights.safetensors", "adapter_model.safetensors", "pytorch_lora_weights.bin", "adapter_model.bin"})
    if (fs::is_regular_file(path / name, error)) return path / name;
  fail(ExitCode::kModel, "{}: is a folder without a LoRA; expected is pytorch_lora_weights.safetensors or adapter_model.safetensors in it, or the path of the file itself",
       path.string());
}

// PEFT keeps alpha in a config: beside the file, or (diffusers) as JSON in the file's metadata, there with the component before each key.
class PeftAlphas {
 public:
  PeftAlphas(const TensorSource& source, const fs::path& file) : file_(file) {
    const auto found = source.metadata().find("lora_adapter_metadata");
    if (found != source.metadata().end()) {
      config_ = Json::parse(found->second, nullptr, false);
    } else if (std::error_code error; fs::is_regular_file(file.parent_path() / "adapter_config.json", error) && file.stem() == "adapter_model") {
      config_ = Json::parse(read_file(file.parent_path() / "adapter_config.json", kLargestConfig), nullptr, false);
    }
    if (config_.is_discarded()) fail(ExitCode::kModel, "{}: the configuration that belongs to it is not valid JSON; fetch the LoRA again", file_.string());
    if (config_.is_null()) return;
    if (!config_.is_object()) fail(ExitCode::kModel, "{}: the configuration that belongs to it is no JSON object; fetch the LoRA again", file_.string());
  }

  /// alpha / rank, or alpha / sqrt(rank) with rank stabilisation; nothing if no configuration covers the layer.
  std::optional<double> scale(const std::string& key, int64_t rank) const {
    if (config_.is_null()) return std::nullopt;
    std::string prefix, module = key.starts_with("base_model.model.") ? key.substr(17) : key;
    for (const std::string component : {"unet.", "text_encoder.", "text_encoder_2."})
      if (module.starts_with(component) && config_.contains(component + "lora_alpha")) {
        prefix = component;
        module = module.substr(component.size());
      }
    const Json alpha = pattern(prefix + "alpha_pattern", module, value(prefix + "lora_alpha"));
    if (value(prefix + "use_dora") == true) fail(ExitCode::kModel, "{}: is a DoRA, which is not supported; use a plain LoRA", file_.string());
    if (!alpha.is_number()) return std::nullopt;
    const auto r = static_cast<double>(rank);
    return alpha.get<double>() / (value(prefix + "use_rslora") == true ? std::sqrt(r) : r);
  }

 private:
  Json value(const std::string& key) const { return config_.contains(key) ? config_.at(key) : Json(); }
  // Patterns name a module or the end of its path.
  Json pattern(const std::string& key, const std::string& module, const Json& otherwise) const {
    const Json patterns = value(key);
    if (!patterns.is_object()) return otherwise;
    for (const auto& [name, alpha] : patterns.items())
      if (module == name || module.ends_with("." + name)) return alpha;
    return otherwise;
  }

  fs::path file_;
  Json config_;
};

LoraLayer make_layer(const std::string& key, Parts parts, const PeftAlphas& alphas, const std::string& file) {
  const auto reject = [&](const std::string& what) { fail(ExitCode::kModel, "{}: layer {}: {}; the file is damaged or of an unknown kind", file, in_quotes(key), what); };
  if (!parts.down.defined() || !parts.up.defined()) reject(parts.down.defined() ? "its up matrix is missing" : "its down matrix is missing");
  if (parts.down.dim() != 2 && parts.down.dim() != 4) reject("down has the shape " + shape_text(parts.down));
  if (parts.up.dim() != 2 && parts.up.dim() != 4) reject("up has the shape " + shape_text(parts.up));
  if (parts.up.dim() == 4 && (parts.up.size(2) != 1 || parts.up.size(3) != 1)) reject("up has the shape " + shape_text(parts.up) + ", [out, rank, 1, 1] was expected");
  for (const at::Tensor& tensor : {parts.down, parts.up, parts.middle}) {
    if (!tensor.defined()) continue;
    if (!at::isFloatingType(tensor.scalar_type()) || tensor.numel() == 0) reject("has a tensor that is no matrix of floats");
    if (!at::isfinite(tensor.to(at::kFloat)).all().item<bool>()) reject("holds NaN or Inf");
  }
  if (parts.middle.defined()) {
    // up [o, p], middle [p, q, k, k], down [q, i]: the first two convolutions are one.
    const at::Tensor down = parts.down.flatten(1).to(at::kFloat);
    if (parts.middle.dim() != 4 || parts.middle.size(1) != down.size(0)) reject("the middle tensor has the shape " + shape_text(parts.middle));
    if (parts.down.dim() == 4 && (parts.down.size(2) != 1 || parts.down.size(3) != 1)) reject("down has the shape " + shape_text(parts.down) + " beside a middle tensor");
    parts.down = at::einsum("pqhw,qi->pihw", {parts.middle.to(at::kFloat), down});
  }
  const int64_t rank = parts.down.size(0);
  if (parts.up.size(1) != rank) reject(fmt::format("down {} and up {} have different ranks", shape_text(parts.down), shape_text(parts.up)));
  LoraLayer layer{key, parts.down, parts.up, 1};
  if (parts.alpha && *parts.alpha != 0)
    layer.scale = *parts.alpha / static_cast<double>(rank);
  else if (!parts.alpha)
    layer.scale = alphas.scale(key, rank).value_or(1);
  if (!std::isfinite(layer.scale)) reject("alpha is not finite");
  return layer;
}

}  // namespace

bool Lora::recognise(const std::vector<std::string>& names) {
  size_t recognised = 0;
  for (const std::string& name : names) recognised += split_key(name).has_value() || refused_kind(name) != nullptr;
  return recognised > 0 && recognised * 2 >= names.size();
}

Lora Lora::open(const fs::path& path) {
  Lora lora;
  lora.path_ = find_file(path);
  const std::string file = lora.path_.string();
  const auto source = open_tensors(lora.path_);
  std::map<std::string, Parts> parts;
  for (const auto& [name, info] : source->tensors()) {
    if (const char* kind = refused_kind(name))
      fail(ExitCode::kModel, "{}: the tensor {} belongs to {}, which is not supported; supported are LoRAs of linear and convolution layers (down and up matrices)", file,
           in_quotes(name), kind);
    const auto key = split_key(name);
    if (!key) {
      lora.layers_.push_back({name, {}, {}, 1});  // listed to the user as unmatched
      continue;
    }
    Parts& part = parts[key->first];
    const at::Tensor tensor = source->read(name);
    if (key->second == Role::kDown) part.down = tensor;
    if (key->second == Role::kUp) part.up = tensor;
    if (key->second == Role::kMiddle) part.middle = tensor;
    if (key->second == Role::kAlpha) {
      if (tensor.numel() != 1) fail(ExitCode::kModel, "{}: tensor {} has the shape {}, one number was expected; the file is damaged", file, in_quotes(name), shape_text(tensor));
      part.alpha = tensor.item<double>();
    }
  }
  if (parts.empty())
    fail(ExitCode::kModel, "{}: is no LoRA: none of its {} tensors has a known name (.lora_down.weight, .lora.down.weight, .lora_A.weight, ...); choose a LoRA file", file,
         source->tensors().size());
  const PeftAlphas alphas(*source, lora.path_);
  for (auto& [key, part] : parts) lora.layers_.push_back(make_layer(key, std::move(part), alphas, file));
  return lora;
}

std::string LoraReport::warning(const Lora& lora) const {
  if (unmatched.empty()) return "";
  constexpr size_t kMostListed = 10;
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(unmatched.size(), kMostListed); ++i) shown.push_back(in_quotes(unmatched[i]));
  std::string text = fmt::format("{}: {} of its {} layers have no counterpart in this model and are not used: {}", lora.path().string(), unmatched.size(),
                                 unmatched.size() + applied, fmt::join(shown, ", "));
  if (unmatched.size() > shown.size()) text += fmt::format(", and {} more", unmatched.size() - shown.size());
  return text;
}

}  // namespace attelier
