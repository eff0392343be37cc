#include "core/models/backbones/vitaev2_config.h"

#include <array>
#include <string>

#include "core/base/error.h"
#include "kernels/regions.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMostStages = 8, kMostDepth = 1000, kMostChannels = 1 << 16, kMostHeads = 1024, kMostClasses = 1 << 20, kLargestWindow = 64,
                  kLargestKernel = 31;

/// The arguments of the authors' named models (vitaev2_vsa/models.py).
Json variant(std::string_view name, std::vector<std::string>& errors) {
  struct Variant {
    std::string_view name;
    int64_t width, head_width, depth, window;
    bool wide;
  };
  constexpr std::array kVariants = {Variant{"ViTAEv2_VSA_S", 64, 32, 8, 7, false}, Variant{"ViTAEv2_VSA_widePCM_S", 64, 32, 8, 7, true},
                                    Variant{"ViTAEv2_VSA_widePCM_48M", 96, 32, 11, 7, true}, Variant{"ViTAEv2_VSA_widePCM_B", 128, 32, 12, 7, true},
                                    Variant{"ViTAEv2_VSA_widePCM_B_ws12", 128, 32, 12, 12, true}};
  for (const Variant& v : kVariants) {
    if (v.name != name) continue;
    const int64_t heads = v.width / v.head_width;
    const Json tokens = {v.width, 2 * v.width, 4 * v.width, 8 * v.width}, all_heads = {heads, 2 * heads, 4 * heads, 8 * heads};
    return {{"stages", 4},
            {"embed_dims", {v.width, v.width, 2 * v.width, 4 * v.width}},
            {"token_dims", tokens},
            {"wide_pcm", v.wide},
            {"downsample_ratios", {4, 2, 2, 2}},
            {"NC_depth", {2, 2, v.depth, 2}},
            {"NC_heads", all_heads},
            {"RC_heads", v.wide ? all_heads : Json{2, 2, 4, 8}},
            {"mlp_ratio", 4.0},
            {"NC_group", {1, 32, 64, 128}},
            {"RC_group", {1, 16, 32, 64}},
            {"RC_tokens_type", "VSA"},
            {"NC_tokens_type", "VSA"},
            {"window_size", v.window},
            {"cpe", true}};
  }
  std::vector<std::string_view> names;
  for (const Variant& v : kVariants) names.push_back(v.name);
  errors.push_back(fmt::format("\"variant\" is not known; allowed are {}", fmt::join(names, ", ")));
  return Json::object();
}

/// Reads arguments and collects what is wrong with them.
class Arguments {
 public:
  explicit Arguments(const Json& config) {
    // The defaults of the authors' constructor.
    json_ = {{"in_chans", 3},
             {"stages", 4},
             {"embed_dims", 64},
             {"wide_pcm", true},
             {"token_dims", 64},
             {"downsample_ratios", {4, 2, 2, 2}},
             {"kernel_size", {7, 3, 3, 3}},
             {"RC_heads", 1},
             {"NC_heads", 4},
             {"dilations", {{1, 2, 3, 4}, {1, 2, 3}, {1, 2}, {1, 2}}},
             {"RC_op", "cat"},
             {"RC_tokens_type", "VSA"},
             {"NC_tokens_type", "VSA"},
             {"RC_group", 1},
             {"NC_group", {1, 32, 64, 64}},
             {"NC_depth", {2, 2, 6, 2}},
             {"mlp_ratio", 4.0},
             {"qkv_bias", true},
             {"qk_scale", nullptr},
             {"num_classes", 1000},
             {"img_size", 224},
             {"window_size", 7},
             {"relative_pos", false},
             {"cpe", false},
             {"detection", false},
             {"identity_windows", false},
             {"skip_cpe", false}};
    if (!config.is_object()) fail(ExitCode::kModel, "the config of a ViTAEv2 is no object; it must be {{\"architecture\": \"vitaev2_vsa\", ...}}");
    if (config.value("detection", Json()) == true) json_["wide_pcm"] = false;
    if (const auto name = config.find("variant"); name != config.end()) json_.update(variant(name->is_string() ? name->get<std::string>() : "", errors));
    for (const auto& [key, value] : config.items())
      if (json_.contains(key)) json_[key] = value;
  }

  std::vector<std::string> errors;

