// A job: what to run, on which model, with which inputs and parameters, and where the results go. The same from every face.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "app/session/settings.h"
#include "core/base/parameters.h"
#include "pipelines/method.h"

namespace attelier {

struct JobOutput {
  std::filesystem::path folder;  // "-" = standard output
  std::string pattern;
  std::string exists;            // number (find a free name) | skip (if the same job made it) | overwrite | error
  bool embed_job = true;
  bool record = false;
  bool operator==(const JobOutput&) const = default;
};

struct JobRun {
  std::string device, dtype;
  int64_t threads = 0;  // 0 = all cores
  bool operator==(const JobRun&) const = default;
};

struct Job {
  std::string name;
  const Method* method = nullptr;
  std::string model;
  std::string model_sha256;  // what the job was made with, "" if it does not say
  std::map<std::string, std::vector<std::filesystem::path>> inputs;
  Json params;
  JobOutput output;
  JobRun run;

  /// The canonical job: sorted keys, every parameter, paths as given.
  Json to_json() const;
};

/// What parse_job needs to speak of a job's problems.
struct JobSource {
  std::string name;                            // the file's name; empty = a command line
  std::string text;                            // the file's JSON, for line numbers; may be empty
  std::map<std::string, std::string> origins;  // of MergedSettings
  std::vector<Problem>* problems = nullptr;    // gets every problem, beside the error
};

/// Checks a job (schema version 1) and fills in every default. All problems are reported at once: with JSON pointer and line where they come from the
/// job, with the flag or variable where they come from there. Throws Error: kUsage where flags and variables alone are to blame, else kBadInput.
Job parse_job(const Json& json, const JobSource& source = {});

/// A job before it is checked. Relative paths are already resolved: they start at the job's folder or, where nothing is there, at the current one.
struct JobDocument {
  Json json;
  std::string name, text;
};

/// A job file, a picture that carries its job, or a result's record; `-` reads standard input (a job or a PNG). Inputs that are named by file and hash
/// are looked for in the job's folder, the current folder and the shipped examples. Throws Error(kBadInput).
JobDocument load_job(const std::filesystem::path& path);
/// The same from bytes. `folder` is where relative paths start.
JobDocument read_job(const std::string& bytes, const std::string& name, const std::filesystem::path& folder);

/// The JSON Schema of jobs, with the parameters of every method.
Json job_schema();

/// The file part of a parameter that names a file, and what follows it: "style.safetensors:embeds" -> "style.safetensors", ":embeds".
std::pair<std::filesystem::path, std::string> split_file_reference(const std::string& text);
/// Whether the parameter's texts name files (or models, which may be names).
bool names_files(const ParameterDescription& description);

/// "cpu", "cuda" or "auto" to a device that is there; throws Error(kUsage) or Error(kTemporary).
at::Device parse_device(const std::string& name);
at::ScalarType parse_dtype(const std::string& name, at::Device device);
/// "float32", "bfloat16" or "float16".
std::string dtype_name(at::ScalarType dtype);

}  // namespace attelier
