#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/models/backbones/biformer.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

constexpr size_t kStages = 4;
constexpr int64_t kDenseHeads = 8;  // of dense attention, whatever the width
constexpr int64_t kWidest = 1 << 15, kDeepest = 256, kMostRegions = 256, kMostClasses = 1 << 22;

/// Reads entries and keeps what is wrong with them.
class Arguments {
 public:
  explicit Arguments(const Json& config) : config_(config) {}

  template <typename... Args>
  void complain(fmt::format_string<Args...> format, Args&&... args) {
    complaints_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  /// The entry; nullptr where it is absent or null.
  const Json* find(const char* key) const {
    const auto found = config_.find(key);
    return found == config_.end() || found->is_null() ? nullptr : &*found;
  }

  static std::string text(const Json& value) { return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 200); }

  int64_t whole(const char* key, int64_t fallback, int64_t least, int64_t most) {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (is_whole(*value, least, most)) return value->get<int64_t>();
    complain("\"{}\" is {}; allowed are whole numbers from {} to {}", key, text(*value), least, most);
    return fallback;
  }

  bool flag(const char* key, bool fallback) {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) complain("\"{}\" is {}; allowed are true and false", key, text(*value));
    return value->is_boolean() ? value->get<bool>() : fallback;
  }

  /// Of each stage; one number stands for all, null in a list for the fallback.
  std::vector<int64_t> wholes(const char* key, const std::vector<int64_t>& fallback, int64_t least, int64_t most) {
    std::vector<int64_t> values = fallback;
    const Json* list = find(key);
    if (list == nullptr) return values;
    if (is_whole(*list, least, most)) return std::vector<int64_t>(kStages, list->get<int64_t>());
    bool fits = list->is_array() && list->size() == kStages;
    for (size_t i = 0; fits && i < kStages; ++i) {
      fits = (*list)[i].is_null() || is_whole((*list)[i], least, most);
      if (fits && !(*list)[i].is_null()) values[i] = (*list)[i].get<int64_t>();
    }
    if (!fits) complain("\"{}\" is {}; it must be {} whole numbers from {} to {}", key, text(*list), kStages, least, most);
    return values;
  }

  std::vector<double> numbers(const char* key, double fallback, double least, double most) {
    std::vector<double> values(kStages, fallback);
    const Json* list = find(key);
    if (list == nullptr) return values;
    const auto fits = [&](const Json& value) { return value.is_number() && value.get<double>() >= least && value.get<double>() <= most; };
    if (fits(*list)) return std::vector<double>(kStages, list->get<double>());
    if (!list->is_array() || list->size() != kStages || !std::all_of(list->begin(), list->end(), fits))
      complain("\"{}\" is {}; it must be {} numbers from {} to {}", key, text(*list), kStages, least, most);
    else values = list->get<std::vector<double>>();
    return values;
  }

  /// An argument of which one value alone is computed here.
  void only(const char* key, const std::vector<Json>& allowed) {
    const Json* value = find(key);
    if (value == nullptr || std::find(allowed.begin(), allowed.end(), *value) != allowed.end()) return;
    complain("\"{}\" is {}, which is not supported; allowed is {}", key, text(*value), text(allowed.front()));
  }

  void finish() const {
    if (!complaints_.empty()) fail(ExitCode::kModel, "the BiFormer's config.json: {}", fmt::join(complaints_, "; "));
  }

 private:
  static bool is_whole(const Json& value, int64_t least, int64_t most) {
    return value.is_number() && value.get<double>() >= static_cast<double>(least) && value.get<double>() <= static_cast<double>(most) &&
           value.get<double>() == std::floor(value.get<double>());
  }

  const Json& config_;
  std::vector<std::string> complaints_;
};

void refuse_variants(Arguments& arguments) {
  arguments.only("kv_downsample_mode", {"identity"});
  for (const char* key : {"param_routing", "diff_routing", "soft_routing", "mlp_dwconv"}) arguments.only(key, {false});
  arguments.only("param_attention", {"qkvo"});
  arguments.only("pre_norm", {true});
  arguments.only("pe", {"none"});
  arguments.only("representation_size", {0, false});
  for (const char* key : {"norm_layer", "pre_head_norm_layer"}) arguments.only(key, {"BatchNorm2d", "nn.BatchNorm2d", "torch.nn.BatchNorm2d"});
  if (const Json* scale = arguments.find("layer_scale_init_value"); scale != nullptr && !(scale->is_number() && scale->get<double>() <= 0))
    arguments.complain("\"layer_scale_init_value\" is {}; layer scale is not supported, allowed is -1", Arguments::text(*scale));
}

