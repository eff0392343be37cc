#include "pipelines/generate/settings.h"

#include <algorithm>
#include <cmath>

#include "core/media/image.h"
#include "pipelines/attention_edits.h"
#include "pipelines/upscale/picture_upscaler.h"

namespace attelier {
namespace {

std::vector<std::string> sampler_choices() {
  std::vector<std::string> names = {"model"};
  for (const SamplerName& sampler : sampler_names()) names.push_back(sampler.name);
  return names;
}

/// One value for every net, or one each; absent = `fallback`.
double per_net(const Json& values, size_t index, size_t nets, double fallback, const char* name) {
  if (values.is_null()) return fallback;
  if (values.size() != 1 && values.size() != nets) fail(ExitCode::kBadInput, "/params/{} has {} numbers for {} ControlNets; give one, or one each", name, values.size(), nets);
  return values[values.size() == 1 ? 0 : index];
}

/// The picture's shape with the area the model was made for; a square without a picture.
void default_size(const MethodJob& job, int64_t native, int64_t multiple, GenerateSettings& s) {
  s.width = s.height = native;
  const std::filesystem::path* picture = job.input("image") != nullptr ? job.input("image") : job.input("control");
  if (picture == nullptr) return;
  const Image image = load_image(*picture);
  const double aspect = std::clamp(static_cast<double>(image.width) / static_cast<double>(image.height), 0.125, 8.0);
  const auto side = [&](double pixels) { return std::max<int64_t>(1, std::lround(pixels / static_cast<double>(multiple))) * multiple; };
  s.width = side(static_cast<double>(native) * std::sqrt(aspect));
  s.height = side(static_cast<double>(native) / std::sqrt(aspect));
}

void read_controls(const MethodJob& job, GenerateSettings& s) {
  const Json& p = job.params;
  if (p["control_model"].is_null()) {
    if (job.input("control") != nullptr) fail(ExitCode::kBadInput, "/inputs/control names a picture, but /params/control_model no ControlNet; give its name or path");
    return;
  }
  const auto nets = p["control_model"].get<std::vector<std::string>>();
  const auto found = job.inputs.find("control");
  const size_t pictures = found == job.inputs.end() ? 0 : found->second.size();
  if (pictures != nets.size()) fail(ExitCode::kBadInput, "/inputs/control names {} pictures for {} ControlNets; give one each", pictures, nets.size());
  for (size_t i = 0; i < nets.size(); ++i) {
    s.controls.push_back({nets[i], per_net(p["control_scale"], i, nets.size(), 1, "control_scale"), per_net(p["control_start"], i, nets.size(), 0, "control_start"),
                          per_net(p["control_end"], i, nets.size(), 1, "control_end")});
    if (s.controls.back().start > s.controls.back().end)
      fail(ExitCode::kBadInput, "/params/control_start is {}, after /params/control_end, {}", s.controls.back().start, s.controls.back().end);
  }
}

void check_sampler(const MethodJob& job, const GenerateSettings& s) {
  if (s.eta == 0) return;
  const auto& names = sampler_names();
  const auto found = std::find_if(names.begin(), names.end(), [&](const SamplerName& name) { return name.name == s.sampler; });
  const std::string class_name = found != names.end() ? found->class_name : job.model->scheduler_config().value("_class_name", std::string());
  if (class_name != "DDIMScheduler") fail(ExitCode::kBadInput, "/params/eta is {} with the sampler {}; only ddim draws noise by eta, so use --sampler ddim or eta 0", s.eta, s.sampler);
}

}  // namespace

const ParameterDescriptions& generate_parameters() {
  using enum ParameterType;
  static const ParameterDescriptions parameters = with_final_upscale({
      {.name = "prompt", .label = "Prompt", .help = "What the picture shows.", .type = kText, .default_value = ""},
      {.name = "negative_prompt", .label = "Negative prompt", .help = "What it must not show; absent = nothing (SDXL: zeros).", .type = kText, .default_value = nullptr},
      {.name = "size", .label = "Size", .help = "Width and height; absent = the model's own size, in the shape of the input picture if there is one.", .type = kSize,
       .default_value = nullptr, .minimum = 8, .maximum = 16384, .unit = "px"},
      {.name = "steps", .label = "Steps", .help = "Denoising steps.", .type = kInteger, .default_value = 30, .minimum = 1, .maximum = 1000, .unit = "steps"},
      {.name = "guidance_scale", .label = "Guidance", .help = "How closely the prompt is followed; 1 or less = one UNet call per step without guidance; absent = 7.5 (SDXL 5).",
       .type = kNumber, .default_value = nullptr, .minimum = 0, .maximum = 1000},
      {.name = "seed", .label = "Seed", .help = "Seed of the noise; picture N of several takes seed + N.", .type = kInteger, .default_value = 0, .minimum = 0},
      {.name = "count", .label = "Pictures", .help = "How many pictures are made.", .type = kInteger, .default_value = 1, .minimum = 1, .maximum = 10000},
      {.name = "sampler", .label = "Sampler", .help = "Noise scheduler; model = the one that the model was made with.", .type = kChoice, .default_value = "model",
       .choices = sampler_choices()},
      {.name = "strength", .label = "Strength", .help = "How far from the input picture the run starts; absent = 0.8 (inpainting 1; SDXL 0.3 and 0.9999).", .type = kNumber,
       .default_value = nullptr, .minimum = 0, .maximum = 1},
      {.name = "lora", .label = "LoRA", .help = "Names or paths of LoRAs.", .type = kModels, .default_value = nullptr, .choices = {"lora"}},
      {.name = "lora_weights", .label = "LoRA weights", .help = "One number per LoRA; absent = 1.", .type = kNumbers, .default_value = nullptr},
      {.name = "control_model", .label = "ControlNet", .help = "Names or paths of ControlNets, one per control picture.", .type = kModels, .default_value = nullptr, .choices = {"controlnet-"}},
      {.name = "control_scale", .label = "Control scale", .help = "Strength of each ControlNet; absent = 1.", .type = kNumbers, .default_value = nullptr},
      {.name = "control_prepare", .label = "Control picture", .help = "none: used as it is; canny: its edges are drawn first.", .type = kChoice, .default_value = "none",
       .choices = {"none", "canny"}},
      {.name = "keep_pixels", .label = "Keep pixels", .help = "Inpainting: put the picture's own pixels back outside the mask.", .type = kBoolean, .default_value = false},
      {.name = "keep_latents", .label = "Keep latents", .help = "Inpainting models: put the picture's own latent back outside the mask before and after every step, as models not made for masks need it.",
       .type = kBoolean, .default_value = false},
      {.name = "mask_crop", .label = "Crop to mask", .help = "Inpainting: paint only the mask's surroundings, with this margin, at full size.", .type = kInteger,
       .default_value = nullptr, .minimum = 0, .maximum = 65536, .unit = "px"},
      attention_parameter(),
      {.name = "guidance_rescale", .label = "Guidance rescale", .help = "Takes back the contrast that strong guidance adds.", .type = kNumber, .default_value = 0, .minimum = 0,
       .maximum = 1, .advanced = true},
      {.name = "eta", .label = "Eta", .help = "Noise of DDIM steps: 0 none, 1 as much as DDPM.", .type = kNumber, .default_value = 0, .minimum = 0, .maximum = 1, .advanced = true},
      {.name = "clip_skip", .label = "CLIP skip", .help = "Last layers of the text encoder to leave out, for the prompt alone.", .type = kInteger, .default_value = 0, .minimum = 0,
       .maximum = 64, .advanced = true},
      {.name = "prompt_2", .label = "Second prompt", .help = "SDXL: prompt of the second text encoder; empty = the same.", .type = kText, .default_value = "", .advanced = true},
      {.name = "negative_prompt_2", .label = "Second negative prompt", .help = "SDXL: negative prompt of the second text encoder; empty = the same.", .type = kText,
       .default_value = "", .advanced = true},
      {.name = "prompt_weights", .label = "Prompt weights", .help = "Reads (word:1.2) in prompts.", .type = kBoolean, .default_value = false, .advanced = true},
      {.name = "long_prompt", .label = "Long prompts", .help = "Prompts beyond the text encoder's length are encoded in parts and not cut.", .type = kBoolean, .default_value = false,
       .advanced = true},
      {.name = "control_start", .label = "Control start", .help = "Share of the steps after which each ControlNet acts; absent = 0.", .type = kNumbers, .default_value = nullptr,
       .minimum = 0, .maximum = 1, .advanced = true},
      {.name = "control_end", .label = "Control end", .help = "Share of the steps after which each ControlNet stops; absent = 1.", .type = kNumbers, .default_value = nullptr,
       .minimum = 0, .maximum = 1, .advanced = true},
      {.name = "guess_mode", .label = "Guess mode", .help = "ControlNets guide only the prompt's half, so that they act without a prompt too.", .type = kBoolean,
       .default_value = false, .advanced = true},
      {.name = "canny_low", .label = "Canny low", .help = "Lower threshold of the edges.", .type = kNumber, .default_value = 100, .minimum = 0, .maximum = 10000, .advanced = true},
      {.name = "canny_high", .label = "Canny high", .help = "Upper threshold of the edges.", .type = kNumber, .default_value = 200, .minimum = 0, .maximum = 10000, .advanced = true},
      {.name = "mask_to_latent", .label = "Mask on latents", .help = "nearest: the top left pixel of each cell; largest: any pixel of it.", .type = kChoice,
       .default_value = "nearest", .choices = {"nearest", "largest"}, .advanced = true},
      {.name = "batch", .label = "Pictures at once", .help = "Above 1 several pictures share the UNet's calls: faster on a GPU, the same as alone only up to rounding.",
       .type = kInteger, .default_value = 1, .minimum = 1, .maximum = 64, .advanced = true},
      {.name = "noise_dtype", .label = "Noise dtype", .help = "model: noise is drawn in the model's dtype, as PyTorch does; float32: the same noise for every dtype.", .type = kChoice,
       .default_value = "model", .choices = {"model", "float32"}, .advanced = true},
      {.name = "vae_tiling", .label = "VAE tiling", .help = "Decode in tiles, which saves memory and is not exact; auto = above 1024 x 1024 pixels.", .type = kChoice,
       .default_value = "auto", .choices = {"auto", "on", "off"}, .advanced = true},
      {.name = "latents", .label = "Latents", .help = "FILE.safetensors:NAME of the starting noise, standard normal, in place of the seed's.", .type = kPath,
       .default_value = nullptr, .advanced = true},
      {.name = "prompt_embeds", .label = "Prompt embeds", .help = "FILE.safetensors:NAME in place of the prompt's encoding.", .type = kPath, .default_value = nullptr, .advanced = true},
      {.name = "negative_prompt_embeds", .label = "Negative prompt embeds", .help = "FILE.safetensors:NAME in place of the negative prompt's encoding.", .type = kPath,
       .default_value = nullptr, .advanced = true},
      {.name = "pooled_prompt_embeds", .label = "Pooled prompt embeds", .help = "SDXL: FILE.safetensors:NAME, beside prompt_embeds.", .type = kPath, .default_value = nullptr,
       .advanced = true},
      {.name = "negative_pooled_prompt_embeds", .label = "Negative pooled prompt embeds", .help = "SDXL: FILE.safetensors:NAME, beside negative_prompt_embeds.", .type = kPath,
       .default_value = nullptr, .advanced = true},
  });
  return parameters;
}

GenerateSettings read_generate_settings(const MethodJob& job) {
  const Json& p = job.params;
  GenerateSettings s;
  const bool xl = job.model->is_xl();
  if (job.input("image") != nullptr) s.mode = job.input("mask") != nullptr ? GenerateMode::kInpaint : GenerateMode::kImage;
  if (s.mode == GenerateMode::kText && job.input("mask") != nullptr) fail(ExitCode::kBadInput, "/inputs/mask is given without /inputs/image; inpainting needs both");
  s.prompt = p["prompt"];
  if (!p["negative_prompt"].is_null()) s.negative = p["negative_prompt"].get<std::string>();
  s.second_prompt = p["prompt_2"];
  s.second_negative = p["negative_prompt_2"];
  s.sampler = p["sampler"];
  s.steps = p["steps"];
  s.count = p["count"];
  s.batch = p["batch"];
  s.clip_skip = p["clip_skip"];
  s.guidance = p["guidance_scale"].is_null() ? (xl ? 5.0 : 7.5) : p["guidance_scale"].get<double>();
  s.rescale = p["guidance_rescale"];
  s.eta = p["eta"];
  s.seed = p["seed"];
  const bool inpaint = s.mode == GenerateMode::kInpaint;
  s.strength = p["strength"].is_null() ? (inpaint ? (xl ? 0.9999 : 1.0) : (xl ? 0.3 : 0.8)) : p["strength"].get<double>();
  s.prompt_weights = p["prompt_weights"];
  s.long_prompt = p["long_prompt"];
  s.guess_mode = p["guess_mode"];
  s.canny = p["control_prepare"] == "canny";
  s.canny_low = p["canny_low"];
  s.canny_high = p["canny_high"];
  s.keep_pixels = p["keep_pixels"];
  s.keep_latents = p["keep_latents"];
  s.largest_mask = p["mask_to_latent"] == "largest";
  if (inpaint && !p["mask_crop"].is_null()) s.mask_crop = p["mask_crop"].get<int64_t>();
  if (!p["lora"].is_null()) s.loras = p["lora"].get<std::vector<std::string>>();
  s.lora_weights = p["lora_weights"].is_null() ? std::vector<double>(s.loras.size(), 1.0) : p["lora_weights"].get<std::vector<double>>();
  if (s.lora_weights.size() != s.loras.size()) fail(ExitCode::kBadInput, "/params/lora_weights has {} numbers for {} LoRAs", s.lora_weights.size(), s.loras.size());
  s.float32_noise = p["noise_dtype"] == "float32";

  const int64_t multiple = job.model->vae().config().factor();
  if (p["size"].is_null()) {
    default_size(job, job.model->native_size(), multiple, s);
  } else {
    s.width = p["size"][0];
    s.height = p["size"][1];
  }
  if (s.width % multiple != 0 || s.height % multiple != 0)
    fail(ExitCode::kBadInput, "/params/size is {}x{}; both sides must be multiples of {}", s.width, s.height, multiple);
  s.tiling.enabled = p["vae_tiling"] == "on" || (p["vae_tiling"] == "auto" && s.width * s.height > 1024 * 1024);
  read_controls(job, s);
  check_sampler(job, s);
  return s;
}

}  // namespace attelier
