// Super-resolution: pictures and their reduced partners, absolute error.
#include <c10/core/GradMode.h>

#include <cmath>
#include <map>
#include <numeric>

#include "core/evaluation/metrics.h"
#include "core/models/upscalers/rgt.h"
#include "core/scenes/world/degradation.h"
#include "core/training/autocast.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"
#include "core/training/rolling_pool.h"
#include "core/training/sample.h"
#include "core/weights/model_files.h"

namespace attelier {
namespace {

constexpr int64_t kShownSide = 192, kShownPictures = 4;  // of a sheet: large pictures' middles, and drawn ones beside the photographs
constexpr int64_t kMeasuredPictures = 12;                // drawn ones that are held out; of a folder its own
constexpr double kSlope = 0.01;                          // of RGT's activation before the upsampling

/// A picture and its partner, bytes [3, s H, s W] and [3, H, W].
struct Pair {
  at::Tensor high, low;
};

at::Tensor to_unit(const at::Tensor& bytes) { return bytes.to(at::kFloat).div_(255); }
at::Tensor as_bytes(const at::Tensor& unit) { return unit.mul(255).round_().clamp_(0, 255).to(at::kByte); }
/// The square in the middle.
at::Tensor middle(const at::Tensor& picture, int64_t side) {
  const int64_t y = (picture.size(-2) - side) / 2, x = (picture.size(-1) - side) / 2;
  return picture.slice(-2, y, y + side).slice(-1, x, x + side);
}

/// The tensors of `start` that a model takes over: all but stages of enlargement that it has and `start` lacks. Names of those that do not fit.
std::vector<std::string> take_over(Rgt& rgt, const std::filesystem::path& start, bool assign) {
  const ModelFiles files(start);
  if (!files.has("upscaler")) fail(ExitCode::kModel, "{}: is no upscaler; it has {}", start.string(), fmt::join(files.components(), ", "));
  const std::shared_ptr<const TensorSource> source = files.weights("upscaler");
  std::vector<std::string> unfit;
  for (const nn::NamedParameter& entry : rgt.named_parameters()) {
    const auto found = source->tensors().find(entry.name);
    const bool fits = found != source->tensors().end() && found->second.shape == entry.parameter->shape;
    if (!fits && !entry.name.starts_with("upsample.")) unfit.push_back(entry.name);
    if (fits && assign) entry.parameter->value.copy_(source->read(entry.name));
  }
  return unfit;
}

/// Kernels [3, 3] of the places in a cell that becomes factor x factor pixels, by linear interpolation: [factor^2, 3, 3].
at::Tensor interpolation(int64_t factor) {
  const at::Tensor place = (at::arange(factor, at::kFloat) + 0.5) / static_cast<double>(factor) - 0.5;
  const at::Tensor row = at::stack({at::relu(-place), 1 - place.abs(), at::relu(place)}, 1);  // [factor, 3]
  return (row.view({factor, 1, 3, 1}) * row.view({1, factor, 1, 3})).reshape({-1, 3, 3});
}

class UpscaleObjective : public Objective {
 public:
  UpscaleObjective(const Json& config, const std::filesystem::path& base, std::unique_ptr<SampleSource> source)
      : config_(config),
        base_(base),
        rgt_(RgtConfig::from_json(config.at("upscaler"))),
        source_(std::move(source)),
        seed_(config.at("seed").get<uint64_t>()),
        batch_(config.at("batch").get<int64_t>()),
        crop_(config.at("crop").get<int64_t>()),
        scale_(rgt_.scale()),
        pool_(config.at("pool").get<int64_t>(), config.at("fresh").get<int64_t>(), config.at("data").at("drawing_threads").get<int>(), [this](int64_t number) { return pair(number); }) {
    for (auto& [name, picture] : validation_pictures(config.at("validation"), base, std::nullopt)) {
      const int64_t height = picture.size(2) / scale_ * scale_, width = picture.size(3) / scale_ * scale_;
      if (std::min(height, width) < 16 * scale_) fail(ExitCode::kBadInput, "/validation: {} has {} x {} pixels; both sides must be at least {}", name, picture.size(3), picture.size(2), 16 * scale_);
      photographs_.emplace_back(name, with_partner(as_bytes((picture[0].slice(1, 0, height).slice(2, 0, width) + 1) / 2)));
    }
  }

