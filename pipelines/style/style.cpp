// StyleID: both pictures are inverted with the empty prompt, then the content is painted again with the style's keys and values.
#include "pipelines/style/style.h"

#include <c10/core/InferenceMode.h>

#include "core/diffusion/latent_preview.h"
#include "pipelines/style/style_adain.h"
#include "pipelines/style/style_inversion.h"
#include "pipelines/style/style_schedule.h"
#include "pipelines/style/style_settings.h"
#include "pipelines/style/trajectory_cache.h"
#include "pipelines/upscale/picture_upscaler.h"

namespace attelier {
namespace {

constexpr uint64_t kFeatureBudget = uint64_t{3} << 28;  // bytes of kept features per picture, 768 MiB

/// [1, C, h, w] or [n, C, h, w] float32 from a parameter, undefined when absent.
at::Tensor given_latents(const MethodJob& job, const char* name, int64_t rows, const StyleSettings& s) {
  const Json& value = job.params[name];
  if (value.is_null()) return {};
  const VaeConfig& vae = job.model->vae().config();
  const std::vector<int64_t> shape = {rows, vae.latent_channels, s.height / vae.factor(), s.width / vae.factor()};
  const at::Tensor latents = read_tensor_reference(value).to(job.model->device(), at::kFloat);
  if (latents.sizes() != at::IntArrayRef(shape))
    fail(ExitCode::kBadInput, "/params/{} has the shape [{}]; this job needs [{}]", name, fmt::join(latents.sizes(), ", "), fmt::join(shape, ", "));
  return latents;
}

at::Tensor empty_prompt(const MethodJob& job, const Context& context) {
  ForwardContext forward;
  forward.stop = context.stop;
  const Json& reference = job.params["prompt_embeds"];
  const at::Tensor embeds = reference.is_null() ? job.model->encode_prompt("", {}, forward).embeds : read_tensor_reference(reference).to(context.options());
  const int64_t width = job.model->unet().config().cross_attention_dim;
  if (embeds.dim() != 3 || embeds.size(0) != 1 || embeds.size(2) != width)
    fail(ExitCode::kBadInput, "/params/prompt_embeds has the shape [{}]; this model needs [1, tokens, {}]", fmt::join(embeds.sizes(), ", "), width);
  return embeds;
}

/// A picture's inversion, from the disk where it was made before.
class Inverter {
 public:
  Inverter(const MethodJob& job, const StyleSettings& s, const StyleRun& run) : job_(job), s_(s), run_(run) {}

  Inversion operator()(FeatureRecorder::Kind kind, const std::string& role, const std::filesystem::path& path, const at::Tensor& given) const {
    Inversion inversion(kind, s_.strength.decoder_blocks);
    const at::Tensor picture = given.defined() ? given : read_style_picture(path, s_.width, s_.height);
    const TrajectoryKey key = key_of(picture, given.defined());
    const VaeConfig& vae = job_.model->vae().config();
    const std::filesystem::path folder = given.defined() ? trajectory_folder() : trajectory_folder(path);
    const at::Tensor stored = s_.cache ? load_trajectory(key, {s_.steps + 1, vae.latent_channels, s_.height / vae.factor(), s_.width / vae.factor()}, folder) : at::Tensor();
    if (stored.defined()) {
      inversion.adopt(stored.to(run_.model.device()));
    } else {
      const at::Tensor latent = given.defined() ? given : encode(picture);
      require_finite(latent, "the encoded " + role);
      inversion.run(run_, latent, s_.injection ? s_.start_step : 0, kFeatureBudget, "inverting the " + role);
      require_finite(inversion.latents(), "the inversion of the " + role);
      if (s_.cache) save_trajectory(key, inversion.latents(), folder);
    }
    if (job_.trace != nullptr)
      for (int64_t k = 0; k <= s_.steps; ++k) job_.trace->add(fmt::format("inversion.{}.{}", role, k), inversion.latents().slice(0, k, k + 1));
    return inversion;
  }

 private:
  TrajectoryKey key_of(const at::Tensor& picture, bool is_latent) const {
    TrajectoryKey key;
    key.add(picture).add(run_.embeds).add(job_.model->files().hash(&run_.context)).add(job_.model->scheduler_config().dump());
    const std::string posterior = is_latent ? "latent" : s_.sample_posterior ? fmt::format("sample {}", s_.seed) : "mean";
    return key.add(fmt::format("{} {} {} {} {}", s_.official ? 'A' : 'B', s_.steps, posterior, c10::toString(run_.context.dtype), run_.model.device().str()));
  }

  at::Tensor encode(const at::Tensor& picture) const {
    ForwardContext forward;
    forward.stop = run_.context.stop;
    const NoiseSource noise = s_.sample_posterior ? generator_noise(make_generator(s_.seed)) : NoiseSource();
    return job_.model->encode(picture, noise, forward).to(at::kFloat);
  }

