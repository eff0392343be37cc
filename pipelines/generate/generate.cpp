#include "pipelines/generate/generate.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "core/diffusion/latent_preview.h"
#include "core/diffusion/latents.h"
#include "pipelines/attention_edits.h"
#include "pipelines/generate/conditioning.h"
#include "pipelines/generate/pictures.h"
#include "pipelines/generate/settings.h"
#include "pipelines/upscale/picture_upscaler.h"

namespace attelier {
namespace {

std::unique_ptr<Scheduler> make_sampler(const DiffusionModel& model, const GenerateSettings& s) {
  std::string class_name;
  Json options = Json::object();
  for (const SamplerName& sampler : sampler_names()) {
    if (sampler.name != s.sampler) continue;
    class_name = sampler.class_name;
    if (sampler.options.is_object()) options = sampler.options;
  }
  if (s.eta > 0) options["eta"] = s.eta;
  return model.scheduler(class_name, options);
}

/// The pictures' own generators; in float32 whatever is asked for when the noise dtype says so.
NoiseSource make_noise(uint64_t seed, int64_t pictures, bool float32) {
  std::vector<at::Generator> generators;
  for (int64_t b = 0; b < pictures; ++b) generators.push_back(make_generator(seed + static_cast<uint64_t>(b)));
  const NoiseSource own = generator_noise(std::move(generators));
  if (!float32) return own;
  return [own](const at::Tensor& like) { return own(at::empty_like(like, at::kFloat)).to(like.scalar_type()); };
}

/// The program of the job's attention edits; null where there are none. Tells a watcher the prompt's words.
std::shared_ptr<EditProgram> read_edits(const MethodJob& job, const GenerateSettings& s) {
  const Json& texts = job.params["attention"];
  if (texts.empty() && job.watch == nullptr) return nullptr;
  const Tokenizer& tokenizer = job.model->tokenizer();
  // Of a prompt that came as its encoding no word is known.
  const PromptTokens prompt = tokenize_prompt(tokenizer, job.params["prompt_embeds"].is_null() ? s.prompt : "", s.prompt_weights, s.long_prompt);
  if (job.watch != nullptr) job.watch->set_words(prompt_words(tokenizer, prompt));
  return make_edit_program(texts, tokenizer, prompt);
}

/// One batch on its way: the draws happen in diffusers' order.
class Batch {
 public:
  Batch(const MethodJob& job, const GenerateSettings& s, const GeneratePictures& pictures, uint64_t seed, int64_t count, const Context& context)
      : job_(job), s_(s), pictures_(pictures), count_(count), scheduler_(make_sampler(*job.model, s)), noise_(make_noise(seed, count, s.float32_noise)) {
    forward_.stop = context.stop;
    scheduler_->set_timesteps(s.steps);
  }

  /// The latent that enters the first step; sets what inpainting needs in `hooks`.
  at::Tensor start(DenoiseHooks& hooks) {
    const int64_t channels = job_.model->vae().config().latent_channels, unet_channels = job_.model->unet().config().in_channels;
    const bool inpainting_unet = unet_channels == 2 * channels + 1;
    if (s_.mode == GenerateMode::kInpaint ? !inpainting_unet && unet_channels != channels : unet_channels != channels)
      fail(ExitCode::kBadInput, "the model's UNet takes {} channels, this job has {}; an inpainting model needs --image and --mask", unet_channels, channels);
    if (s_.mode == GenerateMode::kText) return start_from_noise(*scheduler_, draw());
    set_strength(*scheduler_, s_.steps, s_.strength);
    if (s_.mode == GenerateMode::kImage) {
      const at::Tensor image = encode(pictures_.picture);
      return start_from_image(*scheduler_, image, draw());
    }
    at::Tensor image;
    if (!inpainting_unet || s_.strength < 1) image = encode(pictures_.picture);
    const at::Tensor noise = draw();
    const at::Tensor latent = start_inpainting(*scheduler_, image, noise, s_.strength);
    const at::Tensor mask = mask_to_latent(pictures_.mask, latent.size(2), latent.size(3), s_.largest_mask ? MaskReduction::kLargest : MaskReduction::kNearest).to(latent.options());
    if (!inpainting_unet) {
      // diffusers encodes the masked picture here too; only its draw matters to what follows.
      noise_(at::empty(latent.sizes(), latent.options().dtype(job_.model->vae_dtype())));
      hooks.after_step = keep_outside_mask(*scheduler_, image, noise, mask);
      return latent;
    }
    hooks.extra_channels = inpainting_channels(mask, encode(masked_picture(pictures_.picture, pictures_.mask)), count_);
    if (!s_.keep_latents) return latent;
    // Encoded last, so that what is painted starts from the noise that it has without.
    hooks.after_step = keep_outside_mask(*scheduler_, image.defined() ? image : encode(pictures_.picture), noise, mask);
    return hooks.after_step(-1, latent);
  }

