#include "app/session/job.h"

#include <algorithm>
#include <limits>

#include "app/session/machine.h"
#include "app/session/output_names.h"
#include "core/base/json_text.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

/// "record" is what a finished picture says about its making; it decides nothing.
const std::vector<std::string> kTopKeys = {"job", "name", "method", "model", "inputs", "params", "output", "run", "record"};

void check_keys(const Json& object, const std::vector<std::string>& known, const std::string& base, std::vector<Problem>& problems) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string near = key.size() > 100 ? "" : nearest_name(key, known);
    problems.push_back({base + "/" + escaped_key(key), near.empty() ? fmt::format("is unknown; known are {}", fmt::join(known, ", "))
                                                                    : fmt::format("is unknown; did you mean \"{}\"?", near)});
  }
}

const Json& object_at(const Json& json, const std::string& key, std::vector<Problem>& problems) {
  static const Json empty = Json::object();
  const auto found = json.find(key);
  if (found == json.end()) return empty;
  if (found->is_object()) return *found;
  problems.push_back({"/" + key, fmt::format("is {}; expected an object", dump(*found))});
  return empty;
}

std::string text_at(const Json& json, const std::string& key, const std::string& fallback, const std::string& base, std::vector<Problem>& problems) {
  const auto found = json.find(key);
  if (found == json.end()) return fallback;
  if (found->is_string()) return found->get<std::string>();
  problems.push_back({base + "/" + key, fmt::format("is {}; expected a text", dump(*found))});
  return fallback;
}

/// Problems of files on the disk are bad input, also when a flag named the file.
struct Findings {
  std::vector<Problem> problems;
  bool bad_file = false;

  void file(const std::string& pointer, const std::string& message) {
    problems.push_back({pointer, message});
    bad_file = true;
  }
};

/// `hint` follows where the file is not there.
void check_file(const fs::path& path, const std::string& pointer, Findings& findings, const std::string& hint = "") {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) findings.file(pointer, fmt::format("names {}, which does not exist{}", path.string(), hint));
  if (fs::is_directory(status)) findings.file(pointer, fmt::format("names {}, which is a folder; expected a file", path.string()));
}

void parse_inputs(const Json& json, Job& job, Findings& findings) {
  std::vector<std::string> known;
  for (const InputDescription& description : job.method->inputs) {
    known.push_back(description.name);
    const std::string pointer = "/inputs/" + description.name;
    const auto found = json.find(description.name);
    if (found == json.end() || found->is_null()) {
      if (description.required) findings.problems.push_back({pointer, fmt::format("is missing: {}", description.help)});
      continue;
    }
    const Json list = found->is_array() ? *found : Json::array({*found});
    if (list.size() > 1 && !description.several) findings.problems.push_back({pointer, fmt::format("names {} files; one is allowed", list.size())});
    if (description.most > 0 && list.size() > description.most) findings.problems.push_back({pointer, fmt::format("names {} files; at most {} are allowed", list.size(), description.most)});
    if (list.empty() && description.required) findings.problems.push_back({pointer, "is empty"});
    for (const Json& entry : list) {
      if (!entry.is_string()) {
        findings.problems.push_back({pointer, fmt::format("is {}; expected a file name", dump(entry))});
        continue;
      }
      const fs::path path = entry.get<std::string>();
      const bool may_be_style = description.name == "style" && !path.has_parent_path();
      check_file(path, pointer, findings, may_be_style ? "; nor does a style of this name (attelier styles list)" : "");
      job.inputs[description.name].push_back(path);
    }
  }
  check_keys(json, known, "/inputs", findings.problems);
}

void check_file_parameters(const Job& job, Findings& findings) {
  for (const ParameterDescription& description : job.method->parameters) {
    const Json& value = job.params[description.name];
    if (description.type == ParameterType::kPath && value.is_string()) check_file(split_file_reference(value.get<std::string>()).first, "/params/" + description.name, findings);
  }
}

/// Lists that have one entry for each file of an input: its masks, its weights.
void check_counts(const Job& job, Findings& findings) {
  const auto files_of = [&](const std::string& input) {
    const auto found = job.inputs.find(input);
    return found == job.inputs.end() ? size_t{0} : found->second.size();
  };
  const auto check = [&](const std::string& pointer, size_t count, const char* what, const std::string& input) {
    const size_t wanted = files_of(input);
    if (wanted > 0 && count != wanted) findings.problems.push_back({pointer, fmt::format("has {} {} for {} files of {}; give one for each, or none", count, what, wanted, input)});
  };
  for (const InputDescription& input : job.method->inputs) {
    if (!input.one_per.empty() && files_of(input.name) > 0) check("/inputs/" + input.name, files_of(input.name), "files", input.one_per);
    if (!input.weights.empty() && job.params[input.weights].is_array()) check("/params/" + input.weights, job.params[input.weights].size(), "numbers", input.name);
  }
}

/// The flag or variable in place of the pointer, where the value came from there.
std::string spoken(const Problem& problem, const JobSource& source) {
  const auto found = source.origins.find(problem.pointer);
  if (found != source.origins.end() && (found->second.starts_with("-") || found->second.starts_with("ATTELIER_"))) return found->second;
  if (!source.name.empty() || problem.message.find("is missing") != 0) return problem.pointer;
  std::string flag = problem.pointer.substr(problem.pointer.rfind('/') + 1);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return "--" + flag;
}

