// attelier attend --inputs in.safetensors [--control control.json] --outputs out.safetensors
#include "app/cli/console.h"
#include "app/session/machine.h"
#include "app/session/output_names.h"
#include "core/attention/attend_tensors.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/weights/tensor_file.h"

namespace attelier {
namespace {

struct Options {
  std::string inputs, control, outputs, implementation;
  int64_t maximum_capture_bytes = int64_t{1} << 30;
};

const char* kFooter =
    "Inputs: q [B,H,Lq,D], k [B,Hkv,Lk,D], v [B,Hkv,Lk,Dv], and the tensors that the control names.\n"
    "Outputs, float32: o [B,H,Lq,Dv], lse [B,H,Lq], probe.I (and probe.I.index, int64).\n"
    "A control is one JSON object; every field is optional:\n"
    "  scale, temperature, q_blend, sources, key_bias, key_scale, key_gain, key_class, renorm, combine, blend_weight, pair_bias, causal, redistribute, probes\n"
    "Example:\n"
    "  {\"temperature\": 1.5, \"sources\": [{\"k\": \"k\", \"v\": \"v\"}, {\"k\": \"k.1\", \"v\": \"v.1\", \"log_weight\": 0.69}], \"probes\": [{\"kind\": \"col_sum\"}]}";

TensorTable read_inputs(const std::string& path) {
  try {
    return read_all(*open_tensors(path));
  } catch (const Error& error) {
    fail(ExitCode::kBadInput, "--inputs: {}", error.what());
  }
}

/// Where to compute. Without a wish: the GPU if one is there.
AttendOptions placed(const Options& options) {
  AttendOptions attend;
  attend.maximum_capture_bytes = options.maximum_capture_bytes;
  attend.reference = options.implementation == "reference";
  if (options.implementation == "cpu" || attend.reference) return attend;
  const std::string problem = load_cuda();
  if (problem.empty()) attend.device = at::kCUDA;
  else if (options.implementation == "cuda") fail(ExitCode::kTemporary, "--implementation cuda: {}; use cpu or reference, or a machine with an NVIDIA GPU", problem);
  return attend;
}

void attend_files(const Options& options) {
  const std::filesystem::path outputs = options.outputs;
  check_folder(outputs.has_parent_path() ? outputs.parent_path() : ".", 1 << 20);
  const nlohmann::json control = options.control.empty() ? nlohmann::json::object() : parse_json_text(read_file(options.control, kLargestJson), options.control);
  const TensorTable inputs = read_inputs(options.inputs);
  const AttendOptions attend = placed(options);
  NamedTensors results;
  try {
    for (const auto& [name, tensor] : attend_tensors(inputs, control, attend)) results.emplace_back(name, tensor);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadInput) throw;
    fail(ExitCode::kBadInput, "--control {} on --inputs {}: {}", options.control.empty() ? "(neutral)" : options.control, options.inputs, error.what());
  }
  for (const auto& [name, tensor] : results)
    if (at::isnan(tensor).any().item<bool>()) fail(ExitCode::kNumerical, "the output {} holds NaN; the logits overflow, check the scale and the temperature", name);
  write_safetensors(outputs, results);
}

}  // namespace

void add_attend_verb(CLI::App& app, Invocation&) {
  auto* verb = app.add_subcommand("attend", "Run one controlled attention on tensors from a file");
  auto options = std::make_shared<Options>();
  verb->add_option("--inputs", options->inputs, "Tensors (safetensors)")->type_name("FILE")->required();
  verb->add_option("--control", options->control, "The control (JSON); neutral without it")->type_name("FILE");
  verb->add_option("--outputs", options->outputs, "Where the results go (safetensors)")->type_name("FILE")->required();
  verb->add_option("--implementation", options->implementation, "reference computes in double precision; the default is the fastest that runs here")
      ->check(CLI::IsMember({"reference", "cpu", "cuda"}));
  verb->add_option("--max-capture-bytes", options->maximum_capture_bytes, "Largest size of one probe's result")->check(CLI::PositiveNumber)->capture_default_str();
  verb->footer(kFooter);
  verb->callback([options] { attend_files(*options); });
}

}  // namespace attelier