  Scheduler& scheduler() { return *scheduler_; }
  const NoiseSource& noise() const { return noise_; }

 private:
  at::Tensor encode(const at::Tensor& picture) {
    const NoiseSource every = [this](const at::Tensor& like) { return noise_(like.expand({count_, -1, -1, -1})); };
    return job_.model->encode(picture, every, forward_, s_.tiling);
  }

  at::Tensor draw() {
    const int64_t factor = job_.model->vae().config().factor();
    const std::vector<int64_t> shape = {count_, job_.model->vae().config().latent_channels, s_.height / factor, s_.width / factor};
    const Json& given = job_.params["latents"];
    if (given.is_null()) return initial_noise(noise_, shape, job_.model->device(), job_.model->dtype());
    const at::Tensor noise = read_tensor_reference(given).to(job_.model->device(), job_.model->dtype());
    if (noise.sizes() != at::IntArrayRef(shape))
      fail(ExitCode::kBadInput, "/params/latents has the shape [{}]; this job needs [{}]", fmt::join(noise.sizes(), ", "), fmt::join(shape, ", "));
    return noise;
  }

  const MethodJob& job_;
  const GenerateSettings& s_;
  const GeneratePictures& pictures_;
  int64_t count_;
  std::unique_ptr<Scheduler> scheduler_;
  NoiseSource noise_;
  ForwardContext forward_;
};

void run(const MethodJob& job, const Context& context, const OutputSink& sink) {
  const c10::InferenceMode inference;
  const GenerateSettings s = read_generate_settings(job);
  if (s.count > 1 && !job.params["latents"].is_null()) fail(ExitCode::kBadInput, "/params/count is {}, but /params/latents fixes one picture's noise; make one picture", s.count);
  const FinalUpscale upscale(job.params, context);
  const GeneratePictures pictures = read_generate_pictures(job, s);
  const AddOns add_ons(job, s, context);
  const std::shared_ptr<EditProgram> edits = read_edits(job, s);
  const Conditioning conditioning = make_conditioning(job, s, context, edits.get());
  ForwardContext forward;
  forward.stop = context.stop;
  std::optional<LatentPreview> preview;
  if (context.preview) preview.emplace(*job.model, forward);

  for (int64_t first = 0; first < s.count; first += s.batch) {
    const int64_t count = std::min(s.batch, s.count - first);
    const uint64_t seed = s.seed + static_cast<uint64_t>(first);
    Trace* trace = first == 0 ? job.trace : nullptr;  // of the first batch
    Batch batch(job, s, pictures, seed, count, context);
    DenoiseHooks hooks;
    hooks.controls = add_ons.guides(s, pictures.controls);
    hooks.program = first == 0 && job.watch != nullptr ? job.watch->recorder.over(edits) : edits.get();
    const at::Tensor start = batch.start(hooks);
    if (preview) hooks.estimate = [&](int64_t step, const at::Tensor& clean) { context.preview(step, (*preview)(clean)); };
    if (trace != nullptr) {
      const auto& timesteps = batch.scheduler().timesteps();
      trace->add("timesteps", at::tensor(std::vector<float>(timesteps.begin() + batch.scheduler().index(), timesteps.end())));
      trace->add("latents.-1", start);
      hooks.observe = [&](int64_t step, const at::Tensor& prediction, const at::Tensor& latent) {
        trace->add(fmt::format("noise_prediction.{}", step), prediction);
        trace->add(fmt::format("latents.{}", step), latent);
      };
    }
    const at::Tensor latent = denoise(job.model->unet(), batch.scheduler(), start, repeat(conditioning, count), hooks, batch.noise(), context);
    const at::Tensor decoded = (require_finite(job.model->decode(latent, forward, s.tiling, &context), "the decoded picture") / 2 + 0.5).clamp(0, 1);
    if (trace != nullptr) trace->add("image", decoded);
    for (int64_t b = 0; b < count; ++b) {
      Json params = job.params;
      params["seed"] = seed + static_cast<uint64_t>(b);
      params["count"] = params["batch"] = 1;
      sink({upscale(pictures.finish(to_image(decoded.slice(0, b, b + 1))), context), params});
    }
  }
  if (edits)
    for (const std::string& text : edits->unused()) context.warn("the attention edit \"{}\" met no layer of this run: no such site, head or step", text);
}

}  // namespace

const Method kGenerateMethod = {
    "generate",
    "Make pictures from a prompt; change or fill in pictures by prompt",
    generate_parameters(),
    {
        {"image", "a picture to start from (image to image; with a mask: inpainting)", false, false},
        {.name = "mask", .help = "white where the picture is to be repainted", .painted_over = "image"},
        {"control", "one picture per ControlNet", false, true},
    },
    {"--prompt \"a red house by the sea\"", "--prompt \"a house in winter\" --image house.png --strength 0.6", "--prompt \"a tree\" --image house.png --mask mask.png"},
    run,
};

}  // namespace attelier
