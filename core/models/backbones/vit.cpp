#include "core/models/backbones/vit.h"

#include <deque>
#include <optional>

#include "core/base/error.h"
#include "core/nn/layers.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

struct SelfAttention : nn::Module {
  SelfAttention(const ViTConfig& c, AttentionSite address)
      : site(std::move(address)),
        query(c.hidden_size, c.hidden_size, c.qkv_bias),
        key(c.hidden_size, c.hidden_size, c.qkv_bias),
        value(c.hidden_size, c.hidden_size, c.qkv_bias),
        dense(c.hidden_size, c.hidden_size) {
    add("attention.query", query);
    add("attention.key", key);
    add("attention.value", value);
    add("output.dense", dense);
  }
  /// x and residual [B,L,C]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& residual, const AttentionForms& forms, const ForwardContext& context) const {
    const auto heads = [&](const at::Tensor& y) { return y.unflatten(2, {site.heads, site.head_width}).transpose(1, 2); };
    // The class token comes first, so the tokens have no grid.
    const at::Tensor o = forms.attend_all(site, heads(query.forward(x)), heads(key.forward(x)), heads(value.forward(x)), context);
    return dense.forward(o.transpose(1, 2).flatten(2), residual);
  }
  AttentionSite site;
  nn::Linear query, key, value, dense;
};

struct Layer : nn::Module {
  Layer(const ViTConfig& c, AttentionSite site)
      : attention(c, std::move(site)),
        layernorm_before(c.hidden_size, c.layer_norm_eps),
        layernorm_after(c.hidden_size, c.layer_norm_eps),
        intermediate(c.hidden_size, c.intermediate_size),
        output(c.intermediate_size, c.hidden_size) {
    add("attention", attention);
    add("intermediate.dense", intermediate);
    add("output.dense", output);
    add("layernorm_before", layernorm_before);
    add("layernorm_after", layernorm_after);
  }
  at::Tensor forward(const at::Tensor& x, const AttentionForms& forms, const ForwardContext& context) const {
    const at::Tensor h = attention.forward(layernorm_before.forward(x), x, forms, context);
    return output.forward(at::gelu(intermediate.forward(layernorm_after.forward(h))), h);
  }
  SelfAttention attention;
  nn::LayerNorm layernorm_before, layernorm_after;
  nn::Linear intermediate, output;
};

struct Embeddings : nn::Module {
  explicit Embeddings(const ViTConfig& c) : grid(c.grid()), projection(c.num_channels, c.hidden_size, c.patch_size, c.patch_size, 0) {
    cls_token.shape = {1, 1, c.hidden_size};
    position_embeddings.shape = {1, grid * grid + 1, c.hidden_size};
    add("cls_token", cls_token);
    add("position_embeddings", position_embeddings);
    add("patch_embeddings.projection", projection);
  }
  /// image [B,3,H,W] -> [B, 1 + h w, C]
  at::Tensor forward(const at::Tensor& image) const {
    const at::Tensor patches = projection.forward(image);
    const at::Tensor tokens = at::cat({cls_token.value.expand({image.size(0), 1, -1}), patches.flatten(2).transpose(1, 2)}, 1);
    return tokens + positions(patches.size(2), patches.size(3));
  }

  int64_t grid;
  nn::Parameter cls_token, position_embeddings;
  nn::Conv2d projection;

 protected:
  void initialise_own(at::Generator& generator) override {
    for (nn::Parameter* parameter : {&cls_token, &position_embeddings}) parameter->value = at::empty(parameter->shape, at::kFloat).normal_(0, 0.02, generator);
  }

 private:
  /// transformers' interpolate_pos_encoding: bicubic, without antialiasing.
  at::Tensor positions(int64_t rows, int64_t columns) const {
    const at::Tensor& all = position_embeddings.value;
    if (rows == grid && columns == grid) return all;
    const at::Tensor map = all.slice(1, 1).reshape({1, grid, grid, -1}).permute({0, 3, 1, 2});
    const at::Tensor resized = at::upsample_bicubic2d(map, {rows, columns}, /*align_corners=*/false);
    return at::cat({all.slice(1, 0, 1), resized.permute({0, 2, 3, 1}).flatten(1, 2)}, 1);
  }
};

}  // namespace

struct ViT::Layers {
  explicit Layers(const ViTConfig& c) : embeddings(c), layernorm(c.hidden_size, c.layer_norm_eps) {
    for (int64_t i = 0; i < c.num_hidden_layers; ++i)
      layers.emplace_back(c, AttentionSite{"backbone", fmt::format("vit.encoder.layer.{}.attention.attention", i), i, AttentionKind::kVision,
                                           c.num_attention_heads, c.hidden_size / c.num_attention_heads});
    if (c.num_labels > 0) classifier.emplace(c.hidden_size, c.num_labels);
  }
  Embeddings embeddings;
  std::deque<Layer> layers;
  nn::LayerNorm layernorm;
  std::optional<nn::Linear> classifier;
};

ViT::ViT(const ViTConfig& config) : config_(config), layers_(std::make_unique<Layers>(config)) {
  add("vit.embeddings", layers_->embeddings);
  for (size_t i = 0; i < layers_->layers.size(); ++i) add(fmt::format("vit.encoder.layer.{}", i), layers_->layers[i]);
  add("vit.layernorm", layers_->layernorm);
  if (layers_->classifier) add("classifier", *layers_->classifier);
}
ViT::~ViT() = default;

