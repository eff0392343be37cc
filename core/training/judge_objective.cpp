// The judge: counts, hues, places of things, attributes and depth, learnt from drawn pictures that are worn as generated ones are: autoencoded, blurred,
// compressed, noisy.
#include <c10/core/GradMode.h>

#include <map>

#include "core/base/files.h"
#include "core/evaluation/judgement.h"
#include "core/models/vae.h"
#include "core/scenes/world/degradation.h"
#include "core/training/autocast.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"
#include "core/training/rolling_pool.h"
#include "core/weights/load.h"

namespace attelier {
namespace {

double unit(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }
float between(std::mt19937_64& random, double a, double b) { return static_cast<float>(a + (b - a) * unit(random)); }

/// A drawn picture, already worn, and its truth.
struct JudgeExample {
  at::Tensor pixels;                 // bytes [3, S, S]
  at::Tensor count, hue, attributes; // i64 [K], [K], [A]; -1 = not asked
  at::Tensor x;                      // f32 [K]; below 0 = not asked
  at::Tensor depth;                  // f32 [S/8, S/8], log metres standardised; undefined in the small world
};

/// Mean of -log softmax over the rows whose target is not -1; 0 if there is none. logits [N, C], target i64 [N].
at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& target, double smoothing) {
  const at::Tensor asked = (target >= 0).sum().clamp_min(1);
  return at::cross_entropy_loss(logits, target, {}, at::Reduction::Sum, -1, smoothing) / asked;
}

JudgeConfig sizes(const Json& config) {
  JudgeConfig sizes = judge_config(*world_of(config.at("world").get<std::string>()));
  sizes.picture_size = config.at("picture_size");
  sizes.widths = config.at("widths").get<std::vector<int64_t>>();
  return JudgeConfig::from_json(sizes.to_json());
}

class JudgeObjective : public Objective {
 public:
  JudgeObjective(const Json& config, const std::filesystem::path& base)
      : config_(config),
        world_(*world_of(config.at("world").get<std::string>())),
        judge_(sizes(config)),
        seed_(config.at("seed").get<uint64_t>()),
        batch_(config.at("batch").get<int64_t>()),
        pool_(config.at("pool").get<int64_t>(), config.at("fresh").get<int64_t>(), config.at("drawing_threads").get<int>(),
              [this](int64_t number) { return example(number); }) {
    if (config.at("vae").is_null()) return;
    const std::filesystem::path folder = base / config.at("vae").get<std::string>();
    vae_ = std::make_unique<Vae>(VaeConfig::from_json(Json::parse(read_file(folder / "config.json", 1 << 20))));
    load_weights(*vae_, *open_tensors(folder / "diffusion_pytorch_model.safetensors"), at::kCPU, at::kFloat);
  }

  nn::Module& module() override { return judge_; }

  void prepare(int64_t step, const Context& context) override { pool_.fill(step, context); }

  at::Tensor loss(int64_t step, int64_t micro, const Context& context) override {
    if (micro == 0) pool_.start_next();
    std::mt19937_64 random = step_random(seed_, step, micro);
    std::vector<const JudgeExample*> chosen;
    for (int64_t i = 0; i < batch_; ++i) chosen.push_back(&pool_[static_cast<int64_t>(random() % static_cast<uint64_t>(pool_.size()))]);
    const auto gather = [&](at::Tensor JudgeExample::*field) {
      std::vector<at::Tensor> rows;
      for (const JudgeExample* one : chosen) rows.push_back(one->*field);
      return at::stack(rows).to(context.device);
    };
    const at::Device device = context.device;
    const bool with_depth = judge_.config().depth;
    at::Tensor picture = to_signed(gather(&JudgeExample::pixels)), x = gather(&JudgeExample::x), depth = with_depth ? gather(&JudgeExample::depth) : at::Tensor();
    move(picture, x, depth, random);
    JudgeOutputs outputs;
    {
      const Autocast autocast(device.type(), config_.at("bfloat16").get<bool>());
      outputs = judge_.forward(wear(picture, random).contiguous(at::MemoryFormat::ChannelsLast));
    }
    const double smoothing = share("label_smoothing");
    const auto kinds = static_cast<double>(judge_.config().kinds.size());
    at::Tensor sum = kinds * 0.5 * cross_entropy(outputs.counts.flatten(0, 1), gather(&JudgeExample::count).flatten(), smoothing);
    sum = sum + cross_entropy(outputs.hues.flatten(0, 1), gather(&JudgeExample::hue).flatten(), smoothing);
    const at::Tensor placed = (x >= 0).to(at::kFloat);
    sum = sum + 5 * ((outputs.x - x).abs() * placed).sum() / placed.sum().clamp_min(1);
    const at::Tensor attributes = gather(&JudgeExample::attributes);
    for (size_t a = 0; a < outputs.attributes.size(); ++a) sum = sum + cross_entropy(outputs.attributes[a], attributes.select(1, static_cast<int64_t>(a)), smoothing);
    if (with_depth) sum = sum + (outputs.depth - depth).abs().mean();
    return sum;
  }

