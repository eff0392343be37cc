#include "core/models/judge.h"

#include <deque>

#include "core/base/error.h"
#include "core/nn/layers.h"

namespace attelier {
namespace {

constexpr int64_t kNormGroups = 8;

template <typename Value>
Value read(const nlohmann::json& config, const char* key) {
  try {
    return config.at(key).get<Value>();
  } catch (const nlohmann::json::exception&) {
    fail(ExitCode::kModel, "the judge's config.json: \"{}\" is {}; retrain the judge or choose another with --judge", key,
         config.is_object() && config.contains(key) ? config.at(key).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).substr(0, 200) : "missing");
  }
}

/// y = x + conv(silu(norm(conv(silu(norm(x)))))).
struct ResidualBlock : nn::Module {
  explicit ResidualBlock(int64_t width) : norm1(kNormGroups, width, 1e-5), norm2(kNormGroups, width, 1e-5), conv1(width, width, 3, 1, 1), conv2(width, width, 3, 1, 1) {
    add("norm1", norm1);
    add("conv1", conv1);
    add("norm2", norm2);
    add("conv2", conv2);
  }
  at::Tensor forward(const at::Tensor& x) const { return x + conv2.forward(norm2.forward_silu(conv1.forward(norm1.forward_silu(x)))); }

  nn::GroupNorm norm1, norm2;
  nn::Conv2d conv1, conv2;
};

}  // namespace

struct Judge::Layers {
  explicit Layers(const JudgeConfig& c)
      : stem(3, c.widths[0], 3, 2, 1), stem_norm(kNormGroups, c.widths[0], 1e-5), block2(c.widths[1]), block3a(c.widths[2]), block3b(c.widths[2]), block4(c.widths[3]),
        context(c.widths[3], c.widths[2], 1), norm(kNormGroups, c.widths[2], 1e-5), attention(c.widths[2], kinds(c), 1), evidence(c.widths[2], kinds(c), 1),
        count(c.widths[2] + 2, kinds(c) * c.counts), hue(c.widths[2], static_cast<int64_t>(c.hues.size())), depth(c.widths[2], 1, 1) {
    for (size_t i = 1; i < 4; ++i) down.emplace_back(c.widths[i - 1], c.widths[i], 3, 2, 1);
    const int64_t pooled = c.widths[0] + c.widths[1] + c.widths[2] + c.widths[3];
    for (const JudgeConfig::Attribute& attribute : c.attributes) attributes.emplace_back(pooled, static_cast<int64_t>(attribute.values.size()));
  }
  static int64_t kinds(const JudgeConfig& c) { return static_cast<int64_t>(c.kinds.size()); }

  nn::Conv2d stem;
  nn::GroupNorm stem_norm;
  std::deque<nn::Conv2d> down;
  ResidualBlock block2, block3a, block3b, block4;
  nn::Conv2d context;     // of the last level, added to the one before
  nn::GroupNorm norm;
  nn::Conv2d attention;   // where to look for a kind
  nn::Conv2d evidence;    // where a kind is
  nn::Linear count, hue;
  std::deque<nn::Linear> attributes;
  nn::Conv2d depth;
};

Judge::Judge(const JudgeConfig& config) : config_(config), layers_(std::make_unique<Layers>(config)) {
  Layers& l = *layers_;
  add("stem", l.stem);
  add("stem_norm", l.stem_norm);
  for (size_t i = 0; i < l.down.size(); ++i) add(fmt::format("down.{}", i), l.down[i]);
  add("block2", l.block2);
  add("block3a", l.block3a);
  add("block3b", l.block3b);
  add("block4", l.block4);
  add("context", l.context);
  add("norm", l.norm);
  add("attention", l.attention);
  add("evidence", l.evidence);
  add("count", l.count);
  add("hue", l.hue);
  for (size_t i = 0; i < l.attributes.size(); ++i) add("attributes." + config.attributes[i].name, l.attributes[i]);
  if (config.depth) add("depth", l.depth);
}
Judge::~Judge() = default;

at::Device Judge::device() const { return layers_->stem.bias.value.device(); }