void report(const Findings& findings, const JobSource& source) {
  if (source.problems != nullptr) *source.problems = findings.problems;
  std::vector<Problem> problems;
  bool job_to_blame = false;
  for (const Problem& problem : findings.problems) {
    problems.push_back({spoken(problem, source), problem.message});
    job_to_blame = job_to_blame || problems.back().pointer.starts_with("/");
  }
  report_problems(problems, source.text, source.name, job_to_blame || findings.bad_file ? ExitCode::kBadInput : ExitCode::kUsage);
}

Json inputs_json(const Job& job) {
  Json inputs = Json::object();
  for (const auto& [name, paths] : job.inputs) {
    if (paths.size() == 1) {
      inputs[name] = paths[0].string();
    } else {
      for (const fs::path& path : paths) inputs[name].push_back(path.string());
    }
  }
  return inputs;
}

}  // namespace

Json Job::to_json() const {
  Json model_json = model;
  if (!model_sha256.empty()) model_json = {{"sha256", model_sha256}, {"unet", model}};
  return {{"job", 1},
          {"name", name},
          {"method", method->name},
          {"model", model_json},
          {"inputs", inputs_json(*this)},
          {"params", params},
          {"output", {{"dir", output.folder.string()}, {"pattern", output.pattern}, {"exists", output.exists}, {"embed_job", output.embed_job}, {"record", output.record}}},
          {"run", {{"device", run.device}, {"dtype", run.dtype}, {"threads", run.threads}}}};
}

bool names_files(const ParameterDescription& description) { return description.type == ParameterType::kPath || description.type == ParameterType::kModels; }

std::pair<fs::path, std::string> split_file_reference(const std::string& text) {
  std::error_code error;
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || fs::exists(text, error)) return {text, ""};
  return {text.substr(0, colon), text.substr(colon)};
}

Job parse_job(const Json& json, const JobSource& source) {
  Findings findings;
  std::vector<Problem>& problems = findings.problems;
  if (!json.is_object()) {
    problems.push_back({"", fmt::format("is {}; expected an object", json.type_name())});
    report_problems(problems, "", source.name, ExitCode::kBadInput);
  }
  if (json.value("job", Json(1)) != Json(1)) problems.push_back({"/job", fmt::format("is {}; this program reads version 1", dump(json["job"]))});
  check_keys(json, kTopKeys, "", problems);
  Job job;
  const std::string method = text_at(json, "method", "", "", problems);
  job.method = find_method(method);
  if (job.method == nullptr) {
    std::vector<std::string> names;
    for (const Method* one : methods()) names.push_back(one->name);
    const std::string near = method.size() > 100 ? "" : nearest_name(method, names);
    problems.push_back({"/method", method.empty()  ? fmt::format("is missing; allowed are {}", fmt::join(names, ", "))
                                   : near.empty() ? fmt::format("is {}; allowed are {}", dump(Json(method)), fmt::join(names, ", "))
                                                  : fmt::format("is {}; did you mean \"{}\"?", dump(Json(method)), near)});
    report(findings, source);
  }
  job.name = text_at(json, "name", job.method->name, "", problems);
  // A model is a name or a path; {"unet": PATH} is the spelling of jobs that name parts and hashes.
  const std::string& fallback = job.method->default_model;
  if (const auto model = json.find("model"); model != json.end() && model->is_object()) {
    check_keys(*model, {"unet", "sha256"}, "/model", problems);
    job.model = text_at(*model, "unet", fallback, "/model", problems);
    job.model_sha256 = text_at(*model, "sha256", "", "/model", problems);
  } else {
    job.model = text_at(json, "model", fallback, "", problems);
  }
  parse_inputs(object_at(json, "inputs", problems), job, findings);
  const size_t before = problems.size();
  job.params = resolve_parameters(job.method->parameters, object_at(json, "params", problems), "/params", problems);
  if (problems.size() == before) {
    check_file_parameters(job, findings);
    check_counts(job, findings);
  }

  const size_t before_common = problems.size();
  const Json output = resolve_parameters(common_group("output"), object_at(json, "output", problems), "/output", problems);
  const Json run = resolve_parameters(common_group("run"), object_at(json, "run", problems), "/run", problems);
  if (problems.size() == before_common) {
    job.output = {output["dir"].get<std::string>(), output["pattern"], output["exists"], output["embed_job"], output["record"]};
    job.run = {run["device"], run["dtype"], run["threads"]};
    const std::string wrong = pattern_problem(job.output.pattern, job.method->takes_files);
    if (!wrong.empty()) problems.push_back({"/output/pattern", wrong});
    if (job.output.folder.empty()) job.output.folder = ".";
  }
  report(findings, source);
  return job;
}

at::Device parse_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (name == "cuda" || name == "auto") {
    const std::string reason = load_cuda();
    if (reason.empty()) return at::kCUDA;
    if (name == "auto") return at::kCPU;
    fail(ExitCode::kTemporary, "--device cuda: {}; use --device cpu", reason);
  }
  fail(ExitCode::kUsage, "--device is \"{}\"; allowed are auto, cpu, cuda", name);
}

at::ScalarType parse_dtype(const std::string& name, at::Device device) {
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "auto") return device.is_cuda() ? at::kHalf : at::kFloat;
  if (name == "float16") {
    if (device.is_cuda()) return at::kHalf;
    fail(ExitCode::kUsage, "--dtype float16 needs a GPU; on the CPU use float32 or bfloat16");
  }
  fail(ExitCode::kUsage, "--dtype is \"{}\"; allowed are auto, float32, bfloat16, float16", name);
}

std::string dtype_name(at::ScalarType dtype) { return dtype == at::kHalf ? "float16" : dtype == at::kBFloat16 ? "bfloat16" : "float32"; }

}  // namespace attelier