  void end_step() override { pool_.swap_in(); }
  void abandon_step() override { pool_.settle(); }

  /// Shares of right answers on pictures of the world's own choice that were never drawn for training, after the autoencoder where there is one.
  std::vector<Metric> validate(const Context& context) override {
    std::map<std::string, std::pair<int64_t, int64_t>> right;
    const int64_t count = config_.at("validation_pictures");
    for (int64_t i = 0; i < count; ++i) {
      context.check_stop();
      const LabelledScene scene = draw_labelled(world_, step_random(seed_, -1 - i, 7)(), {.size = draw_size(), .edges = false});
      at::Tensor picture = tensor_of(scene);
      if (vae_) picture = (vae_->decode(vae_->encode(picture * 2 - 1).mean) / 2 + 0.5).clamp(0, 1);
      for (const Verdict& verdict : compare_labels(scene.claims, judge_pictures(judge_, picture)[0].labels, words_of(world_))) {
        right[verdict.attribute].first += verdict.right;
        ++right[verdict.attribute].second;
      }
    }
    std::vector<Metric> metrics;
    for (const auto& [name, share] : right) metrics.push_back({name, static_cast<double>(share.first) / static_cast<double>(share.second)});
    return metrics;
  }

  at::Tensor sheet(const Context&) override {
    std::mt19937_64 random = step_random(seed_, 0, 1);
    std::vector<at::Tensor> tiles;
    for (int64_t i = 0; i < 24; ++i) {
      const JudgeExample one = example(-1000 - i);
      at::Tensor picture = to_signed(one.pixels).unsqueeze(0), x = one.x.unsqueeze(0).clone(), depth;
      move(picture, x, depth, random);
      tiles.push_back(wear(picture, random)[0]);
    }
    return contact_sheet(tiles, 6);
  }

  void export_model(const std::filesystem::path& folder, const Context&) override { write_component(folder, judge_.config().to_json(), "model.safetensors", judge_); }

 private:
  int64_t draw_size() const { return 2 * judge_.config().picture_size; }
  static at::Tensor tensor_of(const LabelledScene& scene) {
    return at::from_blob(const_cast<float*>(scene.rgb.data()), {1, scene.size, scene.size, 3}, at::kFloat).permute({0, 3, 1, 2}).contiguous();
  }

  double share(const char* name) const { return config_.at(name).get<double>(); }