  nn::Module& module() override { return rgt_; }

  /// The network starts as linear interpolation: the first three features are the colours, the body adds nothing yet, every stage interpolates its
  /// features, and the last convolution reads the colours. What has to be learnt from the first step on is what interpolation lacks.
  void initialise(at::Generator generator, at::Device device) override {
    c10::NoGradGuard no_grad;
    rgt_.initialise(generator);
    std::map<std::string, at::Tensor> values;
    for (const nn::NamedParameter& entry : rgt_.named_parameters()) {
      at::Tensor& value = values[entry.name] = entry.parameter->value;
      if (entry.name.starts_with("upsample.") || entry.name.starts_with("conv_last.")) value.zero_();
      if (entry.name.starts_with("upsample.") && entry.name.ends_with(".weight")) {
        const int64_t features = value.size(1), cells = value.size(0) / features;
        const at::Tensor kernels = interpolation(cells == 9 ? 3 : 2);
        for (int64_t i = 0; i < features; ++i) value.slice(0, cells * i, cells * (i + 1)).select(1, i).copy_(kernels);
      }
    }
    const std::string last = rgt_.config().resi_connection == "3conv" ? "conv_after_body.4" : "conv_after_body";
    for (const char* end : {".weight", ".bias"}) values.at(last + end).zero_();
    const auto first = [&](const std::string& name, int64_t rows) {
      values.at(name + ".weight").slice(0, 0, rows).zero_();
      values.at(name + ".bias").slice(0, 0, rows).zero_();
      return values.at(name + ".weight").select(3, 1).select(2, 1);  // [out, in] of the middle
    };
    const at::Tensor in = first("conv_first", 3), halves = first("conv_before_upsample.0", 6), out = first("conv_last", 3);
    for (int64_t c = 0; c < 3; ++c) {
      in[c][c] = 1;
      // x = (leaky(x) - leaky(-x)) / (1 + slope)
      halves[c][c] = 1, halves[3 + c][c] = -1;
      out[c][c] = 1 / (1 + kSlope), out[c][3 + c] = -1 / (1 + kSlope);
    }
    if (!config_.at("start").is_null()) take_over(rgt_, base_ / config_.at("start").get<std::string>(), true);
    rgt_.to(device, at::kFloat);
  }

  void prepare(int64_t step, const Context& context) override { pool_.fill(step, context); }

  at::Tensor loss(int64_t step, int64_t micro, const Context& context) override {
    if (micro == 0) pool_.start_next();
    std::mt19937_64 random = step_random(seed_, step, micro);
    const Pair chosen = batch(random);
    ForwardContext forward;
    forward.recompute = config_.at("recompute").get<bool>();
    at::Tensor enlarged;
    {
      const Autocast autocast(context.device.type(), config_.at("bfloat16").get<bool>());
      enlarged = rgt_.forward(to_unit(chosen.low.to(context.device)), forward);
    }
    return (enlarged.to(at::kFloat) - to_unit(chosen.high.to(context.device))).abs().mean();
  }

  void end_step() override { pool_.swap_in(); }
  void abandon_step() override { pool_.settle(); }

  /// PSNR of the luma in dB, and how much more that is than bicubic interpolation has.
  std::vector<Metric> validate(const Context& context) override {
    std::vector<Metric> metrics;
    const auto add = [&](const std::string& name, const std::vector<double>& value, const std::vector<double>& plain) {
      const auto mean = [](const std::vector<double>& x) { return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size()); };
      metrics.push_back({"psnr " + name, mean(value)});
      metrics.push_back({"above bicubic " + name, mean(value) - mean(plain)});
    };
    std::vector<double> values, plain;
    const auto measure = [&](const Pair& one) {
      const at::Tensor truth = to_unit(one.high).unsqueeze(0);
      values.push_back(luma_psnr_between(enlarge(one.low, context), truth, scale_));
      plain.push_back(luma_psnr_between(interpolate(one.low), truth, scale_));
    };
    for (const auto& [name, photograph] : photographs_) {
      measure(photograph);
      add(name, {values.back()}, {plain.back()});
    }
    if (!values.empty()) add("mean", values, plain);
    values.clear(), plain.clear();
    for (int64_t i = 0; i < kMeasuredPictures; ++i) measure(pair(-1 - i));
    add(source_->count() ? "training pictures" : "drawn", values, plain);
    return metrics;
  }

