// attelier forward --model PATH --component NAME --inputs in.safetensors --outputs out.safetensors
#include "app/cli/console.h"
#include "app/session/components.h"
#include "app/session/job.h"
#include "app/session/machine.h"
#include "app/session/output_names.h"
#include "core/attention/scripted_program.h"
#include "core/base/files.h"
#include "core/weights/model_store.h"

namespace attelier {
namespace {

struct ForwardOptions {
  std::string model, component, inputs, outputs, controls, record, device = "cpu", dtype = "float32";
  uint64_t seed = 0;
};

Tensors read_inputs(const std::string& path) {
  try {
    return read_all(*open_tensors(path));
  } catch (const Error& error) {
    fail(ExitCode::kBadInput, "--inputs: {}", error.what());
  }
}

nlohmann::json read_json(const char* flag, const std::string& path) {
  if (path.empty()) return nullptr;
  try {
    return nlohmann::json::parse(read_file(path));
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::kBadInput, "{} {}: is not JSON: {}", flag, path, error.what());
  }
}

/// The program that --controls and --record describe; null without them. Tensors that a control names lie beside it.
std::unique_ptr<ScriptedProgram> scripted(const ForwardOptions& options) {
  if (options.controls.empty() && options.record.empty()) return nullptr;
  const nlohmann::json controls = read_json("--controls", options.controls);
  TensorTable tensors;
  if (const std::string file = ScriptedProgram::tensor_file(controls); !file.empty())
    tensors = read_all(*open_tensors(std::filesystem::path(options.controls).parent_path() / file));
  return std::make_unique<ScriptedProgram>(controls, read_json("--record", options.record), tensors);
}

std::string component_help() {
  std::string text = "Components, their inputs and outputs:\n";
  for (const Component& component : components()) {
    std::vector<std::string> inputs;
    for (const ComponentInput& input : component.inputs) inputs.push_back(input.optional ? "[" + input.name + "]" : input.name);
    text += fmt::format("  {}: {} -> {}\n", component.name, fmt::join(inputs, ", "), component.outputs);
  }
  return text + "Example:\n  attelier forward --model mini --component vae_decoder --inputs latent.safetensors --outputs picture.safetensors";
}

void forward(const ForwardOptions& options, Invocation& invocation) {
  const Component& component = find_component(options.component);
  const std::filesystem::path outputs = options.outputs;
  check_folder(outputs.has_parent_path() ? outputs.parent_path() : ".", 1 << 20);
  const Context context = invocation.context();
  ComponentCall call;
  call.device = parse_device(options.device);
  call.dtype = parse_dtype(options.dtype, call.device);
  call.seed = options.seed;
  call.inputs = read_inputs(options.inputs);
  call.model = resolve_model(options.model);
  call.context.stop = context.stop;
  const std::unique_ptr<ScriptedProgram> program = scripted(options);
  call.context.program = program.get();
  NamedTensors tensors = run_component(component, std::move(call));
  if (program) {
    if (const std::vector<std::string> unused = program->unused_sites(); !unused.empty())
      fail(ExitCode::kBadInput, "{} has no attention site {}; sites are module paths such as \"*.attn1\", or their indices in order of execution", component.name,
           fmt::join(unused, ", "));
    for (const auto& [name, tensor] : program->record().tensors())
      tensors.emplace_back(name, at::isFloatingType(tensor.scalar_type()) ? tensor.to(at::kCPU, at::kFloat).contiguous() : tensor.to(at::kCPU, at::kLong).contiguous());
  }
  write_safetensors(outputs, tensors);
}

}  // namespace

void add_forward_verb(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<ForwardOptions>();
  CLI::App* verb = app.add_subcommand("forward", "Run one component of a model on given tensors, to hold it against other software");
  verb->add_option("--model", options->model, "A diffusers folder, a checkpoint, a component's folder, or the name of a known model")->required()->type_name("PATH");
  verb->add_option("--component", options->component, "What to run; see below")->required()->type_name("NAME");
  verb->add_option("--inputs", options->inputs, "Safetensors file with the inputs")->required()->type_name("FILE");
  verb->add_option("--outputs", options->outputs, "Safetensors file to write: float32, ids as int64")->required()->type_name("FILE");
  verb->add_option("--device", options->device, "cpu or cuda")->capture_default_str();
  verb->add_option("--dtype", options->dtype, "float32, bfloat16 or float16, for weights and arithmetic")->capture_default_str();
  verb->add_option("--seed", options->seed, "For schedulers that draw noise when none is given")->capture_default_str();
  verb->add_option("--controls", options->controls, "Attention controls by site, as JSON")->type_name("FILE");
  verb->add_option("--record", options->record, "What to record at which attention sites, as JSON; captures are written with the outputs")->type_name("FILE");
  verb->footer(component_help());
  verb->callback([options, &invocation] { forward(*options, invocation); });
}

}  // namespace attelier
