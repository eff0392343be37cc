#include "pipelines/generate/conditioning.h"

#include "core/weights/model_store.h"

namespace attelier {
namespace {

/// A tensor reference of this parameter in the model's dtype, undefined when absent.
at::Tensor reference(const MethodJob& job, const char* name, const Context& context) {
  const Json& value = job.params[name];
  return value.is_null() ? at::Tensor() : read_tensor_reference(value).to(context.options());
}

void check_embeds(const at::Tensor& embeds, const char* name, int64_t width) {
  if (embeds.dim() != 3 || embeds.size(0) != 1 || embeds.size(2) != width)
    fail(ExitCode::kBadInput, "/params/{} has the shape [{}]; this model needs [1, tokens, {}]", name, fmt::join(embeds.sizes(), ", "), width);
}

struct Prompts {
  PromptEmbedding positive, negative;
};

Prompts encode_prompts(const MethodJob& job, const GenerateSettings& s, bool guided, const Context& context, AttentionProgram* program) {
  DiffusionModel& model = *job.model;
  ForwardContext forward, edited;
  forward.stop = edited.stop = context.stop;
  edited.program = program;
  Prompts prompts{{reference(job, "prompt_embeds", context), reference(job, "pooled_prompt_embeds", context), {}},
                  {reference(job, "negative_prompt_embeds", context), reference(job, "negative_pooled_prompt_embeds", context), {}}};
  PromptOptions options{s.clip_skip, s.prompt_weights, s.long_prompt, 1, s.second_prompt};
  const auto encode_positive = [&] { prompts.positive = model.encode_prompt(s.prompt, options, edited); };
  const bool given = prompts.positive.embeds.defined();
  if (!given) encode_positive();
  if (!prompts.positive.cut.empty()) context.warn("the prompt is longer than the text encoder reads; left out: \"{}\" (--long-prompt keeps it)", prompts.positive.cut);
  if (!guided || prompts.negative.embeds.defined()) return prompts;
  if (!s.negative && model.zeros_for_empty_prompt()) {
    prompts.negative = {at::zeros_like(prompts.positive.embeds), at::zeros_like(prompts.positive.pooled), {}};
    return prompts;
  }
  PromptOptions negative_options{0, s.prompt_weights, s.long_prompt, 1, s.second_negative};
  const auto encode_negative = [&] { prompts.negative = model.encode_prompt(s.negative.value_or(""), negative_options, forward); };
  encode_negative();
  if (!prompts.negative.cut.empty()) context.warn("the negative prompt is longer than the text encoder reads; left out: \"{}\"", prompts.negative.cut);
  // Both need one length: the shorter one gets empty parts.
  const int64_t length = model.tokenizer().options().length;
  if (prompts.negative.embeds.size(1) < prompts.positive.embeds.size(1)) {
    negative_options.chunks = prompts.positive.embeds.size(1) / length;
    encode_negative();
  } else if (prompts.negative.embeds.size(1) > prompts.positive.embeds.size(1) && !given) {
    options.chunks = prompts.negative.embeds.size(1) / length;
    encode_positive();
  }
  return prompts;
}

}  // namespace

AddOns::AddOns(const MethodJob& job, const GenerateSettings& s, const Context& context) {
  const DiffusionModel& model = *job.model;
  for (const ControlSettings& control : s.controls) {
    nets_.push_back(load_controlnet(resolve_model(control.model), model.device(), model.dtype()));
    const int64_t width = nets_.back()->config().unet.cross_attention_dim, wanted = job.model->unet().config().cross_attention_dim;
    if (width != wanted)
      fail(ExitCode::kModel, "/params/control_model: {} is made for text of width {}, this model's is {}; choose a ControlNet of the model's family", control.model, width, wanted);
  }
  try {
    merge_loras(job, s, context);
  } catch (...) {
    restore();
    throw;
  }
}

void AddOns::merge_loras(const MethodJob& job, const GenerateSettings& s, const Context& context) {
  if (s.loras.empty()) return;
  DiffusionModel& model = *job.model;
  std::vector<LoraUse> uses;
  for (size_t i = 0; i < s.loras.size(); ++i) {
    loras_.push_back(Lora::open(resolve_model(s.loras[i])));
    uses.push_back({&loras_.back(), s.lora_weights[i]});
  }
  targets_ = {{"unet", &model.unet()}};
  if (job.params["prompt_embeds"].is_null()) {
    targets_.push_back({"text_encoder", &model.text_encoder(0)});
    if (model.is_xl()) targets_.push_back({"text_encoder_2", &model.text_encoder(1)});
  }
  // Merging needs the weights in their own order.
  for (const LoraTarget& target : targets_) target.module->to(model.device(), model.dtype());
  applied_ = AppliedLoras(targets_, uses, LoraMode::kMerged);
  for (const LoraTarget& target : targets_) target.module->prepare_for_inference();
  for (size_t i = 0; i < loras_.size(); ++i)
    if (const std::string warning = applied_.reports()[i].warning(loras_[i]); !warning.empty()) context.warn("{}", warning);
}

AddOns::~AddOns() {
  try {
    restore();
  } catch (...) {
    // No memory to prepare the weights: as they are they compute the same, more slowly.
  }
}

void AddOns::restore() {
  applied_.remove();
  for (const LoraTarget& target : targets_) target.module->prepare_for_inference();
}

std::vector<ControlNetGuide> AddOns::guides(const GenerateSettings& s, const std::vector<at::Tensor>& pictures) const {
  std::vector<ControlNetGuide> guides;
  for (size_t i = 0; i < nets_.size(); ++i)
    guides.push_back({nets_[i].get(), pictures[i], s.controls[i].scale, s.controls[i].start, s.controls[i].end, s.guess_mode});
  return guides;
}

Conditioning make_conditioning(const MethodJob& job, const GenerateSettings& s, const Context& context, AttentionProgram* program) {
  const UNetConfig& unet = job.model->unet().config();
  Conditioning conditioning;
  conditioning.guidance = s.guidance;
  conditioning.rescale = s.rescale;
  conditioning.embedded_guidance = unet.time_condition_dim > 0;
  const bool guided = conditioning.guided();
  const Prompts prompts = encode_prompts(job, s, guided, context, program);
  check_embeds(prompts.positive.embeds, "prompt_embeds", unet.cross_attention_dim);
  if (guided) {
    check_embeds(prompts.negative.embeds, "negative_prompt_embeds", unet.cross_attention_dim);
    if (prompts.negative.embeds.size(1) != prompts.positive.embeds.size(1))
      fail(ExitCode::kBadInput, "the prompt's encoding has {} tokens, the negative prompt's {}; they must be equal", prompts.positive.embeds.size(1),
           prompts.negative.embeds.size(1));
  }
  const auto both = [&](const at::Tensor& negative, const at::Tensor& positive) { return guided ? at::cat({negative, positive}) : positive; };
  conditioning.embeds = both(prompts.negative.embeds, prompts.positive.embeds);
  if (!unet.text_time_embedding) return conditioning;
  if (!prompts.positive.pooled.defined() || (guided && !prompts.negative.pooled.defined()))
    fail(ExitCode::kBadInput, "/params/pooled_prompt_embeds and negative_pooled_prompt_embeds belong to prompt_embeds and negative_prompt_embeds with this model");
  conditioning.text_embeds = both(prompts.negative.pooled, prompts.positive.pooled);
  // Original size, crop corner and target size (Podell et al. 2023, section 2.2), all those of the picture.
  const auto h = static_cast<double>(s.height), w = static_cast<double>(s.width);
  const at::Tensor sizes = at::tensor({h, w, 0.0, 0.0, h, w}).to(context.options()).unsqueeze(0);
  conditioning.time_ids = both(sizes, sizes);
  return conditioning;
}

Conditioning repeat(const Conditioning& one, int64_t pictures) {
  Conditioning result = one;
  for (at::Tensor* tensor : {&result.embeds, &result.text_embeds, &result.time_ids})
    if (tensor->defined()) *tensor = tensor->repeat_interleave(pictures, 0);
  return result;
}

}  // namespace attelier