JudgeOutputs Judge::forward(const at::Tensor& x) const {
  const Layers& l = *layers_;
  const int64_t rows = x.size(0), kinds = Layers::kinds(config_);
  const at::Tensor c1 = l.stem_norm.forward_silu(l.stem.forward(x));
  const at::Tensor c2 = l.block2.forward(l.down[0].forward(c1));
  const at::Tensor c3 = l.block3b.forward(l.block3a.forward(l.down[1].forward(c2)));
  const at::Tensor c4 = l.block4.forward(l.down[2].forward(c3));
  const at::Tensor f = l.norm.forward_silu(c3 + at::upsample_nearest2d(l.context.forward(c4), {c3.size(2), c3.size(3)}));  // [B, C, h, w]
  const int64_t height = f.size(2), width = f.size(3);

  JudgeOutputs outputs;
  const at::Tensor looks = at::softmax(l.attention.forward(f).flatten(2).to(at::kFloat), 2);                 // [B, K, hw]
  const at::Tensor seen = at::sigmoid(l.evidence.forward(f).flatten(2).to(at::kFloat));                      // [B, K, hw]
  const at::Tensor features = at::bmm(looks, f.flatten(2).transpose(1, 2).to(at::kFloat));                   // [B, K, C]
  const at::Tensor area = seen.mean(2, true) * 16, peak = std::get<0>(seen.max(2, true));                    // [B, K, 1]
  const at::Tensor described = at::cat({features, area, peak}, 2);                                           // [B, K, C + 2]
  const at::Tensor weight = l.count.weight.dense().view({kinds, config_.counts, described.size(2)}).to(at::kFloat);
  outputs.counts = at::einsum("bkc,knc->bkn", {described, weight}) + l.count.bias.value.view({kinds, config_.counts});
  outputs.hues = l.hue.forward(features);
  const at::Tensor columns = (at::arange(width, looks.options()) + 0.5) / static_cast<double>(width);
  outputs.x = (looks.view({rows, kinds, height, width}).sum(2) * columns).sum(2);
  const at::Tensor pooled = at::cat({c1.mean({2, 3}), c2.mean({2, 3}), c3.mean({2, 3}), c4.mean({2, 3})}, 1).to(at::kFloat);
  for (const nn::Linear& attribute : l.attributes) outputs.attributes.push_back(attribute.forward(pooled));
  if (config_.depth) outputs.depth = l.depth.forward(f).squeeze(1).to(at::kFloat);
  return outputs;
}

JudgeConfig JudgeConfig::from_json(const nlohmann::json& json) {
  JudgeConfig config;
  config.world = read<std::string>(json, "world");
  config.kinds = read<std::vector<std::string>>(json, "kinds");
  config.hues = read<std::vector<std::string>>(json, "hues");
  for (const nlohmann::json& attribute : read<nlohmann::json>(json, "attributes"))
    config.attributes.push_back({read<std::string>(attribute, "name"), read<std::vector<std::string>>(attribute, "values")});
  config.counts = read<int64_t>(json, "counts");
  config.picture_size = read<int64_t>(json, "picture_size");
  config.widths = read<std::vector<int64_t>>(json, "widths");
  config.depth = read<bool>(json, "depth");
  if (config.widths.size() != 4) fail(ExitCode::kModel, "the judge's config.json: \"widths\" has {} numbers; four are needed", config.widths.size());
  for (const int64_t width : config.widths)
    if (width < kNormGroups || width > 4096 || width % kNormGroups != 0)
      fail(ExitCode::kModel, "the judge's config.json: \"widths\" holds {}; allowed are multiples of {} up to 4096", width, kNormGroups);
  if (config.counts < 2 || config.counts > 100) fail(ExitCode::kModel, "the judge's config.json: \"counts\" is {}; allowed is 2 to 100", config.counts);
  if (config.picture_size < 16 || config.picture_size > 4096 || config.picture_size % 16 != 0)
    fail(ExitCode::kModel, "the judge's config.json: \"picture_size\" is {}; allowed are multiples of 16 up to 4096", config.picture_size);
  const bool empty_attribute = std::any_of(config.attributes.begin(), config.attributes.end(), [](const Attribute& one) { return one.values.empty(); });
  if (config.kinds.empty() || config.hues.empty() || empty_attribute) fail(ExitCode::kModel, "the judge's config.json: a list of words is empty");
  return config;
}

nlohmann::json JudgeConfig::to_json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const Attribute& attribute : attributes) list.push_back({{"name", attribute.name}, {"values", attribute.values}});
  return {{"_class_name", "AttelierJudge"}, {"world", world}, {"kinds", kinds}, {"hues", hues}, {"attributes", list}, {"counts", counts}, {"picture_size", picture_size},
          {"widths", widths}, {"depth", depth}};
}

}  // namespace attelier