  template <typename... Args>
  void complain(fmt::format_string<Args...> format, Args&&... args) {
    errors.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  const Json& value(const char* key) const { return json_.at(key); }

  /// The value of one stage: the list's, or the one for all. Null after a complaint.
  Json of_stage(const char* key, int64_t stage, int64_t stages) {
    const Json& all = json_.at(key);
    if (!all.is_array()) return all;
    if (static_cast<int64_t>(all.size()) >= stages) return all[static_cast<size_t>(stage)];
    if (stage == 0) complain("\"{}\" has {} values, one is needed for each of the {} stages", key, all.size(), stages);
    return {};
  }

  int64_t whole(const Json& value, const std::string& key, int64_t lowest, int64_t highest) {
    if (value.is_number_integer() && value >= lowest && value <= highest) return value.get<int64_t>();
    if (!value.is_null()) complain("\"{}\" is {}; allowed is {} to {}", key, text(value), lowest, highest);
    return lowest;
  }
  bool flag(const Json& value, const std::string& key) {
    if (value.is_boolean()) return value.get<bool>();
    if (!value.is_null()) complain("\"{}\" is {}; allowed are true and false", key, text(value));
    return false;
  }
  /// Nothing for null.
  std::optional<double> number(const Json& value, const std::string& key, double lowest, double highest) {
    if (value.is_null()) return std::nullopt;
    if (value.is_number() && value.get<double>() >= lowest && value.get<double>() <= highest) return value.get<double>();
    complain("\"{}\" is {}; allowed is {} to {}", key, text(value), lowest, highest);
    return std::nullopt;
  }
  WindowKind windows(const Json& value, const std::string& key) {
    if (value == "VSA") return WindowKind::kLearned;
    if (value != "window" && !value.is_null()) complain("\"{}\" is {}; supported are \"VSA\" and \"window\"", key, text(value));
    return WindowKind::kPlain;
  }
  static std::string text(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60); }

 private:
  Json json_;
};

ViTAEv2Stage read_stage(Arguments& arguments, int64_t i, int64_t stages, int64_t in_channels) {
  const auto named = [&](const char* key) { return fmt::format("{}[{}]", key, i); };
  const auto whole = [&](const char* key, int64_t lowest, int64_t highest) {
    return arguments.whole(arguments.of_stage(key, i, stages), named(key), lowest, highest);
  };
  ViTAEv2Stage stage;
  stage.in_channels = in_channels;
  stage.embed_dims = whole("embed_dims", 1, kMostChannels);
  const Json& tokens = arguments.value("token_dims");
  // One number grows from stage to stage.
  stage.token_dims = tokens.is_number_integer() ? arguments.whole(tokens, "token_dims", 1, kMostChannels >> i) << i : whole("token_dims", 1, kMostChannels);
  stage.downsample_ratio = whole("downsample_ratios", 2, 8);
  stage.kernel_size = whole("kernel_size", 1, kLargestKernel);
  const Json dilations = arguments.of_stage("dilations", i, stages);
  if (dilations.is_array() && !dilations.empty() && dilations.size() <= 16)
    for (const Json& dilation : dilations) stage.dilations.push_back(arguments.whole(dilation, named("dilations"), 1, 64));
  else
    arguments.complain("\"{}\" is {}; it must be a list of 1 to 16 numbers", named("dilations"), Arguments::text(dilations));
  const Json operation = arguments.of_stage("RC_op", i, stages);
  if (operation != "cat" && operation != "sum") arguments.complain("\"{}\" is {}; allowed are \"cat\" and \"sum\"", named("RC_op"), Arguments::text(operation));
  stage.concatenates = operation == "cat";
  stage.wide_pcm = arguments.flag(arguments.of_stage("wide_pcm", i, stages), named("wide_pcm"));
  stage.rc_heads = whole("RC_heads", 1, kMostHeads);
  stage.nc_heads = whole("NC_heads", 1, kMostHeads);
  stage.rc_groups = whole("RC_group", 1, kMostChannels);
  stage.nc_groups = whole("NC_group", 1, kMostChannels);
  stage.nc_depth = whole("NC_depth", 0, kMostDepth);
  stage.rc_windows = arguments.windows(arguments.of_stage("RC_tokens_type", i, stages), named("RC_tokens_type"));
  stage.nc_windows = arguments.windows(arguments.of_stage("NC_tokens_type", i, stages), named("NC_tokens_type"));
  stage.mlp_ratio = arguments.number(arguments.of_stage("mlp_ratio", i, stages), named("mlp_ratio"), 0.01, 64).value_or(4);
  stage.qkv_bias = arguments.flag(arguments.of_stage("qkv_bias", i, stages), named("qkv_bias"));
  // 0 stands for the default, as in the authors' code.
  stage.qk_scale = arguments.number(arguments.of_stage("qk_scale", i, stages), named("qk_scale"), 0, 1000);
  if (stage.qk_scale == 0) stage.qk_scale.reset();
  stage.identity_windows = arguments.flag(arguments.of_stage("identity_windows", i, stages), named("identity_windows"));

  const auto divides = [&](int64_t part, int64_t whole_number, const char* key, const char* what) {
    if (whole_number % part != 0) arguments.complain("\"{}\" is {}, which does not divide the {} {}", named(key), part, whole_number, what);
  };
  divides(stage.rc_heads, stage.token_dims, "RC_heads", "token dims");
  divides(stage.nc_heads, stage.token_dims, "NC_heads", "token dims");
  divides(stage.nc_groups, stage.token_dims, "NC_group", "token dims");
  divides(stage.nc_groups, stage.hidden_dims(), "NC_group", "hidden channels of the convolutions");
  divides(stage.rc_groups, in_channels, "RC_group", "channels before the stage");
  divides(stage.rc_groups, stage.convolution_dims(), "RC_group", "hidden channels of the convolutions");
  divides(stage.rc_groups, stage.token_dims, "RC_group", "token dims");
  if ((stage.downsample_ratio & (stage.downsample_ratio - 1)) != 0)
    arguments.complain("\"{}\" is {}; allowed are 2, 4 and 8", named("downsample_ratios"), stage.downsample_ratio);
  for (const int64_t dilation : stage.dilations)
    if ((stage.kernel_size - 1) * dilation + 1 < stage.downsample_ratio)
      arguments.complain("\"{}\" is {}, which with a dilation of {} skips pixels at a stride of {}; take a larger kernel", named("kernel_size"),
                         stage.kernel_size, dilation, stage.downsample_ratio);
  return stage;
}

}  // namespace

