#include "app/session/queued_job.h"

#include <algorithm>

namespace attelier {
namespace fs = std::filesystem;
namespace {

std::string absolute_file(const std::string& text) {
  if (text.empty()) return text;
  const auto [file, rest] = split_file_reference(text);
  return fs::absolute(file).lexically_normal().string() + rest;
}

/// A name stays a name unless something of that name lies in the current folder.
std::string absolute_model(const std::string& text) {
  std::error_code error;
  return !text.empty() && fs::exists(text, error) ? fs::absolute(text).lexically_normal().string() : text;
}

int64_t whole(const Json& params, const char* name) {
  const auto found = params.find(name);
  return found != params.end() && found->is_number_integer() ? std::max<int64_t>(found->get<int64_t>(), 1) : 1;
}

}  // namespace

Job with_absolute_paths(Job job) {
  for (auto& [name, paths] : job.inputs)
    for (fs::path& path : paths) path = fs::absolute(path).lexically_normal();
  if (job.output.folder != "-") job.output.folder = fs::absolute(job.output.folder).lexically_normal();
  job.model = absolute_model(job.model);
  for (const ParameterDescription& description : job.method->parameters) {
    if (!names_files(description)) continue;
    Json& value = job.params[description.name];
    const auto change = [&](Json& entry) {
      if (entry.is_string()) entry = description.type == ParameterType::kPath ? absolute_file(entry.get<std::string>()) : absolute_model(entry.get<std::string>());
    };
    if (value.is_array())
      for (Json& entry : value) change(entry);
    else
      change(value);
  }
  return job;
}

std::string title_of(const Job& job) {
  if (const auto prompt = job.params.find("prompt"); prompt != job.params.end() && prompt->is_string() && !prompt->get_ref<const std::string&>().empty()) {
    std::string title = prompt->get<std::string>();
    std::replace_if(title.begin(), title.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
    return title;
  }
  std::string title = job.method->name, separator = ": ";
  for (const InputDescription& input : job.method->inputs) {
    const auto found = job.inputs.find(input.name);
    if (found == job.inputs.end() || !input.painted_over.empty()) continue;  // masks have no names that say something
    for (const fs::path& path : found->second) title += std::exchange(separator, ", ") + path.filename().string();
  }
  return title;
}

int64_t pictures_of(const Json& params) { return whole(params, "count"); }

int64_t batches_of(const Json& params) {
  const int64_t batch = whole(params, "batch");
  return (pictures_of(params) + batch - 1) / batch;
}

}  // namespace attelier
