#include "app/session/components.h"

#include <c10/core/GradMode.h>

#include <set>

#include "core/base/error.h"
#include "core/base/parameters.h"
#include "core/diffusion/diffusion_model.h"
#include "core/models/backbones/backbone.h"
#include "core/models/upscalers/rgt.h"
#include "core/weights/load.h"

namespace attelier {
namespace {

std::string shape_text(at::IntArrayRef shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

void require(const ModelFiles& files, const std::string& component) {
  if (!files.has(component)) fail(ExitCode::kModel, "{}: has no {}; it has {}", files.path().string(), component, fmt::join(files.components(), ", "));
}

NamedTensors run_tokenizer(const ComponentCall& call, int64_t index) {
  const at::Tensor& text = call.inputs.at("text");
  DiffusionModel model(call.model, call.device, call.dtype);
  const std::string_view bytes(static_cast<const char*>(text.const_data_ptr()), static_cast<size_t>(text.numel()));
  return {{"input_ids", at::tensor(model.tokenizer(index).tokenize(bytes).ids).unsqueeze(0)}};
}

NamedTensors run_text_encoder(const ComponentCall& call, const std::string& component, int64_t index) {
  DiffusionModel model(call.model, call.device, call.dtype);
  require(model.files(), component);
  TextEncoder& encoder = model.text_encoder(index);
  const TextEncoderOutput output = encoder.forward(call.input("input_ids"), call.input("attention_mask"), call.context);
  NamedTensors tensors = {{"last_hidden_state", output.last_hidden_state}};
  for (size_t i = 0; i < output.hidden_states.size(); ++i) tensors.emplace_back(fmt::format("hidden_states.{}", i), output.hidden_states[i]);
  tensors.emplace_back(encoder.config().projection > 0 ? "text_embeds" : "pooler_output", output.pooled);
  return tensors;
}

UNetInputs unet_inputs(const ComponentCall& call) {
  UNetInputs inputs;
  inputs.sample = call.input("sample");
  inputs.timestep = call.inputs.at("timestep").to(call.device);
  inputs.encoder_hidden_states = call.input("encoder_hidden_states");
  inputs.text_embeds = call.input("text_embeds");
  if (const auto ids = call.inputs.find("time_ids"); ids != call.inputs.end()) inputs.time_ids = ids->second.to(call.device);  // sizes stay float32
  inputs.guidance_embedding = call.input("guidance_embedding");
  inputs.down_residuals = call.list("down_block_additional_residuals");
  inputs.mid_residual = call.input("mid_block_additional_residual");
  return inputs;
}

NamedTensors run_unet(const ComponentCall& call) {
  DiffusionModel model(call.model, call.device, call.dtype);
  require(model.files(), "unet");
  return {{"sample", model.unet().forward(unet_inputs(call), call.context)}};
}

NamedTensors run_controlnet(const ComponentCall& call) {
  const ModelFiles files(call.model);
  require(files, "controlnet");
  ControlNet net(ControlNetConfig::from_json(files.config("controlnet")));
  load_weights(net, *files.weights("controlnet"), call.device, call.dtype);
  net.prepare_for_inference();
  const auto scale = call.inputs.find("conditioning_scale");
  const ControlNetResiduals residuals =
      net.forward(unet_inputs(call), call.input("controlnet_cond"), scale == call.inputs.end() ? 1.0 : scale->second.item<double>(), false, call.context);
  NamedTensors tensors;
  for (size_t i = 0; i < residuals.down.size(); ++i) tensors.emplace_back(fmt::format("down_block_res_samples.{}", i), residuals.down[i]);
  tensors.emplace_back("mid_block_res_sample", residuals.mid);
  return tensors;
}

NamedTensors run_vae_encoder(const ComponentCall& call) {
  DiffusionModel model(call.model, call.device, call.dtype);
  require(model.files(), "vae");
  const VaePosterior posterior = model.vae().encode(call.input("sample").to(model.vae_dtype()), call.context);
  return {{"mean", posterior.mean}, {"logvar", posterior.logvar}};
}

NamedTensors run_vae_decoder(const ComponentCall& call) {
  DiffusionModel model(call.model, call.device, call.dtype);
  require(model.files(), "vae");
  return {{"sample", model.vae().decode(call.input("latent").to(model.vae_dtype()), call.context)}};
}

NamedTensors run_backbone(const ComponentCall& call) {
  require(ModelFiles(call.model), "backbone");
  const BackboneOutputs outputs = load_backbone(call.model, call.device, call.dtype)->forward(call.input("image"), call.context, /*with_records=*/true);
  NamedTensors tensors;
  if (outputs.logits.defined()) tensors.emplace_back("logits", outputs.logits);
  for (size_t i = 0; i < outputs.features.size(); ++i) tensors.emplace_back(fmt::format("features.{}", i), outputs.features[i]);
  tensors.insert(tensors.end(), outputs.records.begin(), outputs.records.end());
  return tensors;
}

NamedTensors run_upscaler(const ComponentCall& call) {
  require(ModelFiles(call.model), "upscaler");
  return {{"image", load_upscaler(call.model, call.device, call.dtype)->forward(call.input("image"), call.context)}};
}

NamedTensors run_scheduler(const ComponentCall& call, bool inverse) {
  const ModelFiles files(call.model);
  const std::unique_ptr<Scheduler> scheduler = inverse ? make_inverse_scheduler(files.scheduler_config()) : make_scheduler(files.scheduler_config());
  scheduler->set_timesteps(call.inputs.at("num_inference_steps").item<int64_t>());
  const auto evaluations = static_cast<int64_t>(scheduler->timesteps().size());
  const at::Tensor outputs = call.input("model_output"), noise = call.input("noise");
  if (outputs.size(0) != evaluations)
    fail(ExitCode::kBadInput, "model_output has the shape {}; {} entries are needed along the first axis, one per timestep", shape_text(outputs.sizes()), evaluations);
  at::Generator generator = make_generator(call.seed);
  const NoiseSource drawn = generator_noise(generator);
  at::Tensor sample = call.input("sample");
  std::vector<at::Tensor> samples, scaled;
  for (int64_t i = 0; i < evaluations; ++i) {
    call.context.check_stop();
    const NoiseSource given = [&](const at::Tensor& like) { return noise[i].to(like.options()); };
    scaled.push_back(scheduler->scale_model_input(sample));
    sample = scheduler->step(outputs[i], sample, noise.defined() ? given : drawn);
    samples.push_back(sample);
  }
  const auto floats = [](const std::vector<double>& values) { return at::tensor(values, at::kDouble).to(at::kFloat); };
  NamedTensors tensors = {{"timesteps", floats(scheduler->timesteps())}};
  if (!scheduler->sigmas().empty()) tensors.emplace_back("sigmas", floats(scheduler->sigmas()));
  tensors.emplace_back("prev_sample", at::stack(samples));
  tensors.emplace_back("init_noise_sigma", floats({scheduler->init_noise_sigma()}));
  tensors.emplace_back("model_input", at::stack(scaled));
  return tensors;
}

std::vector<ComponentInput> unet_like(std::vector<ComponentInput> more) {
  std::vector<ComponentInput> inputs = {{"sample", InputKind::kFloat, {"B", "C", "h", "w"}},
                                        {"timestep", InputKind::kNumber, {"1 or B"}},
                                        {"encoder_hidden_states", InputKind::kFloat, {"B", "S", "D"}},
                                        {"text_embeds", InputKind::kFloat, {"B", "P"}, true},
                                        {"time_ids", InputKind::kNumber, {"B", "6"}, true},
                                        {"guidance_embedding", InputKind::kFloat, {"B", "G"}, true}};
  inputs.insert(inputs.end(), more.begin(), more.end());
  return inputs;
}

const std::vector<ComponentInput> kText = {{"text", InputKind::kBytes, {"bytes"}}};
const std::vector<ComponentInput> kIds = {{"input_ids", InputKind::kInteger, {"B", "L"}}, {"attention_mask", InputKind::kNumber, {"B", "L"}, true}};
const std::vector<ComponentInput> kSchedule = {{"num_inference_steps", InputKind::kInteger, {"1"}},
                                               {"sample", InputKind::kFloat, {"B", "C", "h", "w"}},
                                               {"model_output", InputKind::kFloat, {"M", "B", "C", "h", "w"}},
                                               {"noise", InputKind::kFloat, {"M", "B", "C", "h", "w"}, true}};
const char* kTextOutputs = "last_hidden_state, hidden_states.I, pooler_output or text_embeds";
const char* kScheduleOutputs = "timesteps, sigmas, prev_sample, init_noise_sigma, model_input";

std::string list_text(const std::vector<std::string>& axes) { return fmt::format("[{}]", fmt::join(axes, ", ")); }

/// The description of `name`; "residuals.3" is described by "residuals.I".
const ComponentInput* describe(const Component& component, const std::string& name) {
  const size_t dot = name.rfind('.');
  const bool numbered = dot != std::string::npos && dot + 1 < name.size() && name.find_first_not_of("0123456789", dot + 1) == std::string::npos;
  for (const ComponentInput& input : component.inputs)
    if (input.name == name || (numbered && input.name == name.substr(0, dot) + ".I")) return &input;
  return nullptr;
}

bool is_kind(const at::Tensor& tensor, InputKind kind) {
  const at::ScalarType type = tensor.scalar_type();
  const bool real = at::isFloatingType(type), whole = at::isIntegralType(type, false);
  switch (kind) {
    case InputKind::kFloat: return real;
    case InputKind::kInteger: return whole;
    case InputKind::kNumber: return real || whole;
    case InputKind::kBytes: return type == at::kByte;
  }
  return false;
}

const char* kind_text(InputKind kind) {
  switch (kind) {
    case InputKind::kFloat: return "a float dtype";
    case InputKind::kInteger: return "an integer dtype (int64)";
    case InputKind::kNumber: return "a float or integer dtype";
    case InputKind::kBytes: return "uint8";
  }
  return "";
}

/// Everything that is wrong with the inputs of a call.
class InputCheck {
 public:
  explicit InputCheck(const Component& component) : component_(component) {}

  void check(const Tensors& inputs) {
    for (const ComponentInput& input : component_.inputs)
      if (!input.optional && !inputs.contains(input.name)) complain("{} {} is missing", input.name, list_text(input.shape));
    for (const auto& [name, tensor] : inputs)
      if (const ComponentInput* input = describe(component_, name)) check(name, tensor, *input);
      else complain("{} is superfluous{}", name, hint(name));
    check_lists(inputs);
    if (!complaints_.empty()) fail(ExitCode::kBadInput, "--inputs for {}: {}", component_.name, fmt::join(complaints_, "; "));
  }

 private:
  template <typename... Args>
  void complain(fmt::format_string<Args...> format, Args&&... args) {
    complaints_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  std::string hint(const std::string& name) const {
    std::vector<std::string> known;
    for (const ComponentInput& input : component_.inputs) known.push_back(input.name);
    const std::string near = nearest_name(name, known);
    return near.empty() ? fmt::format(" (known are {})", fmt::join(known, ", ")) : fmt::format(" (did you mean {}?)", near);
  }

  void check(const std::string& name, const at::Tensor& tensor, const ComponentInput& input) {
    if (!is_kind(tensor, input.kind)) complain("{} has the dtype {}, {} is needed", name, c10::toString(tensor.scalar_type()), kind_text(input.kind));
    if (at::isFloatingType(tensor.scalar_type()) && !at::isfinite(tensor.to(at::kFloat)).all().item<bool>()) complain("{} holds NaN or Inf", name);
    bool fits = tensor.dim() == static_cast<int64_t>(input.shape.size());
    const bool in_list = input.name.ends_with(".I");  // of which the entries share only the batch
    for (size_t i = 0; fits && i < input.shape.size(); ++i) {
      const int64_t size = tensor.size(static_cast<int64_t>(i));
      fits = in_list && input.shape[i] != "B" ? size > 0 : fits_axis(input.shape[i], size, input.kind);
    }
    if (!fits) complain("{} has the shape {}, {} is needed", name, shape_text(tensor.sizes()), needed(input.shape));
  }

  bool fits_axis(const std::string& axis, int64_t size, InputKind kind) {
    if (axis == "1 or B") return size == 1 || fits_axis("B", size, kind);
    if (axis.find_first_not_of("0123456789") == std::string::npos) return size == std::stoll(axis);
    const auto [known, is_new] = sizes_.emplace(axis, size);
    return (size > 0 || kind == InputKind::kBytes) && known->second == size;
  }

  /// "[B = 2, S, D]": names with the sizes that other tensors gave them.
  std::string needed(const std::vector<std::string>& shape) const {
    std::vector<std::string> axes;
    for (const std::string& axis : shape) {
      const auto known = sizes_.find(axis);
      axes.push_back(known == sizes_.end() ? axis : fmt::format("{} = {}", axis, known->second));
    }
    return list_text(axes);
  }

  void check_lists(const Tensors& inputs) {
    for (const ComponentInput& input : component_.inputs) {
      if (!input.name.ends_with(".I")) continue;
      const std::string stem = input.name.substr(0, input.name.size() - 1);
      size_t count = 0;
      for (const auto& [name, tensor] : inputs) count += name.starts_with(stem) ? 1 : 0;
      for (size_t i = 0; i < count; ++i)
        if (const std::string name = fmt::format("{}{}", stem, i); !inputs.contains(name)) complain("{} is missing: the list has {} entries", name, count);
    }
  }

  const Component& component_;
  std::map<std::string, int64_t> sizes_;
  std::vector<std::string> complaints_;
};

}  // namespace

at::Tensor ComponentCall::input(const std::string& name) const {
  const auto found = inputs.find(name);
  if (found == inputs.end()) return {};
  return at::isFloatingType(found->second.scalar_type()) ? found->second.to(device, dtype) : found->second.to(device);
}

std::vector<at::Tensor> ComponentCall::list(const std::string& name) const {
  std::vector<at::Tensor> tensors;
  for (size_t i = 0; inputs.contains(fmt::format("{}.{}", name, i)); ++i) tensors.push_back(input(fmt::format("{}.{}", name, i)));
  return tensors;
}

const std::vector<Component>& components() {
  static const std::vector<Component> all = {
      {"tokenizer", "CLIP's tokenizer", kText, "input_ids", [](const ComponentCall& call) { return run_tokenizer(call, 0); }},
      {"tokenizer_2", "The second tokenizer of SDXL", kText, "input_ids", [](const ComponentCall& call) { return run_tokenizer(call, 1); }},
      {"text_encoder", "The text encoder", kIds, kTextOutputs, [](const ComponentCall& call) { return run_text_encoder(call, "text_encoder", 0); }},
      {"text_encoder_2", "The second text encoder of SDXL", kIds, kTextOutputs, [](const ComponentCall& call) { return run_text_encoder(call, "text_encoder_2", 1); }},
      {"unet", "The denoising UNet",
       unet_like({{"down_block_additional_residuals.I", InputKind::kFloat, {"B", "Ci", "hi", "wi"}, true}, {"mid_block_additional_residual", InputKind::kFloat, {"B", "Cm", "hm", "wm"}, true}}),
       "sample", run_unet},
      {"vae_encoder", "A picture in [-1, 1] to the moments of its latent", {{"sample", InputKind::kFloat, {"B", "3", "H", "W"}}}, "mean, logvar", run_vae_encoder},
      {"vae_decoder", "A latent, after division by the scaling factor, to its picture", {{"latent", InputKind::kFloat, {"B", "C", "h", "w"}}}, "sample", run_vae_decoder},
      {"controlnet", "A ControlNet",
       unet_like({{"controlnet_cond", InputKind::kFloat, {"B", "3", "H", "W"}}, {"conditioning_scale", InputKind::kFloat, {"1"}, true}}),
       "down_block_res_samples.I, mid_block_res_sample", run_controlnet},
      {"backbone", "A vision backbone on a normalised picture", {{"image", InputKind::kFloat, {"B", "3", "H", "W"}}},
       "logits, features.I, and what attention chose: routes.STAGE.BLOCK, windows.CELL, ...", run_backbone},
      {"upscaler", "An upscaler on a picture in [0, 1]", {{"image", InputKind::kFloat, {"B", "3", "H", "W"}}}, "image", run_upscaler},
      {"scheduler", "All steps of the model's scheduler", kSchedule, kScheduleOutputs, [](const ComponentCall& call) { return run_scheduler(call, false); }},
      {"inverse_scheduler", "All steps of DDIM inversion", kSchedule, kScheduleOutputs, [](const ComponentCall& call) { return run_scheduler(call, true); }},
  };
  return all;
}

const Component& find_component(const std::string& name) {
  std::vector<std::string> known;
  for (const Component& component : components()) {
    if (component.name == name) return component;
    known.push_back(component.name);
  }
  const std::string near = nearest_name(name, known);
  fail(ExitCode::kBadInput, "--component is \"{}\"; {}there are {}", name, near.empty() ? "" : fmt::format("did you mean \"{}\"? ", near), fmt::join(known, ", "));
}

NamedTensors run_component(const Component& component, ComponentCall call) {
  c10::NoGradGuard no_grad;
  InputCheck(component).check(call.inputs);
  for (auto& [name, tensor] : call.inputs)
    if (at::isFloatingType(tensor.scalar_type())) tensor = tensor.to(at::kFloat);
  NamedTensors outputs = component.run(call);
  for (auto& [name, tensor] : outputs) {
    const bool real = at::isFloatingType(tensor.scalar_type());
    tensor = tensor.to(at::kCPU, real ? at::kFloat : at::kLong).contiguous();
    if (real && !at::isfinite(tensor).all().item<bool>())
      fail(ExitCode::kNumerical, "the output {} of {} holds NaN or Inf; try --dtype float32, or check the model with attelier models verify", name, component.name);
  }
  return outputs;
}

}  // namespace attelier
