#include "pipelines/style/style_settings.h"

#include <algorithm>
#include <cmath>

#include "pipelines/style/style.h"
#include "pipelines/upscale/picture_upscaler.h"

namespace attelier {
namespace {

Image fitted(const Image& image, int64_t width, int64_t height) {
  if (width == height) return resize_lanczos(centre_crop_square(image), width, height);
  const double aspect = static_cast<double>(width) / static_cast<double>(height);
  const auto side = [](double pixels, int64_t most) { return std::clamp<int64_t>(static_cast<int64_t>(std::nearbyint(pixels)), 1, most); };
  const int64_t wide = side(static_cast<double>(image.height) * aspect, image.width), tall = side(static_cast<double>(image.width) / aspect, image.height);
  return resize_lanczos(crop(image, (image.width - wide) / 2, (image.height - tall) / 2, wide, tall), width, height);
}

/// Style masks on the latent grid, white = the style acts there.
void read_masks(const MethodJob& job, int64_t factor, StyleSettings& s) {
  const auto found = job.inputs.find("style_mask");
  if (found == job.inputs.end() || found->second.empty()) return;
  if (found->second.size() != s.mix.weights.size())
    fail(ExitCode::kBadInput, "/inputs/style_mask names {} files for {} styles; give one per style", found->second.size(), s.mix.weights.size());
  for (const std::filesystem::path& path : found->second)
    s.mix.masks.push_back(at::avg_pool2d(to_tensor(fitted(to_gray(load_image(path)), s.width, s.height)), {factor, factor})[0][0].contiguous());
  s.mix.blend = true;
}

}  // namespace

const ParameterDescriptions& style_parameters() {
  using enum ParameterType;
  static const ParameterDescriptions parameters = with_final_upscale({
      {.name = "gamma", .label = "Keep content", .help = "Share of the content's queries: high keeps structure, low lets the style in.", .type = kNumber, .default_value = 0.75,
       .minimum = 0, .maximum = 1},
      {.name = "temperature", .label = "Sharpness", .help = "Multiplies the attention logits where the style is injected.", .type = kNumber, .default_value = 1.5, .minimum = 0,
       .maximum = 20, .minimum_is_exclusive = true},
      {.name = "initial_adain", .label = "Take colours", .help = "Start from the content's latent with the style's mean and deviation.", .type = kBoolean, .default_value = true},
      {.name = "weights", .label = "Style weights", .help = "One positive number per style; absent = equal.", .type = kNumbers, .default_value = nullptr, .minimum = 0,
       .minimum_is_exclusive = true},
      {.name = "size", .label = "Size", .help = "Width and height of the result; absent = the model's own size.", .type = kSize, .default_value = nullptr, .minimum = 8,
       .maximum = 16384, .unit = "px"},
      {.name = "combine", .label = "Several styles", .help = "concat: one softmax over all styles' tokens; blend: one per style, outputs mixed.", .type = kChoice,
       .default_value = "concat", .choices = {"concat", "blend"}, .advanced = true},
      {.name = "variant", .label = "Variant", .help = "official: the authors' code behind the paper's figures; diffusers: their second version.", .type = kChoice,
       .default_value = "official", .choices = {"official", "diffusers"}, .advanced = true},
      {.name = "layers", .label = "Decoder blocks", .help = "Blocks whose self-attention is injected, 3 to 11; absent = 6 to 11 (diffusers: 7 to 11).", .type = kIntegers,
       .default_value = nullptr, .minimum = 3, .maximum = 11, .advanced = true},
      {.name = "block_gammas", .label = "Gamma per block", .help = "One gamma per decoder block in place of gamma.", .type = kNumbers, .default_value = nullptr, .minimum = 0,
       .maximum = 1, .advanced = true},
      {.name = "block_temperatures", .label = "Sharpness per block", .help = "One temperature per decoder block in place of temperature.", .type = kNumbers, .default_value = nullptr,
       .minimum = 0, .maximum = 20, .minimum_is_exclusive = true, .advanced = true},
      {.name = "steps", .label = "Steps", .help = "Inversion steps; absent = 50 (diffusers: 20).", .type = kInteger, .default_value = nullptr, .minimum = 2, .maximum = 999,
       .unit = "steps", .advanced = true},
      {.name = "start_step", .label = "Start step", .help = "How many of the steps are sampled back; absent = all but the first (diffusers: all).", .type = kInteger,
       .default_value = nullptr, .minimum = 1, .maximum = 999, .unit = "steps", .advanced = true},
      {.name = "injection", .label = "Inject", .help = "Off: plain reconstruction from the initial latent.", .type = kBoolean, .default_value = true, .advanced = true},
      {.name = "posterior", .label = "Posterior", .help = "Latent of a picture: mean, or a sample as the official code draws.", .type = kChoice, .default_value = "mean",
       .choices = {"mean", "sample"}, .advanced = true},
      {.name = "seed", .label = "Seed", .help = "Seed of posterior samples; without them nothing is random.", .type = kInteger, .default_value = 22, .minimum = 0, .advanced = true},
      {.name = "prompt_embeds", .label = "Prompt embeds", .help = "FILE.safetensors:NAME in place of the empty prompt's encoding.", .type = kPath, .default_value = nullptr,
       .advanced = true},
      {.name = "content_latents", .label = "Content latents", .help = "FILE.safetensors:NAME, [1, C, h, w] in place of the encoded content.", .type = kPath,
       .default_value = nullptr, .advanced = true},
      {.name = "style_latents", .label = "Style latents", .help = "FILE.safetensors:NAME, [styles, C, h, w] in place of the encoded styles.", .type = kPath,
       .default_value = nullptr, .advanced = true},
      {.name = "latents", .label = "Latents", .help = "FILE.safetensors:NAME, [1, C, h, w] from which sampling starts, in place of the inverted content.", .type = kPath,
       .default_value = nullptr, .advanced = true},
      {.name = "cache", .label = "Cache", .help = "Keep the inversions on disk, so that the next run with the same pictures only samples.", .type = kBoolean, .default_value = true,
       .advanced = true},
  });
  return parameters;
}

StyleSettings read_style_settings(const MethodJob& job) {
  const Json& p = job.params;
  StyleSettings s;
  s.official = p["variant"] == "official";
  StyleStrength& strength = s.strength;
  strength.gamma = p["gamma"];
  strength.temperature = p["temperature"];
  strength.decoder_blocks = s.official ? std::vector<int64_t>{6, 7, 8, 9, 10, 11} : std::vector<int64_t>{7, 8, 9, 10, 11};
  if (!p["layers"].is_null()) strength.decoder_blocks = p["layers"].get<std::vector<int64_t>>();
  const auto per_block = [&](const char* name) {
    const std::vector<double> numbers = p[name].is_null() ? std::vector<double>() : p[name].get<std::vector<double>>();
    if (!numbers.empty() && numbers.size() != strength.decoder_blocks.size())
      fail(ExitCode::kBadInput, "/params/{} has {} numbers for {} decoder blocks; give one each", name, numbers.size(), strength.decoder_blocks.size());
    return numbers;
  };
  strength.block_gammas = per_block("block_gammas");
  strength.block_temperatures = per_block("block_temperatures");
  s.steps = p["steps"].is_null() ? (s.official ? 50 : 20) : p["steps"].get<int64_t>();
  s.start_step = p["start_step"].is_null() ? (s.official ? s.steps - 1 : s.steps) : p["start_step"].get<int64_t>();
  if (s.start_step > s.steps) fail(ExitCode::kBadInput, "/params/start_step is {}; allowed is 1 to the number of steps, {}", s.start_step, s.steps);
  s.width = s.height = job.model->native_size();
  if (!p["size"].is_null()) {
    s.width = p["size"][0];
    s.height = p["size"][1];
  }
  const int64_t multiple = job.model->vae().config().factor();
  if (s.width % multiple != 0 || s.height % multiple != 0)
    fail(ExitCode::kBadInput, "/params/size is {}x{}; both sides must be multiples of {}", s.width, s.height, multiple);
  s.initial_adain = p["initial_adain"];
  s.injection = p["injection"];
  s.sample_posterior = p["posterior"] == "sample";
  s.cache = p["cache"];
  s.seed = p["seed"];
  const size_t styles = job.inputs.at("style").size();
  if (styles > kMostStyles) fail(ExitCode::kBadInput, "/inputs/style names {} files; at most {} styles are mixed", styles, kMostStyles);
  s.mix.blend = p["combine"] == "blend";
  s.mix.weights = p["weights"].is_null() ? std::vector<double>(styles, 1.0) : p["weights"].get<std::vector<double>>();
  if (s.mix.weights.size() != styles) fail(ExitCode::kBadInput, "/params/weights has {} numbers for {} styles", s.mix.weights.size(), styles);
  read_masks(job, multiple, s);

  if (job.model->is_xl()) fail(ExitCode::kBadInput, "style needs a model of the SD1 or SD2 family; {} is SDXL", job.model->files().path().string());
  const std::vector<AttentionSite> sites = job.model->unet().sites();
  for (const int64_t block : strength.decoder_blocks) {
    if (std::any_of(sites.begin(), sites.end(), [&](const AttentionSite& site) { return is_injected(site, {block}); })) continue;
    fail(ExitCode::kBadInput, "/params/layers: this model has no self-attention in decoder block {}; name others with --layers", block);
  }
  return s;
}

at::Tensor read_style_picture(const std::filesystem::path& path, int64_t width, int64_t height) {
  return to_tensor(fitted(to_rgb(load_image(path)), width, height)) * 2 - 1;
}

}  // namespace attelier