void read_form(BiFormerConfig& c, const Json& config, Arguments& arguments) {
  const Json* architecture = arguments.find("architecture");
  const std::string name = architecture != nullptr && architecture->is_string() ? architecture->get<std::string>() : "biformer";
  c.form = name == "biformer_stl" ? BiFormerForm::kStl : name == "biformer_stl_nchw" ? BiFormerForm::kStlNchw : BiFormerForm::kBiFormer;
  const bool dense_prediction = name == "biformer_mm" || (config.contains("type") && config["type"] == "BiFormer_mm");  // as mmdetection's configs say
  c.extra_norms = arguments.flag("extra_norms", dense_prediction);
  if (c.extra_norms && c.form != BiFormerForm::kBiFormer) arguments.complain("\"extra_norms\" is true; of the Swin layouts there is no such form");
}

void check_widths(const BiFormerConfig& c, Arguments& arguments) {
  for (size_t i = 0; i < kStages; ++i) {
    const int64_t width = c.embed_dim[i];
    if (i == 0 && c.form == BiFormerForm::kBiFormer && width % 2 != 0) arguments.complain("\"embed_dim\" begins with {}; the stem needs an even number", width);
    if (c.hidden[i] < 1 || c.hidden[i] > 64 * kWidest)
      arguments.complain("\"mlp_ratios\" holds {}, so stage {} has {} hidden channels; at least 1 is needed", c.mlp_ratios[i], i, c.hidden[i]);
    if (c.routing.topks[i] <= 0) {
      if (width % kDenseHeads != 0)
        arguments.complain("\"embed_dim\" of stage {} is {}; dense attention has {} heads, which must divide it", i, width, kDenseHeads);
      continue;
    }
    const int64_t heads = c.qk_dims[i] / c.head_dim;
    if (heads < 1 || c.qk_dims[i] % heads != 0 || width % heads != 0)
      arguments.complain("\"head_dim\" is {}; stage {} with qk_dim {} and embed_dim {} cannot be split into {} heads", c.head_dim, i, c.qk_dims[i],
                         width, heads);
  }
}

std::string routing_problem(BiFormerForm form, const BiFormerRouting& routing) {
  for (size_t i = 0; i < kStages; ++i) {
    const int64_t topk = routing.topks[i], regions = routing.n_win[i] * routing.n_win[i];
    if (routing.n_win[i] < 1 || routing.n_win[i] > kMostRegions)
      return fmt::format("\"n_win\" of stage {} is {}; allowed is 1 to {}", i, routing.n_win[i], kMostRegions);
    if (topk > regions) return fmt::format("\"topks\" of stage {} is {}; there are {} regions", i, topk, regions);
    if (topk == 0 || topk < -2) return fmt::format("\"topks\" of stage {} is {}; allowed are 1 to the number of regions, -2 (dense attention) and -1", i, topk);
    if (topk == -2 && form == BiFormerForm::kStlNchw) return fmt::format("\"topks\" of stage {} is -2; in this form dense attention is -1", i);
  }
  return "";
}

}  // namespace