  /// Interpolated, enlarged and true.
  at::Tensor sheet(const Context& context) override {
    std::vector<Pair> pairs;
    for (const auto& [name, photograph] : photographs_) pairs.push_back(photograph);
    for (int64_t i = 0; i < kShownPictures; ++i) pairs.push_back(pair(-1 - i));
    int64_t side = kShownSide / scale_;
    for (const Pair& one : pairs) side = std::min({side, one.low.size(1), one.low.size(2)});
    std::vector<at::Tensor> tiles;
    for (const Pair& one : pairs) {
      const Pair shown{middle(one.high, scale_ * side), middle(one.low, side)};
      for (const at::Tensor& picture : {interpolate(shown.low), enlarge(shown.low, context), to_unit(shown.high).unsqueeze(0)}) tiles.push_back(picture[0] * 2 - 1);
    }
    return contact_sheet(tiles, 6);
  }

  void export_model(const std::filesystem::path& folder, const Context&) override { write_component(folder, rgt_.config().to_json(), "model.safetensors", rgt_); }

 private:
  /// [1, 3, s H, s W] in [0, 1].
  at::Tensor enlarge(const at::Tensor& low, const Context& context) const {
    ForwardContext forward;
    forward.stop = context.stop;
    return rgt_.forward(to_unit(low).unsqueeze(0).to(context.device), forward).cpu().clamp(0, 1);
  }
  at::Tensor interpolate(const at::Tensor& low) const { return resize_bicubic(to_unit(low).unsqueeze(0), scale_ * low.size(1), scale_ * low.size(2)).clamp(0, 1); }
  Pair with_partner(const at::Tensor& high) const { return {high, as_bytes(resize_bicubic(to_unit(high), high.size(1) / scale_, high.size(2) / scale_))}; }

  /// Picture `number`, reduced at random, and its partner.
  Pair pair(int64_t number) const {
    c10::NoGradGuard no_grad;
    std::mt19937_64 random(sample_seed(seed_, number, 0x5ca1e));
    const auto unit = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
    at::Tensor high = source_->sample(number).pixels;
    const int64_t size = high.size(1);
    const double shrink = 1 + (config_.at("shrink").get<double>() - 1) * unit();
    const int64_t side = std::max(scale_ * crop_, static_cast<int64_t>(static_cast<double>(size) / shrink) / scale_ * scale_);
    if (side != size) high = shrink > 1 ? as_bytes(resize_bicubic(to_unit(high), side, side)) : high.slice(1, 0, side).slice(2, 0, side);
    if (unit() >= config_.at("degraded_share").get<double>()) return with_partner(high);
    const at::Tensor rows = to_unit(high).permute({1, 2, 0}).contiguous();
    const std::vector<float> rgb(rows.data_ptr<float>(), rows.data_ptr<float>() + rows.numel());
    const world::Degradation degradation = world::random_degradation(random(), static_cast<int>(scale_));
    std::vector<float> worn = world::degrade(rgb, static_cast<int>(side), static_cast<int>(side), static_cast<int>(scale_), degradation, random());
    return {high, to_bytes(worn, side / scale_)};
  }

