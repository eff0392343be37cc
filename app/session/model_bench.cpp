#include "app/session/model_bench.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>

#include "app/session/gathered_attention.h"
#include "app/session/machine.h"
#include "core/base/files.h"
#include "core/models/backbones/backbone.h"
#include "core/models/text_encoder.h"
#include "core/models/unet.h"
#include "core/models/upscalers/rgt.h"
#include "core/models/vae.h"
#include "core/weights/load.h"
#include "core/weights/model_files.h"

namespace attelier {
namespace {

constexpr int64_t kTokens = 77;

/// Where config and weights of one component come from.
class ComponentSource {
 public:
  ComponentSource(const std::filesystem::path& path, bool random, std::string component) : path_(path), component_(std::move(component)) {
    if (!random) files_ = std::make_unique<ModelFiles>(path);
  }
  nlohmann::json config() const {
    if (files_) return files_->config(component_);
    const std::filesystem::path inner = path_ / component_ / "config.json";
    const std::filesystem::path file = std::filesystem::exists(inner) ? inner : path_ / "config.json";
    if (!std::filesystem::exists(file))
      fail(ExitCode::kModel, "--random {}: has neither {}/config.json nor config.json; write the component's config there", path_.string(), component_);
    try {
      return nlohmann::json::parse(read_file(file));
    } catch (const nlohmann::json::exception& error) {
      fail(ExitCode::kModel, "{}: is not JSON: {}", file.string(), error.what());
    }
  }
  void load(nn::Module& module, const BenchSettings& settings, const std::vector<std::string>& computed_buffers = {}) const {
    if (files_) return load_weights(module, *files_->weights(component_), settings.device, settings.dtype, "", computed_buffers);
    module.initialise(make_generator(0));
    module.to(settings.device, settings.dtype);
  }
  std::unique_ptr<Backbone> backbone(const BenchSettings& settings) const {
    if (files_) return load_backbone(path_, settings.device, settings.dtype, /*prepared=*/false);
    std::unique_ptr<Backbone> model = make_backbone(config());
    load(*model, settings);
    return model;
  }

 private:
  std::filesystem::path path_;
  std::string component_;
  std::unique_ptr<ModelFiles> files_;
};

/// A model with one run on fixed random inputs.
struct Subject {
  std::unique_ptr<nn::Module> module;
  std::function<void(const ForwardContext& context)> run;
  std::function<void(bool baseline)> set_baseline = {};  // what the baseline has beside unprepared layers
  double multiply_adds = 0;
};

at::Tensor draw(at::IntArrayRef shape, const BenchSettings& settings) {
  return at::randn(shape, make_generator(1), at::TensorOptions().dtype(at::kFloat)).to(settings.device, settings.dtype);
}

Subject unet_subject(const ComponentSource& source, BenchSettings& settings) {
  const UNetConfig config = UNetConfig::from_json(source.config());
  auto unet = std::make_unique<UNet>(config);
  source.load(*unet, settings);
  for (int64_t* side : {&settings.height, &settings.width})
    if (*side == 0) *side = 8 * config.sample_size;
  UNetInputs inputs;
  inputs.sample = draw({settings.batch, config.in_channels, settings.height / 8, settings.width / 8}, settings);
  inputs.timestep = at::full({1}, 500, at::TensorOptions().dtype(at::kLong).device(settings.device));
  inputs.encoder_hidden_states = draw({settings.batch, kTokens, config.cross_attention_dim}, settings);
  if (config.text_time_embedding) {
    inputs.text_embeds = draw({settings.batch, config.addition_input_dim - 6 * config.addition_time_embed_dim}, settings);
    inputs.time_ids = at::full({settings.batch, 6}, 1024, at::TensorOptions().dtype(at::kFloat).device(settings.device));
  }
  UNet& model = *unet;
  return {std::move(unet), [&model, inputs](const ForwardContext& context) { model.forward(inputs, context); }};
}

Subject vae_subject(const ComponentSource& source, BenchSettings& settings) {
  const VaeConfig config = VaeConfig::from_json(source.config());
  auto vae = std::make_unique<Vae>(config);
  source.load(*vae, settings);
  for (int64_t* side : {&settings.height, &settings.width})
    if (*side == 0) *side = config.sample_size;
  const at::Tensor latent = draw({settings.batch, config.latent_channels, settings.height / config.factor(), settings.width / config.factor()}, settings);
  Vae& model = *vae;
  const VaeTiling tiling{.enabled = settings.tiling};
  return {std::move(vae), [&model, latent, tiling](const ForwardContext& context) { model.decode(latent, context, tiling); }};
}

Subject text_subject(const ComponentSource& source, BenchSettings& settings) {
  const TextEncoderConfig config = TextEncoderConfig::from_json(source.config());
  auto encoder = std::make_unique<TextEncoder>(config);
  source.load(*encoder, settings);
  const at::Tensor ids = at::arange(settings.batch * std::min(kTokens, config.positions), at::kLong).remainder_(config.vocabulary).view({settings.batch, -1}).to(settings.device);
  TextEncoder& model = *encoder;
  return {std::move(encoder), [&model, ids](const ForwardContext& context) { model.forward(ids, {}, context); }};
}

Subject backbone_subject(const ComponentSource& source, BenchSettings& settings) {
  std::unique_ptr<Backbone> backbone = source.backbone(settings);
  for (int64_t* side : {&settings.height, &settings.width})
    if (*side == 0) *side = backbone->picture_size();
  const at::Tensor image = draw({settings.batch, 3, settings.height, settings.width}, settings);
  Backbone& model = *backbone;
  const auto set_baseline = [&model](bool baseline) {
    const auto dense = [](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) { return at::scaled_dot_product_attention(q, k, v); };
    model.set_attention_forms(baseline ? AttentionForms{gathered_attention, dense} : AttentionForms{});
  };
  return {std::move(backbone), [&model, image](const ForwardContext& context) { model.forward(image, context); }, set_baseline, model.multiply_adds(settings.height, settings.width)};
}

Subject upscaler_subject(const ComponentSource& source, BenchSettings& settings) {
  auto upscaler = std::make_unique<Rgt>(RgtConfig::from_json(source.config()));
  source.load(*upscaler, settings, Rgt::computed_buffers());
  for (int64_t* side : {&settings.height, &settings.width})
    if (*side == 0) *side = 64;
  const at::Tensor image = draw({settings.batch, 3, settings.height, settings.width}, settings).sigmoid();
  Rgt& model = *upscaler;
  Subject subject{std::move(upscaler), [&model, image](const ForwardContext& context) { model.forward(image, context); }};
  subject.multiply_adds = model.multiply_adds(settings.height, settings.width);
  return subject;
}

void run_once(const Subject& subject, const ForwardContext& forward, BenchTimes& times) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t processor_start = std::clock();
  subject.run(forward);
  times.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  times.processor_seconds.push_back(static_cast<double>(std::clock() - processor_start) / CLOCKS_PER_SEC);
}

/// Times for each of `programs` (nullptr = none), which take turns so that a machine that slows down slows all of them.
std::vector<BenchTimes> measure(const Subject& subject, const std::vector<AttentionProgram*>& programs, const BenchSettings& settings, const char* stage,
                                const Context& context) {
  ForwardContext forward;
  forward.stop = context.stop;
  // From here on the kernel's record of the peak counts anew (Linux; elsewhere the peak includes the loading).
  std::ofstream("/proc/self/clear_refs") << "5";
  std::vector<BenchTimes> times(programs.size());
  BenchTimes warmup;
  const int64_t total = settings.warmup + settings.repeat;
  for (int64_t i = 0; i < total; ++i) {
    context.report(stage, i, total);
    for (size_t p = 0; p < programs.size(); ++p) {
      forward.program = programs[p];
      run_once(subject, forward, i < settings.warmup ? warmup : times[p]);
    }
  }
  context.report(stage, total, total);
  for (BenchTimes& one : times) one.peak_bytes = peak_memory();
  return times;
}

struct EmptyProgram : AttentionProgram {
  std::optional<kernels::AttentionControl> control(const AttentionCall&) override { return std::nullopt; }
};

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

}  // namespace

