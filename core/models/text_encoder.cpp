#include "core/models/text_encoder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <deque>
#include <limits>
#include <optional>

#include "core/base/error.h"
#include "core/nn/layers.h"

namespace attelier {
namespace {

/// CLIP's own vocabulary ends with its end token; tokens that a user has learnt follow it.
constexpr int64_t kClipEndToken = 49407;

struct SelfAttention : nn::Module {
  SelfAttention(const TextEncoderConfig& config, AttentionSite address)
      : site(std::move(address)), q_proj(config.width, config.width), k_proj(config.width, config.width), v_proj(config.width, config.width), out_proj(config.width, config.width) {
    add("k_proj", k_proj);
    add("v_proj", v_proj);
    add("q_proj", q_proj);
    add("out_proj", out_proj);
  }
  /// `key_bias` f32 [B, 1, L], -inf on padding, or undefined. The residual is added.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& key_bias, const at::Tensor& residual, const ForwardContext& context) const {
    const auto heads = [&](const at::Tensor& y) { return y.unflatten(2, {site.heads, site.head_width}).transpose(1, 2); };
    const at::Tensor q = heads(q_proj.forward(x)), k = heads(k_proj.forward(x)), v = heads(v_proj.forward(x));
    at::Tensor o;
    if (key_bias.defined()) {
      kernels::AttentionControl control;
      control.causal = kernels::Causal{};
      control.sources.emplace_back().key_bias = key_bias;
      o = kernels::attention(q, k, v, control).o;
    } else {
      o = attend(site, q, k, v, context, 0, 0, /*causal=*/true);
    }
    return out_proj.forward(o.transpose(1, 2).flatten(2), residual);
  }
  AttentionSite site;
  nn::Linear q_proj, k_proj, v_proj, out_proj;
};

struct Layer : nn::Module {
  Layer(const TextEncoderConfig& config, AttentionSite site)
      : quick_gelu(config.quick_gelu),
        self_attn(config, std::move(site)),
        layer_norm1(config.width, config.layer_norm_epsilon),
        layer_norm2(config.width, config.layer_norm_epsilon),
        fc1(config.width, config.intermediate),
        fc2(config.intermediate, config.width) {
    add("self_attn", self_attn);
    add("layer_norm1", layer_norm1);
    add("mlp.fc1", fc1);
    add("mlp.fc2", fc2);
    add("layer_norm2", layer_norm2);
  }
  at::Tensor forward(const at::Tensor& x, const at::Tensor& key_bias, const ForwardContext& context) const {
    const at::Tensor h = self_attn.forward(layer_norm1.forward(x), key_bias, x, context);
    const at::Tensor inner = fc1.forward(layer_norm2.forward(h));
    return fc2.forward(quick_gelu ? inner * at::sigmoid(1.702 * inner) : at::gelu(inner), h);
  }
  bool quick_gelu;
  SelfAttention self_attn;
  nn::LayerNorm layer_norm1, layer_norm2;
  nn::Linear fc1, fc2;
};

}  // namespace

struct TextEncoder::Layers {
  Layers(const TextEncoderConfig& config, const std::string& name)
      : token_embedding(config.vocabulary, config.width), position_embedding(config.positions, config.width), final_layer_norm(config.width, config.layer_norm_epsilon) {
    for (int64_t i = 0; i < config.layers; ++i) {
      const AttentionSite site{name, fmt::format("text_model.encoder.layers.{}.self_attn", i), i, AttentionKind::kText, config.heads, config.width / config.heads};
      layers.emplace_back(config, site);
    }
    if (config.projection > 0) text_projection.emplace(config.width, config.projection, false);
  }
  nn::Embedding token_embedding, position_embedding;
  std::deque<Layer> layers;
  nn::LayerNorm final_layer_norm;
  std::optional<nn::Linear> text_projection;
};

TextEncoder::TextEncoder(const TextEncoderConfig& config, const std::string& name) : config_(config), layers_(std::make_unique<Layers>(config, name)) {
  add("text_model.embeddings.token_embedding", layers_->token_embedding);
  add("text_model.embeddings.position_embedding", layers_->position_embedding);
  for (size_t i = 0; i < layers_->layers.size(); ++i) add(fmt::format("text_model.encoder.layers.{}", i), layers_->layers[i]);
  add("text_model.final_layer_norm", layers_->final_layer_norm);
  if (layers_->text_projection) add("text_projection", *layers_->text_projection);
}

TextEncoder::~TextEncoder() = default;

at::Tensor TextEncoder::final_norm(const at::Tensor& hidden) const { return layers_->final_layer_norm.forward(hidden); }