  /// Squares of pool pictures [B, 3, s crop, s crop] and [B, 3, crop, crop], varied.
  Pair batch(std::mt19937_64& random) const {
    std::vector<at::Tensor> high, low;
    for (int64_t i = 0; i < batch_; ++i) {
      const Pair& picture = pool_[static_cast<int64_t>(random() % static_cast<uint64_t>(pool_.size()))];
      const auto offset = [&] { return static_cast<int64_t>(random() % static_cast<uint64_t>(picture.low.size(1) - crop_ + 1)); };
      const int64_t y = offset(), x = offset();
      const auto square = [&](const at::Tensor& whole, int64_t factor) { return whole.slice(1, factor * y, factor * (y + crop_)).slice(2, factor * x, factor * (x + crop_)); };
      at::Tensor large = square(picture.high, scale_), small = square(picture.low, 1);
      vary({&large, &small}, random);
      high.push_back(large), low.push_back(small);
    }
    return {at::stack(high), at::stack(low)};
  }

  Json config_;
  std::filesystem::path base_;
  Rgt rgt_;
  std::unique_ptr<SampleSource> source_;
  uint64_t seed_;
  int64_t batch_, crop_, scale_;
  std::vector<std::pair<std::string, Pair>> photographs_;
  RollingPool<Pair> pool_;
};

void check(const Json& config, const std::filesystem::path& base, ConfigProblems& problems) {
  check_data(config.at("data"), base, problems);
  check_validation(config, base, problems);
  if (!config.at("upscaler").is_object()) return;
  std::optional<Rgt> rgt;
  try {
    rgt.emplace(RgtConfig::from_json(config.at("upscaler")));
  } catch (const Error& error) {
    problems.add("/upscaler", "cannot be used: {}", error.what());
    return;
  }
  const int64_t crop = config.at("crop"), size = config.at("picture_size");
  const double shrink = config.at("shrink"), least = static_cast<double>(rgt->scale() * crop) * shrink;
  if (least > static_cast<double>(size))
    problems.add("/crop", "is {}, which takes {} pixels of a large picture; with \"shrink\": {} a \"picture_size\" of at least {} is needed", crop, rgt->scale() * crop, shrink, std::ceil(least));
  if (config.at("start").is_null()) return;
  try {
    const std::vector<std::string> unfit = take_over(*rgt, base / config.at("start").get<std::string>(), false);
    if (!unfit.empty()) problems.add("/start", "is another network: {} of its tensors are missing or have other shapes, among them {}", unfit.size(), unfit.front());
  } catch (const Error& error) {
    problems.add("/start", "cannot be used: {}", error.what());
  }
}

}  // namespace

ObjectiveKind upscale_objective() {
  using enum ParameterType;
  ConfigShape shape;
  shape.parameters = {
      {.name = "crop", .label = "crop", .help = "Side of the squares that are cut from the small pictures", .type = kInteger, .default_value = 48, .minimum = 16, .maximum = 4096},
      {.name = "picture_size", .label = "picture_size", .help = "Side of the large pictures before they are reduced", .type = kInteger, .default_value = 256, .minimum = 32, .maximum = 8192},
      {.name = "shrink", .label = "shrink", .help = "Large pictures are reduced at random up to this factor, so that there is detail of every size", .type = kNumber, .default_value = 1, .minimum = 1, .maximum = 16},
      {.name = "degraded_share", .label = "degraded_share", .help = "Share of pictures whose small ones are blurred, noisy and compressed; the others are reduced by bicubic interpolation", .default_value = 0, .minimum = 0, .maximum = 1},
      {.name = "pool", .label = "pool", .help = "Pictures at hand", .type = kInteger, .default_value = 512, .minimum = 1, .maximum = 1e7},
      {.name = "fresh", .label = "fresh", .help = "New ones a step", .type = kInteger, .default_value = 1, .minimum = 0, .maximum = 65536},
      {.name = "start", .label = "start", .help = "An upscaler to start from, of another factor perhaps: a folder or file, relative to the configuration", .type = kPath, .default_value = nullptr},
      validation_parameter()};
  shape.groups = {data_group()};
  shape.networks = {"upscaler"};
  return {"upscale", "An upscaler from nothing, or from one of another factor", shape, check, [](const Json& config, const std::filesystem::path& base, const Context& context) -> std::unique_ptr<Objective> {
            return std::make_unique<UpscaleObjective>(config, base, make_sample_source(config.at("data"), config.at("seed"), config.at("picture_size"), base, context));
          }};
}

}  // namespace attelier