BiFormerConfig BiFormerConfig::from_json(const Json& json) {
  BiFormerConfig c;
  Arguments arguments(json);
  read_form(c, json, arguments);
  refuse_variants(arguments);
  const bool stl = c.form != BiFormerForm::kBiFormer;
  c.in_chans = arguments.whole("in_chans", 3, 1, kWidest);
  c.num_classes = arguments.whole("num_classes", 1000, 0, kMostClasses);
  c.img_size = arguments.whole("img_size", 224, 1, 1 << 16);
  c.depth = arguments.wholes("depth", stl ? std::vector<int64_t>{2, 2, 6, 2} : std::vector<int64_t>{3, 4, 8, 3}, 1, kDeepest);
  c.embed_dim = arguments.wholes("embed_dim", stl ? std::vector<int64_t>{96, 192, 384, 768} : std::vector<int64_t>{64, 128, 320, 512}, 2, kWidest);
  c.qk_dims = arguments.wholes("qk_dims", c.embed_dim, 1, kWidest);
  if (stl) c.qk_dims = c.embed_dim;
  c.head_dim = arguments.whole("head_dim", 32, 1, kWidest);
  c.side_dwconv = arguments.whole("side_dwconv", 5, 0, 63);
  if (c.side_dwconv % 2 == 0 && c.side_dwconv != 0) arguments.complain("\"side_dwconv\" is {}; allowed are odd numbers and 0", c.side_dwconv);
  c.before_attn_dwconv = stl ? 0 : arguments.whole("before_attn_dwconv", 3, -1, 3);
  if (c.before_attn_dwconv < 0) c.before_attn_dwconv = 0;
  if (c.before_attn_dwconv != 0 && c.before_attn_dwconv != 3) arguments.complain("\"before_attn_dwconv\" is {}; allowed are 3 and 0", c.before_attn_dwconv);
  if (const Json* scale = arguments.find("qk_scale"); scale != nullptr) {
    if (!scale->is_number() || !std::isfinite(scale->get<double>())) arguments.complain("\"qk_scale\" is {}; it must be a number", Arguments::text(*scale));
    else if (scale->get<double>() != 0) c.qk_scale = scale->get<double>();
  }
  c.mlp_ratios = arguments.numbers("mlp_ratios", 4, 0.001, 64);
  for (size_t i = 0; i < kStages; ++i) c.hidden.push_back(static_cast<int64_t>(c.mlp_ratios[i] * static_cast<double>(c.embed_dim[i])));

  const std::vector<int64_t> released = {1, 4, 16, c.form == BiFormerForm::kStlNchw ? -1 : -2};
  c.routing.n_win = arguments.wholes(arguments.find("n_wins") != nullptr ? "n_wins" : "n_win", std::vector<int64_t>(kStages, 7), 1, kMostRegions);
  c.routing.topks = arguments.wholes("topks", stl ? released : std::vector<int64_t>{8, 8, -1, -1}, -2, kMostRegions * kMostRegions);
  c.routing.auto_pad = arguments.flag("auto_pad", c.extra_norms);
  if (const std::string problem = routing_problem(c.form, c.routing); !problem.empty()) arguments.complain("{}", problem);
  check_widths(c, arguments);
  arguments.finish();
  return c;
}

Json BiFormerConfig::to_json() const {
  Json json = {{"architecture", form == BiFormerForm::kStl       ? "biformer_stl"
                                : form == BiFormerForm::kStlNchw ? "biformer_stl_nchw"
                                                                 : "biformer"},
               {"in_chans", in_chans},
               {"num_classes", num_classes},
               {"img_size", img_size},
               {"depth", depth},
               {"embed_dim", embed_dim},
               {"head_dim", head_dim},
               {"mlp_ratios", mlp_ratios},
               {"side_dwconv", side_dwconv},
               {"topks", routing.topks}};
  if (qk_scale) json["qk_scale"] = *qk_scale;
  json[form == BiFormerForm::kBiFormer ? "n_win" : "n_wins"] = routing.n_win;
  if (form == BiFormerForm::kBiFormer)
    json.update({{"qk_dims", qk_dims},
                 {"before_attn_dwconv", before_attn_dwconv},
                 {"auto_pad", routing.auto_pad},
                 {"kv_downsample_mode", "identity"},
                 {"extra_norms", extra_norms}});
  return json;
}

void BiFormer::set_routing(const BiFormerRouting& routing) {
  if (routing.n_win.size() != kStages || routing.topks.size() != kStages)
    fail(ExitCode::kBadInput, "BiFormer: n_win has {} and topks {} numbers; {} stages need one each", routing.n_win.size(), routing.topks.size(), kStages);
  for (size_t i = 0; i < kStages; ++i) {
    const int64_t own = config_.routing.topks[i];
    if ((own <= 0 || routing.topks[i] <= 0) && own != routing.topks[i])
      fail(ExitCode::kBadInput, "BiFormer: \"topks\" of stage {} is {}, the weights are those of {}; leave it at that", i, routing.topks[i],
           own > 0 ? "routed attention (1 or more)" : fmt::format("dense attention ({})", own));
  }
  if (const std::string problem = routing_problem(config_.form, routing); !problem.empty()) fail(ExitCode::kBadInput, "BiFormer: {}", problem);
  config_.routing = routing;
}

std::unique_ptr<Backbone> make_biformer(const Json& config) { return std::make_unique<BiFormer>(BiFormerConfig::from_json(config)); }

}  // namespace attelier