int64_t ViTAEv2Config::reduction() const {
  int64_t product = 1;
  for (const ViTAEv2Stage& stage : stages) product *= stage.downsample_ratio;
  return product;
}

double ViTAEv2Config::multiply_adds(int64_t height, int64_t width) const {
  double sum = 0;
  const auto attention = [&](double in, double out, int64_t heads, int64_t window, WindowKind kind, int64_t rows, int64_t columns) {
    const kernels::RegionGrid grid = kernels::regions_over(rows, columns, window, window);
    const double cells = static_cast<double>(rows * columns), padded = static_cast<double>(grid.regions() * grid.cells()),
                 regions = static_cast<double>(grid.regions());
    const bool learned = kind == WindowKind::kLearned;
    const int64_t kernel = learned && cpe && !skip_cpe ? cpe_kernel(window) : 0;
    sum += cells * in * static_cast<double>(kernel * kernel) + (learned ? cells : padded) * in * 3 * out + cells * out * out +
           2 * padded * static_cast<double>(grid.cells()) * out;
    if (learned) sum += regions * in * static_cast<double>(4 * heads);
  };
  const auto convolution = [&](int64_t cells, int64_t in, int64_t out, int64_t groups) {
    sum += 9 * static_cast<double>(cells) * static_cast<double>(in / groups) * static_cast<double>(out);
  };
  for (const ViTAEv2Stage& stage : stages) {
    const int64_t rows = height / stage.downsample_ratio, columns = width / stage.downsample_ratio, hidden = stage.convolution_dims();
    const double cells = static_cast<double>(rows * columns), tokens = static_cast<double>(stage.token_dims);
    sum +=
        cells * static_cast<double>(stage.in_channels * stage.embed_dims * stage.kernel_size * stage.kernel_size) * static_cast<double>(stage.dilations.size());
    attention(static_cast<double>(stage.pyramid_dims()), tokens, stage.rc_heads, rc_window(), stage.rc_windows, rows, columns);
    int64_t across = stage.downsample_ratio, channels = stage.in_channels;
    for (size_t i = 0; i < 3; ++i) {
      across = std::max<int64_t>(1, across / 2);
      const int64_t out = i == 2 ? stage.token_dims : hidden;
      convolution(rows * columns * across * across, channels, out, stage.rc_groups);
      channels = out;
    }
    sum += 2 * cells * tokens * tokens;
    for (int64_t i = 0; i < stage.nc_depth; ++i) {
      attention(tokens, tokens, stage.nc_heads, window_size, stage.nc_windows, rows, columns);
      convolution(rows * columns, stage.token_dims, stage.hidden_dims(), stage.nc_groups);
      convolution(rows * columns, stage.hidden_dims(), stage.token_dims, stage.nc_groups);
      convolution(rows * columns, stage.token_dims, stage.token_dims, stage.nc_groups);
      sum += 2 * cells * tokens * static_cast<double>(stage.hidden_dims());
    }
    height = rows;
    width = columns;
  }
  return sum + static_cast<double>(stages.back().token_dims * num_classes);
}

ViTAEv2Config ViTAEv2Config::from_json(const nlohmann::json& json) {
  Arguments arguments(json);
  ViTAEv2Config config;
  const int64_t stages = arguments.whole(arguments.value("stages"), "stages", 1, kMostStages);
  config.num_classes = arguments.whole(arguments.value("num_classes"), "num_classes", 0, kMostClasses);
  config.img_size = arguments.whole(arguments.value("img_size"), "img_size", 1, 1 << 16);
  config.window_size = arguments.whole(arguments.value("window_size"), "window_size", 2, kLargestWindow);
  config.relative_pos = arguments.flag(arguments.value("relative_pos"), "relative_pos");
  config.cpe = arguments.flag(arguments.value("cpe"), "cpe");
  config.skip_cpe = arguments.flag(arguments.value("skip_cpe"), "skip_cpe");
  config.detection = arguments.flag(arguments.value("detection"), "detection");
  int64_t channels = arguments.whole(arguments.value("in_chans"), "in_chans", 1, kMostChannels);
  for (int64_t i = 0; i < stages; ++i) {
    config.stages.push_back(read_stage(arguments, i, stages, channels));
    channels = config.stages.back().token_dims;
  }
  if (!arguments.errors.empty()) fail(ExitCode::kModel, "the config of the ViTAEv2 is impossible:\n  {}", fmt::join(arguments.errors, "\n  "));
  return config;
}

}  // namespace attelier
