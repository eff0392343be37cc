// attelier generate, attelier style, ...: a verb per method, its flags made from the method's own description.
#include <algorithm>
#include <array>

#include "app/cli/execute.h"
#include "core/base/json_text.h"
#include "core/media/video_file.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

std::string examples(const Method& method) {
  std::string text = "Examples:";
  for (const std::string& example : method.examples) text += fmt::format("\n  attelier {} {}", method.name, example);
  return text;
}

struct MethodState {
  SettingFlags flags;
  ExecuteOptions options;
  std::vector<std::string> files;  // IN... OUT
};

bool is_picture_or_video(const fs::path& path) {
  constexpr std::array<std::string_view, 10> kExtensions = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm"};
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return is_video_name(path) || std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

/// The files of a folder that methods can read, sorted; the path itself where it is no folder.
std::vector<fs::path> files_of(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return {path};
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error))
    if (is_picture_or_video(entry.path()) && entry.is_regular_file(error)) files.push_back(entry.path());
  if (files.empty()) fail(ExitCode::kBadInput, "{}: holds no pictures and no videos", path.string());
  std::sort(files.begin(), files.end());
  return files;
}

/// A file's name as a pattern, in which braces would be fields.
std::string as_pattern(std::string name) {
  std::replace(name.begin(), name.end(), '{', '(');
  std::replace(name.begin(), name.end(), '}', ')');
  return name;
}

/// One job for each input file. OUT is a file where there is one input, otherwise a folder, which is made.
std::vector<Json> jobs_of(const Method& method, const MethodState& state) {
  const std::string& input = method.inputs.front().name;
  if (state.files.empty()) return {{{"method", method.name}}};
  const bool with_target = method.makes_files && state.files.size() > 1;
  const fs::path target = with_target ? fs::path(state.files.back()) : fs::path();
  std::vector<fs::path> sources;
  std::error_code error;
  bool from_folder = false;
  for (size_t i = 0; i + (with_target ? 1 : 0) < state.files.size(); ++i) {
    from_folder |= fs::is_directory(state.files[i], error);
    for (fs::path& file : files_of(state.files[i])) sources.push_back(std::move(file));
  }
  const bool into_folder = from_folder || sources.size() > 1 || !target.has_filename() || fs::is_directory(target, error);
  if (with_target && into_folder && !fs::create_directories(target, error) && error) fail(ExitCode::kBadInput, "{}: cannot be made: {}; choose another folder", target.string(), error.message());
  std::vector<Json> jobs;
  for (const fs::path& source : sources) {
    Json job = {{"method", method.name}, {"inputs", {{input, source.string()}}}, {"output", Json::object()}};
    if (with_target && !into_folder) {
      job["output"]["pattern"] = as_pattern(target.filename().string());
      job["output"]["dir"] = target.has_parent_path() ? target.parent_path().string() : ".";
    } else {
      job["output"]["pattern"] = as_pattern(source.stem().string()) + (with_target ? ".png" : fmt::format("_{}.png", method.name));
      if (with_target) job["output"]["dir"] = target.string();
    }
    jobs.push_back(std::move(job));
  }
  return jobs;
}

/// Each of several jobs would replace the features of the one before.
void check_features(const Json& job, size_t jobs, const SettingFlags& flags) {
  const Json features = merge_settings({job, "", ""}, flags).job.value(Json::json_pointer("/params/features"), Json());
  if (features.is_null() || features == "") return;
  fail(ExitCode::kUsage, "--features is {}, one file for {} inputs, and each would replace what the one before wrote; name one input at a time, each with its own --features", dump(features), jobs);
}

void run_method(const Method& method, const MethodState& state, Invocation& invocation) {
  const std::vector<Json> jobs = jobs_of(method, state);
  if (jobs.size() > 1) check_features(jobs.front(), jobs.size(), state.flags);
  JobBatch batch(invocation, jobs.size());
  for (const Json& job : jobs) {
    batch.run(job.contains("inputs") ? job["inputs"].begin().value().get<std::string>() : method.name, [&] {
      const PreparedJob prepared = prepare_job({job, "", ""}, state.flags);
      if (state.flags.random_seed()) invocation.console.log(LogLevel::kInfo, "seed " + dump(prepared.job.params["seed"]));
      const Json record = execute_job(prepared, state.options, invocation);
      return prepared.job.output.folder == "-" ? Json() : record;
    });
  }
  batch.finish(state.options);
}

void add_method_verb(CLI::App& app, const Method& method, Invocation& invocation) {
  auto state = std::make_shared<MethodState>();
  CLI::App* verb = app.add_subcommand(method.name, method.summary);
  if (method.takes_files) verb->add_option("files", state->files, method.makes_files ? "Files or folders, and last the new file or folder" : "Files or folders")->type_name(method.makes_files ? "IN... OUT" : "IN...");
  for (const InputDescription& input : method.inputs) state->flags.add_input(*verb, input);
  for (const ParameterDescription& parameter : method.parameters) state->flags.add_parameter(*verb, parameter);
  state->flags.add_common(*verb, {"", "output", "run"}, method.default_model);
  state->flags.add_preset(*verb);
  add_execute_flags(*verb, state->options);
  verb->footer(examples(method));
  verb->callback([state, &method, &invocation] { run_method(method, *state, invocation); });
}

}  // namespace

void add_method_verbs(CLI::App& app, Invocation& invocation) {
  for (const Method* method : methods()) add_method_verb(app, *method, invocation);
}

}  // namespace attelier