BackboneOutputs ViT::forward(const at::Tensor& image, const ForwardContext& context, bool) const {
  if (image.dim() != 4 || image.size(0) < 1 || image.size(1) != config_.num_channels || image.size(2) < config_.patch_size ||
      image.size(3) < config_.patch_size)
    fail(ExitCode::kBadInput, "the image has the shape [{}]; [B, {}, H, W] with sides of at least {} is needed", fmt::join(image.sizes(), ", "),
         config_.num_channels, config_.patch_size);
  at::Tensor x = layers_->embeddings.forward(image);
  for (const Layer& layer : layers_->layers) x = layer.forward(x, forms(), context);
  x = layers_->layernorm.forward(x);
  BackboneOutputs outputs;
  outputs.features.push_back(x.slice(1, 1).transpose(1, 2).unflatten(2, {image.size(2) / config_.patch_size, image.size(3) / config_.patch_size}));
  if (layers_->classifier) outputs.logits = layers_->classifier->forward(x.select(1, 0));
  return outputs;
}

double ViT::multiply_adds(int64_t height, int64_t width) const {
  const ViTConfig& c = config_;
  const auto patches = static_cast<double>(height / c.patch_size * (width / c.patch_size)), channels = static_cast<double>(c.hidden_size), tokens = patches + 1;
  const double layer = 4 * tokens * channels * channels + 2 * tokens * tokens * channels + 2 * tokens * channels * static_cast<double>(c.intermediate_size);
  return patches * channels * static_cast<double>(c.num_channels * c.patch_size * c.patch_size) + static_cast<double>(c.num_hidden_layers) * layer +
         channels * static_cast<double>(c.num_labels);
}

ViTConfig ViTConfig::from_json(const Json& json) {
  ViTConfig c;
  std::vector<std::string> complaints;
  const auto complain = [&](const char* key, const std::string& allowed) {
    complaints.push_back(fmt::format("\"{}\" is {}; allowed is {}", key,
                                     json.contains(key) ? json[key].dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 200) : "absent",
                                     allowed));
  };
  const auto has = [&](const char* key) { return json.contains(key) && !json[key].is_null(); };
  const auto whole = [&](const char* key, int64_t& value, int64_t most) {
    if (!has(key)) return;
    if (json[key].is_number_integer() && json[key] >= 1 && json[key] <= most) value = json[key].get<int64_t>();
    else complain(key, fmt::format("a whole number from 1 to {}", most));
  };
  whole("image_size", c.image_size, 1 << 16);
  whole("patch_size", c.patch_size, 1 << 12);
  whole("num_channels", c.num_channels, 1 << 12);
  whole("hidden_size", c.hidden_size, 1 << 16);
  whole("num_hidden_layers", c.num_hidden_layers, 512);
  whole("num_attention_heads", c.num_attention_heads, 1 << 12);
  whole("intermediate_size", c.intermediate_size, 1 << 18);
  if (has("layer_norm_eps")) {
    if (json["layer_norm_eps"].is_number() && json["layer_norm_eps"] > 0) c.layer_norm_eps = json["layer_norm_eps"].get<double>();
    else complain("layer_norm_eps", "a number above 0");
  }
  if (has("qkv_bias")) {
    if (json["qkv_bias"].is_boolean()) c.qkv_bias = json["qkv_bias"].get<bool>();
    else complain("qkv_bias", "true or false");
  }
  if (has("hidden_act") && json["hidden_act"] != "gelu") complain("hidden_act", "\"gelu\"");
  if (has("num_labels")) {
    if (json["num_labels"].is_number_integer() && json["num_labels"] >= 0 && json["num_labels"] <= 1 << 22) c.num_labels = json["num_labels"].get<int64_t>();
    else complain("num_labels", "a whole number from 0");
  } else if (has("id2label")) {
    if (json["id2label"].is_object()) c.num_labels = static_cast<int64_t>(json["id2label"].size());
    else complain("id2label", "an object of names by number");
  }
  if (complaints.empty() && c.hidden_size % c.num_attention_heads != 0)
    complain("num_attention_heads", fmt::format("a divisor of hidden_size, {}", c.hidden_size));
  if (complaints.empty() && c.patch_size > c.image_size) complain("patch_size", fmt::format("1 to image_size, {}", c.image_size));
  if (!complaints.empty()) fail(ExitCode::kModel, "the ViT's config.json: {}", fmt::join(complaints, "; "));
  return c;
}

Json ViTConfig::to_json() const {
  return {{"architectures", {"ViTForImageClassification"}},
          {"model_type", "vit"},
          {"image_size", image_size},
          {"patch_size", patch_size},
          {"num_channels", num_channels},
          {"hidden_size", hidden_size},
          {"num_hidden_layers", num_hidden_layers},
          {"num_attention_heads", num_attention_heads},
          {"intermediate_size", intermediate_size},
          {"num_labels", num_labels},
          {"layer_norm_eps", layer_norm_eps},
          {"hidden_act", "gelu"},
          {"qkv_bias", qkv_bias}};
}

std::unique_ptr<Backbone> make_vit(const Json& config) { return std::make_unique<ViT>(ViTConfig::from_json(config)); }

}  // namespace attelier