  const MethodJob& job_;
  const StyleSettings& s_;
  const StyleRun& run_;
};

void run(const MethodJob& job, const Context& context, const OutputSink& sink) {
  const c10::InferenceMode inference;
  const StyleSettings s = read_style_settings(job);
  const FinalUpscale upscale(job.params, context);
  const at::Tensor embeds = empty_prompt(job, context);
  const auto ddim = job.model->scheduler("DDIMScheduler");
  const Json config = job.model->scheduler_config();
  const StyleSchedule schedule = s.official ? style_official_schedule(config, *ddim, s.steps) : style_diffusers_schedule(config, *ddim, s.steps);
  const StyleRun unet{*job.model, schedule, embeds, context};
  const auto& style_paths = job.inputs.at("style");
  const at::Tensor content_latent = given_latents(job, "content_latents", 1, s);
  const at::Tensor style_latents = given_latents(job, "style_latents", static_cast<int64_t>(style_paths.size()), s);

  const Inverter invert(job, s, unet);
  Inversion content = invert(FeatureRecorder::Kind::kContent, "content", *job.input("content"), content_latent);
  std::vector<Inversion> styles;
  std::vector<at::Tensor> style_ends;
  for (size_t i = 0; i < style_paths.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    styles.push_back(invert(FeatureRecorder::Kind::kStyle, i == 0 ? "style" : fmt::format("style.{}", i), style_paths[i],
                            style_latents.defined() ? style_latents.slice(0, row, row + 1) : style_latents));
    style_ends.push_back(styles.back().end());
  }

  at::Tensor x = given_latents(job, "latents", 1, s);
  if (!x.defined()) x = s.initial_adain ? style_adain(content.end(), style_ends, s.mix, s.official ? 0 : 1e-4) : content.end();
  if (job.trace != nullptr) job.trace->add("latents.-1", x);
  ForwardContext forward;
  forward.stop = context.stop;
  std::optional<LatentPreview> preview;
  if (context.preview) preview.emplace(*job.model, forward);

  const auto injection = std::make_shared<StyleInjection>(s.strength, s.mix);
  AttentionProgram* program = s.injection ? injection.get() : nullptr;
  if (job.watch != nullptr) {
    program = job.watch->recorder.over(s.injection ? injection : nullptr);
    std::vector<Image> pictures;
    if (s.injection)
      for (const std::filesystem::path& path : style_paths) pictures.push_back(to_image((read_style_picture(path, s.width, s.height) + 1) / 2));
    job.watch->set_sources(std::move(pictures));
  }
  std::vector<float> timesteps;
  StyleSchedule::Sample sample;
  for (int64_t i = 0; i < s.start_step; ++i) {
    const int64_t k = s.start_step - 1 - i;  // the inversion step whose features and timestep are used
    StepFeatures content_features;
    std::vector<StepFeatures> style_features;
    if (s.injection) {
      content_features = content.features(unet, k, i);
      for (Inversion& style : styles) style_features.push_back(style.features(unet, k, i));
      std::vector<const StepFeatures*> pointers;
      for (const StepFeatures& features : style_features) pointers.push_back(&features);
      injection->use(content_features, pointers);
    }
    const at::Tensor prediction = unet.predict(k, i, x, program, {});
    sample = schedule.sample(k, prediction, x);
    x = sample.latent;
    require_finite(x, fmt::format("sampling step {} of {}", i + 1, s.start_step));
    if (job.trace != nullptr) {
      timesteps.push_back(static_cast<float>(schedule.timesteps[static_cast<size_t>(k)]));
      job.trace->add(fmt::format("noise_prediction.{}", i), prediction);
      job.trace->add(fmt::format("latents.{}", i), x);
    }
    if (preview) context.preview(i, (*preview)(sample.original));
    context.report("painting", i + 1, s.start_step);
  }
  // The authors' diffusers code shows the clean latent of its last step, their official code the last latent.
  const VaeTiling tiling{s.width * s.height > 1024 * 1024, 0, 0.25};
  const at::Tensor decoded = job.model->decode(s.official ? x : sample.original, forward, tiling, &context);
  const at::Tensor picture = ((require_finite(decoded, "the decoded picture") + 1) / 2).clamp(0, 1);
  if (job.trace != nullptr) {
    job.trace->add("timesteps", at::tensor(timesteps));
    job.trace->add("image", picture);
  }
  sink({upscale(to_image(picture, /*truncate=*/s.official), context), job.params});
}

}  // namespace

const Method kStyleMethod = {
    "style",
    "Repaint a photograph in the style of another picture (StyleID, CVPR 2024)",
    style_parameters(),
    {
        {"content", "the photograph to repaint", true, false},
        {.name = "style", .help = "the picture whose style is taken; up to three are mixed", .required = true, .several = true, .most = kMostStyles, .weights = "weights"},
        {.name = "style_mask", .help = "one gray picture per style: white where it acts", .several = true, .most = kMostStyles, .painted_over = "content", .one_per = "style"},
    },
    {"--content photo.jpg --style painting.jpg", "--content photo.jpg --style painting.jpg --gamma 0.3", "--content photo.jpg --style a.png --style b.png --weights 2,1"},
    run,
};

}  // namespace attelier