double BenchTimes::median() const { return median_of(seconds); }
double BenchTimes::processor_median() const { return median_of(processor_seconds); }
double BenchTimes::fastest() const { return *std::min_element(seconds.begin(), seconds.end()); }
double BenchTimes::slowest() const { return *std::max_element(seconds.begin(), seconds.end()); }

nlohmann::json BenchResult::to_json() const {
  const auto times = [](const BenchTimes& t) {
    return nlohmann::json{{"median_s", t.median()}, {"min_s", t.fastest()}, {"max_s", t.slowest()}, {"processor_s", t.processor_median()}, {"peak_bytes", t.peak_bytes}};
  };
  nlohmann::json json = times(ours);
  json["what"] = settings.what;
  json["settings"] = {{"model", model},
                      {"height", settings.height},
                      {"width", settings.width},
                      {"batch", settings.batch},
                      {"dtype", settings.dtype == at::kFloat ? "float32" : settings.dtype == at::kHalf ? "float16" : "bfloat16"},
                      {"device", settings.device.is_cuda() ? "cuda" : "cpu"},
                      {"threads", at::get_num_threads()},
                      {"repeat", settings.repeat},
                      {"warmup", settings.warmup},
                      {"tiling", settings.tiling},
                      {"version", version()}};
  if (baseline) {
    json["baseline"] = times(*baseline);
    json["baseline"]["name"] = settings.with_program ? "plain" : "torch";
    json["ratio"] = baseline->median() / ours.median();
  }
  if (multiply_adds > 0) json["multiply_adds"] = multiply_adds;
  for (const OperatorTime& time : profile) json["profile"].push_back({{"operator", time.name}, {"calls", time.calls}, {"seconds", time.seconds}});
  return json;
}

BenchResult bench_model(const std::filesystem::path& path, bool random, const BenchSettings& settings, const Context& context) {
  c10::NoGradGuard no_grad;
  BenchResult result;
  result.settings = settings;
  result.model = path.string();
  const ComponentSource source(path, random, settings.what == "text" ? "text_encoder" : settings.what);
  const Subject subject = settings.what == "unet"       ? unet_subject(source, result.settings)
                          : settings.what == "vae"      ? vae_subject(source, result.settings)
                          : settings.what == "backbone" ? backbone_subject(source, result.settings)
                          : settings.what == "upscaler" ? upscaler_subject(source, result.settings)
                                                        : text_subject(source, result.settings);
  result.multiply_adds = subject.multiply_adds;
  if (settings.with_baseline) {
    if (subject.set_baseline) subject.set_baseline(true);
    result.baseline = measure(subject, {nullptr}, result.settings, "torch", context).front();
    if (subject.set_baseline) subject.set_baseline(false);
  }
  subject.module->prepare_for_inference();
  if (settings.with_program) {
    EmptyProgram program;
    const std::vector<BenchTimes> times = measure(subject, {nullptr, &program}, result.settings, "by turns", context);
    result.baseline = times[0];
    result.ours = times[1];
  } else {
    result.ours = measure(subject, {nullptr}, result.settings, "attelier", context).front();
  }
  if (settings.with_profile) result.profile = profile_operators([&] { subject.run({}); });
  return result;
}

}  // namespace attelier
