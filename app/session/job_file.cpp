// Jobs from files, pictures and standard input, and the files that they name.
#include <algorithm>
#include <iostream>
#include <iterator>

#include "app/session/job.h"
#include "app/session/style_library.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/media/image.h"
#include "core/weights/model_store.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

/// A relative path as it stands in a job, seen from here: in the job's folder or, where nothing is there, in the current one.
std::string resolved(const std::string& text, const fs::path& folder) {
  const fs::path path = text;
  if (text.empty() || folder.empty() || path.is_absolute()) return text;
  std::error_code error;
  if (!fs::exists(folder / path, error) && fs::exists(path, error)) return text;
  return (folder / path).string();
}

/// A model that lies in the job's folder; otherwise it is a name.
std::string resolved_model(const std::string& text, const fs::path& folder) {
  std::error_code error;
  return !text.empty() && !folder.empty() && fs::exists(folder / text, error) ? (folder / text).string() : text;
}

/// An input that a picture names by file and hash.
std::string find_by_hash(const Json& entry, const fs::path& folder, const std::string& name) {
  const auto member = [&](const char* key) { return entry.contains(key) && entry[key].is_string() ? entry[key].get<std::string>() : std::string(); };
  const std::string file = fs::path(member("file")).filename().string(), hash = member("sha256");
  if (file.empty()) fail(ExitCode::kBadInput, "{}: /inputs holds {}; expected a file name or {{\"file\": NAME, \"sha256\": HASH}}", name, dump(entry));
  bool other = false;
  for (const fs::path& place : {folder, fs::path("."), state_folder() / "masks" /* painted in the window */, assets_folder() / "examples"}) {
    std::error_code error;
    if (!fs::is_regular_file(place / file, error)) continue;
    if (hash.empty() || sha256_file(place / file) == hash) return (place / file).lexically_normal().string();
    other = true;
  }
  if (const fs::path style = StyleLibrary().find_picture(hash); !style.empty()) return style.string();
  fail(ExitCode::kBadInput, "{}: its input {} {}; put the original (sha256 {}...) into the job's or the current folder", name, file,
       other ? "is there, but it is another picture" : "is not there", hash.substr(0, 12));
}

void resolve_model_name(Json& model, const fs::path& folder) {
  if (model.is_string()) model = resolved_model(model.get<std::string>(), folder);
  if (!model.is_object() || !model.contains("unet") || !model["unet"].is_string()) return;
  const std::string name = resolved_model(model["unet"].get<std::string>(), folder);
  model["unet"] = name;
  if (!model.contains("sha256") || !model["sha256"].is_string()) return;
  // A picture knows its model's hash: a model of the list may have got another name.
  const std::vector<std::string> known = known_models();
  std::error_code error;
  if (fs::exists(name, error) || std::find(known.begin(), known.end(), name) != known.end()) return;
  for (const StoredModel& stored : ModelStore().list())
    if (stored.sha256 == model["sha256"]) model["unet"] = stored.name;
}

void resolve_paths(Json& json, const fs::path& folder, const std::string& name) {
  if (json.contains("model")) resolve_model_name(json["model"], folder);
  if (json.contains("inputs") && json["inputs"].is_object()) {
    for (auto& [role, value] : json["inputs"].items()) {
      const auto resolve_one = [&, &role = role](Json& entry) {
        if (entry.is_string()) {
          // A file of the job's folder comes before a style of the library, that before one that is missing.
          const std::string text = entry.get<std::string>(), file = resolved(text, folder);
          std::error_code error;
          const std::string style = role != "style" || fs::exists(file, error) ? text : resolve_style(text);
          entry = style == text ? file : style;
        }
        if (entry.is_object()) entry = find_by_hash(entry, folder, name);
      };
      if (value.is_array())
        for (Json& entry : value) resolve_one(entry);
      else
        resolve_one(value);
    }
  }
  if (json.contains("output") && json["output"].is_object() && json["output"].contains("dir") && json["output"]["dir"].is_string() && json["output"]["dir"] != "-")
    json["output"]["dir"] = resolved(json["output"]["dir"].get<std::string>(), folder);
  const Method* method = json.contains("method") && json["method"].is_string() ? find_method(json["method"].get<std::string>()) : nullptr;
  if (method == nullptr || !json.contains("params") || !json["params"].is_object()) return;
  for (const ParameterDescription& description : method->parameters) {
    if (!names_files(description) || !json["params"].contains(description.name)) continue;
    const auto resolve_one = [&](Json& entry) {
      if (!entry.is_string()) return;
      const std::string text = entry.get<std::string>();
      if (description.type == ParameterType::kModels) {
        entry = resolved_model(text, folder);
        return;
      }
      const std::string whole = resolved(text, folder);
      std::error_code error;
      if (fs::exists(whole, error)) {
        entry = whole;
        return;
      }
      const auto [file, rest] = split_file_reference(text);
      entry = resolved(file.string(), folder) + rest;
    };
    Json& value = json["params"][description.name];
    if (value.is_array())
      for (Json& entry : value) resolve_one(entry);
    else
      resolve_one(value);
  }
}

}  // namespace

JobDocument read_job(const std::string& bytes, const std::string& name, const fs::path& folder) {
  JobDocument document{{}, name, bytes};
  if (bytes.starts_with("\x89PNG")) {
    const PngTexts texts = read_png_texts(bytes, name);
    const auto found = texts.find("attelier-job");
    if (found == texts.end()) fail(ExitCode::kBadInput, "{}: carries no job; only pictures that Attelier made can be run again", name);
    document.text = found->second;
  }
  if (document.text.size() > kLargestJson) fail(ExitCode::kBadInput, "{}: has {} bytes; a job has at most {}", name, document.text.size(), kLargestJson);
  document.json = parse_json_text(document.text, name);
  // A result's record holds its job.
  if (document.json.is_object() && document.json.contains("job") && document.json["job"].is_object()) {
    document.json = Json(document.json["job"]);
    document.text.clear();
  }
  if (document.json.is_object()) resolve_paths(document.json, folder, name);
  return document;
}

JobDocument load_job(const fs::path& path) {
  if (path != "-") return read_job(read_file(path, uint64_t{1} << 30), path.string(), path.parent_path());
  std::string bytes;
  char block[65536];
  while (std::cin.read(block, sizeof(block)) || std::cin.gcount() > 0) {
    bytes.append(block, static_cast<size_t>(std::cin.gcount()));
    if (bytes.size() > uint64_t{1} << 30) fail(ExitCode::kBadInput, "standard input: holds more than {} bytes; a job or a picture was expected", uint64_t{1} << 30);
  }
  return read_job(bytes, "standard input", {});
}

}  // namespace attelier