  JudgeExample example(int64_t number) {
    c10::NoGradGuard no_grad;
    std::mt19937_64 random = step_random(seed_ ^ 0x1d6e, number, 0);
    const bool independent = unit(random) < share("independent_share");
    const LabelledScene scene = draw_labelled(world_, random(), {.size = draw_size(), .independent = independent, .edges = false});
    at::Tensor picture = tensor_of(scene);
    if (vae_ && unit(random) < share("autoencoded_share")) {
      // Noise on the latents, as a generator's are never quite a picture's.
      const at::Tensor z = vae_->encode(picture * 2 - 1).mean;
      const double strength = unit(random) * share("latent_noise") / vae_->config().scaling_factor;
      picture = (vae_->decode(z + strength * at::randn(z.sizes(), make_generator(random()), at::kFloat)) / 2 + 0.5).clamp(0, 1);
    }
    const int64_t size = judge_.config().picture_size;
    if (unit(random) < share("worn_share")) {
      const at::Tensor rows = picture[0].permute({1, 2, 0}).contiguous();
      const std::vector<float> rgb(rows.data_ptr<float>(), rows.data_ptr<float>() + rows.numel());
      const int side = static_cast<int>(draw_size());
      const world::Degradation degradation = world::random_degradation(random(), 2);
      std::vector<float> worn = world::degrade(rgb, side, side, 2, degradation, random());
      picture = at::from_blob(worn.data(), {1, size, size, 3}, at::kFloat).permute({0, 3, 1, 2}).clone();
    } else {
      picture = at::avg_pool2d(picture, {2, 2});
    }
    JudgeExample one;
    one.pixels = picture[0].mul(255).round_().clamp_(0, 255).to(at::kByte);
    one.count = at::tensor(scene.labels.count);
    one.hue = at::tensor(scene.labels.hue);
    one.x = at::tensor(scene.labels.x);
    one.attributes = at::tensor(scene.labels.attributes);
    if (judge_.config().depth) {
      const at::Tensor metres = at::from_blob(const_cast<float*>(scene.depth.data()), {1, 1, scene.size, scene.size}, at::kFloat);
      const at::Tensor depth = at::adaptive_avg_pool2d(at::where(metres > 0, metres, at::full({}, 200.0f)).clamp(0.1, 200).log(), {size / 8, size / 8})[0][0];
      one.depth = (depth - depth.mean()) / (depth.std() + 0.05);
    }
    return one;
  }

  /// Mirrors, shifts and zooms each picture [B, 3, S, S], its x [B, K] and its depth with it.
  static void move(at::Tensor& picture, at::Tensor& x, at::Tensor& depth, std::mt19937_64& random) {
    const int64_t rows = picture.size(0);
    const at::Tensor theta = at::zeros({rows, 2, 3});
    for (int64_t b = 0; b < rows; ++b) {
      const float zoom = between(random, 0.9, 1.1), mirror = random() & 1 ? -1.0f : 1.0f, shift = between(random, -0.12, 0.12);
      theta[b][0][0] = zoom * mirror;
      theta[b][0][2] = shift;
      theta[b][1][1] = zoom * between(random, 0.95, 1.05);
      theta[b][1][2] = between(random, -0.1, 0.1);
      // The point u of the result shows the point zoom * mirror * u + shift of the picture; both run from -1 to 1.
      const at::Tensor moved = ((x[b] * 2 - 1 - shift) / (zoom * mirror) + 1) / 2;
      x[b].copy_(at::where(x[b] >= 0, moved.clamp(0, 1), x[b]));
    }
    const at::Tensor on_device = theta.to(picture.device());
    picture = at::grid_sampler(picture, at::affine_grid_generator(on_device, picture.sizes(), false), /*bilinear*/ 0, /*reflection*/ 2, false);
    if (!depth.defined()) return;
    const at::Tensor maps = depth.unsqueeze(1);
    depth = at::grid_sampler(maps, at::affine_grid_generator(on_device, maps.sizes(), false), 0, 2, false).squeeze(1);
  }