TextEncoderOutput TextEncoder::forward(const at::Tensor& ids, const at::Tensor& mask, const ForwardContext& context) {
  if (ids.dim() != 2 || ids.size(1) < 1 || ids.size(1) > config_.positions || at::isFloatingType(ids.scalar_type()))
    fail(ExitCode::kBadInput, "input_ids has the shape [{}] and dtype {}; whole numbers [B, 1..{}] are needed", fmt::join(ids.sizes(), ", "), c10::toString(ids.scalar_type()),
         config_.positions);
  if (ids.numel() > 0 && (ids.min().item<int64_t>() < 0 || ids.max().item<int64_t>() >= config_.vocabulary))
    fail(ExitCode::kBadInput, "input_ids holds ids from {} to {}; this text encoder knows 0 to {}", ids.min().item<int64_t>(), ids.max().item<int64_t>(), config_.vocabulary - 1);
  if (mask.defined() && mask.sizes() != ids.sizes())
    fail(ExitCode::kBadInput, "attention_mask has the shape [{}]; that of input_ids, [{}], is needed", fmt::join(mask.sizes(), ", "), fmt::join(ids.sizes(), ", "));
  const at::Tensor tokens = ids.to(at::kLong);
  const at::Tensor positions = at::arange(tokens.size(1), tokens.options());
  at::Tensor key_bias;
  if (mask.defined())
    key_bias = at::zeros({mask.size(0), 1, mask.size(1)}, at::TensorOptions().dtype(at::kFloat).device(ids.device())).masked_fill_(mask.to(ids.device()).eq(0).unsqueeze(1), -std::numeric_limits<double>::infinity());
  TextEncoderOutput output;
  at::Tensor x = layers_->token_embedding.forward(tokens) + layers_->position_embedding.forward(positions);
  output.hidden_states.push_back(x);
  for (const Layer& layer : layers_->layers) output.hidden_states.push_back(x = layer.forward(x, key_bias, context));
  output.last_hidden_state = final_norm(x);
  // The end of the prompt: the first end token. Old configs say 2 and mean the largest id; in CLIP's own vocabulary that is 49407, and tokens
  // learnt later must not win.
  const at::Tensor hits = config_.eos_token != 2 ? tokens.eq(config_.eos_token)
                          : config_.vocabulary > kClipEndToken && tokens.eq(kClipEndToken).any(1).all().item<bool>() ? tokens.eq(kClipEndToken)
                                                                                                                      : tokens.eq(tokens.amax(1, true));
  const at::Tensor end = hits.to(at::kInt).argmax(1);
  output.pooled = output.last_hidden_state.index({at::arange(end.size(0), end.options()), end});
  if (layers_->text_projection) output.pooled = layers_->text_projection->forward(output.pooled);
  return output;
}

TextEncoderConfig TextEncoderConfig::from_json(const nlohmann::json& config) {
  TextEncoderConfig result;
  try {
    result.vocabulary = config.value("vocab_size", result.vocabulary);
    result.width = config.value("hidden_size", result.width);
    result.layers = config.value("num_hidden_layers", result.layers);
    result.heads = config.value("num_attention_heads", result.heads);
    result.intermediate = config.value("intermediate_size", result.intermediate);
    result.positions = config.value("max_position_embeddings", result.positions);
    result.layer_norm_epsilon = config.value("layer_norm_eps", result.layer_norm_epsilon);
    if (const auto eos = config.find("eos_token_id"); eos != config.end() && eos->is_number_integer()) result.eos_token = eos->get<int64_t>();
    const std::string activation = config.value("hidden_act", std::string("quick_gelu"));
    if (activation != "quick_gelu" && activation != "gelu")
      fail(ExitCode::kModel, "the text encoder's config.json: \"hidden_act\" is \"{}\"; supported are \"quick_gelu\" and \"gelu\"", activation);
    result.quick_gelu = activation == "quick_gelu";
    for (const nlohmann::json& name : config.value("architectures", nlohmann::json::array()))
      if (name == "CLIPTextModelWithProjection") result.projection = config.value("projection_dim", int64_t{512});
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::kModel, "the model's config.json is not a text encoder's: {}", error.what());
  }
  const auto require = [](bool right, std::string_view key, int64_t value) {
    if (!right) fail(ExitCode::kModel, "the text encoder's config.json: \"{}\" is {}, which cannot be", key, value);
  };
  require(result.vocabulary >= 1 && result.vocabulary <= 1 << 24, "vocab_size", result.vocabulary);
  require(result.heads >= 1 && result.width >= 1 && result.width <= 1 << 16 && result.width % result.heads == 0, "hidden_size", result.width);
  require(result.layers >= 1 && result.layers <= 512, "num_hidden_layers", result.layers);
  require(result.intermediate >= 1 && result.intermediate <= 1 << 18, "intermediate_size", result.intermediate);
  require(result.positions >= 1 && result.positions <= 1 << 20, "max_position_embeddings", result.positions);
  require(result.projection >= 0 && result.projection <= 1 << 16, "projection_dim", result.projection);
  return result;
}

nlohmann::json TextEncoderConfig::to_json() const {
  nlohmann::json json = {{"architectures", {projection > 0 ? "CLIPTextModelWithProjection" : "CLIPTextModel"}},
                         {"model_type", "clip_text_model"},
                         {"vocab_size", vocabulary},
                         {"hidden_size", width},
                         {"num_hidden_layers", layers},
                         {"num_attention_heads", heads},
                         {"intermediate_size", intermediate},
                         {"max_position_embeddings", positions},
                         {"hidden_act", quick_gelu ? "quick_gelu" : "gelu"},
                         {"layer_norm_eps", layer_norm_epsilon},
                         {"eos_token_id", eos_token}};
  if (projection > 0) json["projection_dim"] = projection;
  return json;
}

}  // namespace attelier
