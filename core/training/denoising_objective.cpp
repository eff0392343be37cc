#include "core/training/denoising_objective.h"

#include <c10/core/GradMode.h>

#include "core/diffusion/guidance.h"
#include "core/training/autocast.h"
#include "core/training/pictures.h"

namespace attelier {
namespace {

constexpr int64_t kSheetSteps = 25;
constexpr double kSheetGuidance = 5;
constexpr int64_t kLargestPool = 2048, kVariants = 4;  // unless the configuration says how many: of each picture that a folder has

at::Tensor twice(const at::Tensor& x) { return x.defined() ? at::cat({x, x}) : x; }

int64_t pool_size(const Json& config, const SampleSource& source) {
  if (!config.at("pool").is_null()) return config.at("pool");
  const std::optional<int64_t> pictures = source.count();
  return pictures ? std::min(kVariants * *pictures, kLargestPool) : kLargestPool;
}

/// Such a picture teaches the empty prompt alone: no word of a later prompt asks for it.
void warn_of_missing_captions(const SampleSource& source, const Context& context) {
  constexpr size_t kNamed = 3;
  std::vector<std::string> names;
  for (const std::filesystem::path& file : source.uncaptioned()) names.push_back(file.string());
  if (names.empty()) return;
  const size_t missing = names.size();
  names.resize(std::min(missing, kNamed));
  context.warn("{} of {} pictures have no caption and teach the empty prompt alone: {}{}; write a .txt beside each, or \"caption\" in /data for all", missing, source.count().value_or(0),
               fmt::join(names, ", "), missing > kNamed ? ", ..." : "");
}

}  // namespace

DenoisingObjective::DenoisingObjective(const Json& config, const Json& scheduler_config, std::shared_ptr<const SampleSource> source)
    : config_(config),
      scheduler_config_(scheduler_config),
      source_(std::move(source)),
      levels_(scheduler_config, config.at("snr_limit").get<double>()),
      seed_(config.at("seed").get<uint64_t>()),
      batch_(config.at("batch").get<int64_t>()),
      pool_(pool_size(config, *source_), config.at("fresh").get<int64_t>(), config.at("data").at("drawing_threads").get<int>(), [this](int64_t first, int64_t count, int threads) {
        // Drawn side by side, encoded one after the other: an encoder has threads of its own.
        std::vector<Example> made;
        for (const Sample& sample : draw_samples(*source_, first, count, threads)) made.push_back(make_example(first++, sample));
        return made;
      }) {}

Example DenoisingObjective::make_example(int64_t number, const Sample& sample) {
  c10::NoGradGuard no_grad;
  std::mt19937_64 random(sample_seed(seed_, number, 0xe7));
  Example example;
  example.latent = encode(to_signed(sample.pixels).unsqueeze(0))[0].to(at::kCPU, at::kHalf);
  example.caption = sample.caption;
  complete(example, sample, random);
  return example;
}

Example DenoisingObjective::example(int64_t number) { return make_example(number, source_->sample(number)); }

void DenoisingObjective::prepare(int64_t step, const Context& context) {
  if (config_.at("caption_dropout").get<double>() < 1) warn_of_missing_captions(*source_, context);
  pool_.fill(step, context, "encoding");
}

NoisyBatch DenoisingObjective::assemble(const std::vector<const Example*>& examples, at::Device device) {
  const auto stacked = [&](at::Tensor Example::*member, double scale) {
    std::vector<at::Tensor> rows;
    for (const Example* one : examples)
      if ((one->*member).defined()) rows.push_back(one->*member);
    if (rows.empty()) return at::Tensor();
    const at::Tensor batch = at::stack(rows).to(device).to(at::kFloat);
    return scale == 1 ? batch : batch * scale;
  };
  NoisyBatch batch;
  batch.mask = stacked(&Example::mask, 1);
  batch.masked = stacked(&Example::masked, 1);
  batch.condition = stacked(&Example::condition, 1.0 / 255);
  for (const Example* one : examples) batch.captions.push_back(one->caption);
  return batch;
}

at::Tensor DenoisingObjective::loss(int64_t step, int64_t micro, const Context& context) {
  if (micro == 0) pool_.start_next();
  std::mt19937_64 random = step_random(seed_, step, micro);
  const double dropout = config_.at("caption_dropout").get<double>();
  std::vector<const Example*> examples;
  std::vector<at::Tensor> latents;
  std::vector<int64_t> timesteps;
  std::vector<bool> dropped;
  for (int64_t i = 0; i < batch_; ++i) {
    const Example& one = pool_[static_cast<int64_t>(random() % static_cast<uint64_t>(pool_.size()))];
    dropped.push_back(static_cast<double>(random() >> 11) * 0x1p-53 < dropout);
    examples.push_back(&one);
    latents.push_back(one.latent);
    timesteps.push_back(static_cast<int64_t>(random() % static_cast<uint64_t>(levels_.count())));
  }
  NoisyBatch batch = assemble(examples, context.device);
  for (size_t i = 0; i < dropped.size(); ++i)
    if (dropped[i]) batch.captions[i].clear();
  const at::Tensor clean = at::stack(latents).to(context.device).to(at::kFloat);
  levels_.add_noise(batch, clean, at::randn(clean.sizes(), make_generator(random()), at::kFloat).to(context.device), timesteps);
  at::Tensor prediction;
  {
    const Autocast autocast(context.device.type(), config_.at("bfloat16").get<bool>());
    prediction = predict(batch, context).to(at::kFloat);
  }
  return denoising_loss(prediction, batch);
}

std::vector<Metric> DenoisingObjective::validate(const Context& context) {
  double sum = 0;
  const int64_t count = config_.at("validation_pictures").get<int64_t>();
  for (int64_t i = 0; i < count; ++i) {
    context.check_stop();
    const Example one = example(-1000 - i);
    NoisyBatch batch = assemble({&one}, context.device);
    const at::Tensor clean = one.latent.unsqueeze(0).to(context.device).to(at::kFloat);
    levels_.add_noise(batch, clean, at::randn(clean.sizes(), make_generator(static_cast<uint64_t>(i)), at::kFloat).to(context.device), {levels_.timestep_of_part(i, count)});
    sum += (predict(batch, context).to(at::kFloat) - batch.target).pow(2).mean().item<double>();
  }
  if (count == 0) return {};
  return {{fmt::format("{} error{}", levels_.predicts_velocity() ? "velocity" : "noise", source_->count() ? " of training pictures" : ""), sum / static_cast<double>(count)}};
}

at::Tensor DenoisingObjective::sample(const Example& example, uint64_t seed, const Context& context) {
  const auto scheduler = make_scheduler(scheduler_config_, "DDIMScheduler");
  scheduler->set_timesteps(std::min(kSheetSteps, levels_.count()));
  NoisyBatch batch = assemble({&example}, context.device);
  batch.captions = {"", example.caption};
  batch.mask = twice(batch.mask), batch.masked = twice(batch.masked), batch.condition = twice(batch.condition);
  at::Tensor z = at::randn(example.latent.unsqueeze(0).sizes(), make_generator(seed), at::kFloat).to(context.device);
  for (const double t : scheduler->timesteps()) {
    context.check_stop();
    batch.noisy = twice(z);
    batch.timestep = at::full({2}, t, at::kFloat).to(context.device);
    z = scheduler->step(guide(predict(batch, context).to(at::kFloat), kSheetGuidance), z, {});
  }
  return decode(z).to(at::kCPU, at::kFloat)[0];
}

ConfigShape denoising_shape(Json picture_size) {
  using enum ParameterType;
  ConfigShape shape;
  shape.parameters = {
      {.name = "picture_size", .label = "picture_size", .help = "Side of the training pictures in pixels", .type = kInteger, .default_value = std::move(picture_size), .minimum = 8, .maximum = 4096},
      {.name = "pool", .label = "pool", .help = "Encoded pictures at hand; absent: 2048, of a folder at most four of each picture", .type = kInteger, .default_value = nullptr, .minimum = 1, .maximum = 1e7},
      {.name = "fresh", .label = "fresh", .help = "New ones a step, in place of the oldest", .type = kInteger, .default_value = 4, .minimum = 0, .maximum = 65536},
      {.name = "caption_dropout", .label = "caption_dropout", .help = "Share of pictures shown without their caption", .default_value = 0.1, .minimum = 0, .maximum = 1},
      {.name = "snr_limit", .label = "snr_limit", .help = "Gamma of min-SNR weighting; 0 = every timestep counts the same", .default_value = 5, .minimum = 0, .maximum = 1e9},
      {.name = "validation_pictures", .label = "validation_pictures", .help = "Pictures of the noise error: held out, but of a folder its own", .type = kInteger, .default_value = 16, .minimum = 0, .maximum = 10000},
      {.name = "sheet", .label = "sheet", .help = "Prompts of the sample sheet", .type = kTexts, .default_value = Json::array()}};
  shape.groups.push_back(data_group());
  return shape;
}

}  // namespace attelier