  /// Blur, brightness, tint, contrast and noise, another strength for each picture.
  static at::Tensor wear(const at::Tensor& picture, std::mt19937_64& random) {
    const int64_t rows = picture.size(0);
    std::vector<float> blur, gain, lift, noise, tint;
    for (int64_t b = 0; b < rows; ++b) {
      blur.push_back(random() & 1 ? between(random, 0, 1) : 0.0f);
      gain.push_back(between(random, 0.85, 1.12));
      lift.push_back(between(random, -0.08, 0.08));
      noise.push_back(random() & 1 ? between(random, 0, 0.12) : 0.0f);
      for (int c = 0; c < 3; ++c) tint.push_back(between(random, 0.96, 1.04));
    }
    const auto column = [&](const std::vector<float>& values) { return at::tensor(values).view({rows, -1, 1, 1}).to(picture.device()); };
    const at::Tensor soft = at::avg_pool2d(at::reflection_pad2d(picture, {1, 1, 1, 1}), {3, 3}, {1, 1});
    const at::Tensor worn = picture + column(blur) * (soft - picture);
    const at::Tensor grain = at::randn(worn.sizes(), make_generator(random()), at::kFloat).to(picture.device());
    return (worn * column(gain) * column(tint) + column(lift) + column(noise) * grain).clamp(-1, 1);
  }

  Json config_;
  WorldName world_;
  Judge judge_;
  std::unique_ptr<Vae> vae_;
  uint64_t seed_;
  int64_t batch_;
  RollingPool<JudgeExample> pool_;
};

void check(const Json& config, const std::filesystem::path& base, ConfigProblems& problems) {
  try {
    sizes(config);
  } catch (const Error& error) {
    problems.add("/widths", "cannot be used: {}", error.what());
  }
  if (config.at("vae").is_null()) return;
  const std::filesystem::path folder = base / config.at("vae").get<std::string>();
  for (const char* name : {"config.json", "diffusion_pytorch_model.safetensors"})
    if (!std::filesystem::is_regular_file(folder / name)) problems.add("/vae", "names {}, which holds no file {}", folder.string(), name);
}

}  // namespace

ObjectiveKind judge_objective() {
  using enum ParameterType;
  const auto share = [](const char* name, const char* help, double value, double most = 1) {
    return ParameterDescription{.name = name, .label = name, .help = help, .default_value = value, .minimum = 0, .maximum = most};
  };
  ConfigShape shape;
  shape.parameters = {
      {.name = "world", .label = "world", .help = "Whose pictures are judged", .type = kChoice, .default_value = "small", .choices = {"small", "full"}},
      {.name = "picture_size", .label = "picture_size", .help = "Side of what the judge sees, a multiple of 16; pictures are drawn twice as large", .type = kInteger, .default_value = 128, .minimum = 16, .maximum = 1024},
      {.name = "widths", .label = "widths", .help = "Channels at 1/2, 1/4, 1/8 and 1/16, multiples of 8", .type = kIntegers, .default_value = {24, 48, 96, 128}, .minimum = 8, .maximum = 4096},
      {.name = "pool", .label = "pool", .help = "Pictures at hand", .type = kInteger, .default_value = 1024, .minimum = 1, .maximum = 1e7},
      {.name = "fresh", .label = "fresh", .help = "New ones a step", .type = kInteger, .default_value = 2, .minimum = 0, .maximum = 65536},
      {.name = "drawing_threads", .label = "drawing_threads", .help = "Threads that draw the pictures of the next step", .type = kInteger, .default_value = 1, .minimum = 1, .maximum = 256},
      share("independent_share", "small: share of scenes whose parts do not depend on each other", 0.7),
      share("autoencoded_share", "Share of pictures that go through the autoencoder", 0.25),
      share("latent_noise", "Most noise on their latents, in their standard deviations", 0.25, 10),
      share("worn_share", "Share of pictures that are blurred, noisy and compressed", 0.3),
      share("label_smoothing", "What the truth gives up to all other values", 0.02),
      {.name = "validation_pictures", .label = "validation_pictures", .help = "Pictures of a measurement", .type = kInteger, .default_value = 96, .minimum = 1, .maximum = 1e6},
      {.name = "vae", .label = "vae", .help = "Folder of an autoencoder, relative to the configuration", .type = kPath, .default_value = nullptr}};
  return {"judge", "A network that says what a drawn picture shows", shape, check,
          [](const Json& config, const std::filesystem::path& base, const Context&) -> std::unique_ptr<Objective> { return std::make_unique<JudgeObjective>(config, base); }};
}

}  // namespace attelier
