#include "app/cli/execute.h"

#include "app/session/failure.h"
#include "app/session/presets.h"
#include "app/session/run.h"
#include "app/session/style_library.h"
#include "core/base/json_text.h"

namespace attelier {
namespace {

/// Pointer, value and origin of every single value of a job.
void list_values(const Json& job, const std::map<std::string, std::string>& origins, Json& lines) {
  for (const auto& [key, value] : job.items()) {
    const auto add = [&](const std::string& pointer, const Json& one) {
      const auto found = origins.find(pointer);
      lines.push_back({{"at", pointer}, {"value", one}, {"origin", found == origins.end() ? "built in" : found->second}});
    };
    const bool group = key == "inputs" || key == "params" || key == "output" || key == "run";
    if (!group) add("/" + key, value);
    if (group)
      for (const auto& [name, one] : value.items()) add("/" + key + "/" + name, one);
  }
}

void dry_run(const PreparedJob& prepared, const ExecuteOptions& options) {
  const Json plan = plan_job(prepared.job);
  Json values = Json::array();
  list_values(prepared.job.to_json(), prepared.origins, values);
  if (options.json) {
    fmt::print("{}\n", dump({{"plan", plan}, {"values", values}}, 2));
    return;
  }
  for (const Json& line : values) fmt::print("{:<34} {:<28} {}\n", line["at"].get<std::string>(), dump(line["value"]), line["origin"].get<std::string>());
  fmt::print("\nmodel {} ({}), {} {}, {} threads, {:.1f} MB of weights; first file {}\n", plan["model"].get<std::string>(), plan["family"].get<std::string>(),
             plan["device"].get<std::string>(), plan["dtype"].get<std::string>(), plan["threads"].get<int64_t>(), plan["weight_bytes"].get<double>() / 1e6,
             plan["first_file"].get<std::string>());
}

}  // namespace

void add_execute_flags(CLI::App& verb, ExecuteOptions& options) {
  verb.add_flag("--print-job", options.print_job, "Print the complete job as JSON and stop")->group("Run and output");
  verb.add_flag("--dry-run", options.dry_run, "Check everything, print every value with its origin and the plan, and stop")->group("Run and output");
  verb.add_flag("--json", options.json, "Print the result's record as JSON instead of the files' names")->group("Run and output");
}

MergedSettings merge_settings(const JobDocument& document, const SettingFlags& flags) {
  const bool named = document.json.contains("method") && document.json["method"].is_string();
  const std::string method = named ? document.json["method"].get<std::string>() : "";
  std::vector<SettingsLayer> layers = config_layers(method);
  layers.push_back(preset_layer(method, find_method(method) != nullptr ? flags.preset() : ""));
  layers.push_back({document.name.empty() ? "the command line" : document.name, document.json, {}});
  layers.push_back(environment_layer(method));
  layers.push_back(flags.layer());
  return merge_layers(layers);
}

PreparedJob prepare_job(const JobDocument& document, const SettingFlags& flags) {
  if (!document.json.is_object()) return {parse_job(document.json, {document.name, document.text, {}}), {}};
  MergedSettings merged = merge_settings(document, flags);
  resolve_styles(merged.job);
  Job job = parse_job(merged.job, {document.name, document.text, merged.origins});
  return {std::move(job), std::move(merged.origins)};
}

Json execute_job(const PreparedJob& prepared, const ExecuteOptions& options, Invocation& invocation) {
  if (options.print_job) {
    fmt::print("{}\n", dump(prepared.job.to_json(), 2));
    return nullptr;
  }
  if (options.dry_run) {
    dry_run(prepared, options);
    return nullptr;
  }
  Context context = invocation.context();
  const JobResult result = run_job(prepared.job, context);
  invocation.console.clear_line();
  if (prepared.job.output.folder == "-") return result.record;
  if (!options.json) {
    fmt::print("{}", result.text);
    for (const auto& file : result.files) fmt::print("{}\n", file.string());
    for (const auto& file : result.skipped) invocation.console.log(LogLevel::kInfo, file.string() + " is there already");
  }
  return result.record;
}

void JobBatch::run(const std::string& name, const std::function<Json()>& job) {
  try {
    if (Json record = job(); !record.is_null()) records_.push_back(std::move(record));
  } catch (const Interrupted&) {
    throw;
  } catch (...) {
    if (count_ == 1) throw;
    const Error error = as_error(std::current_exception());
    invocation_.console.log(LogLevel::kError, error.what());
    records_.push_back({{"job", name}, {"error", error.what()}, {"exit_code", static_cast<int>(error.code())}});
    if (failed_++ == 0) code_ = error.code();
  }
}

void JobBatch::finish(const ExecuteOptions& options) {
  const bool printed = options.print_job || options.dry_run;
  if (options.json && !printed && !records_.empty()) fmt::print("{}\n", dump(count_ == 1 ? records_[0] : Json{{"jobs", records_}}, 2));
  if (failed_ > 0) invocation_.exit_code = static_cast<int>(failed_ == count_ ? code_ : ExitCode::kSomeFailed);
}

}  // namespace attelier
