#include "app/session/provenance.h"

#include <ATen/Parallel.h>
#include <torch/version.h>

#include <algorithm>

#include "app/session/machine.h"
#include "core/base/files.h"
#include "core/base/json_text.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLargestText = size_t{1} << 20;

/// Parameters that name files, without their folders.
Json portable(const Job& job, Json params) {
  for (const ParameterDescription& description : job.method->parameters) {
    if (!names_files(description) || !params.contains(description.name)) continue;
    const auto strip = [](Json& entry) {
      if (!entry.is_string()) return;
      const auto [file, rest] = split_file_reference(entry.get<std::string>());
      entry = file.filename().string() + rest;
    };
    Json& value = params[description.name];
    if (value.is_array())
      for (Json& entry : value) strip(entry);
    else
      strip(value);
  }
  return params;
}

/// Names stay; of paths the last part stays.
std::string portable_model(const std::string& model) {
  fs::path path = fs::path(model).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.has_parent_path() ? path.filename().string() : model;
}

std::string text_of(const Json& params, std::initializer_list<const char*> keys) {
  for (const char* key : keys)
    if (params.contains(key) && params[key].is_string()) return params[key].get<std::string>();
  return {};
}

/// `Key: value, ` if the parameter is there.
std::string entry_of(const char* key, const Json& params, const char* name) {
  if (!params.contains(name) || params[name].is_null()) return {};
  return fmt::format("{}: {}, ", key, params[name].is_string() ? params[name].get<std::string>() : dump(params[name]));
}

}  // namespace

Provenance::Provenance(const Job& job, std::string model_sha256, at::Device device, at::ScalarType dtype)
    : job_(job), model_sha256_(std::move(model_sha256)), device_(device.is_cuda() ? "cuda" : "cpu"), dtype_(dtype_name(dtype)), inputs_(Json::object()) {
  for (const auto& [name, paths] : job.inputs)
    for (const fs::path& path : paths) inputs_[name].push_back({{"file", path.filename().string()}, {"sha256", sha256_file(path)}});
}

std::string Provenance::run_id(const Json& params) const {
  return sha256(dump({{"method", job_.method->name},
                      {"model", model_sha256_},
                      {"inputs", inputs_},
                      {"params", portable(job_, params)},
                      {"device", device_},
                      {"dtype", dtype_}}));
}

Json Provenance::job(const Json& params) const {
  return {{"job", 1},
          {"name", job_.name},
          {"method", job_.method->name},
          {"model", {{"unet", portable_model(job_.model)}, {"sha256", model_sha256_}}},
          {"inputs", inputs_},
          {"params", portable(job_, params)},
          {"run", {{"device", job_.run.device}, {"dtype", job_.run.dtype}, {"threads", job_.run.threads}}},
          {"record",
           {{"run_id", run_id(params)},
            {"version", version()},
            {"libtorch", TORCH_VERSION},
            {"device", device_},
            {"dtype", dtype_},
            {"threads", at::get_num_threads()},
            {"noise", "torch generator on the CPU"}}}};
}

PngTexts Provenance::texts(const Json& params, const Image& image) const {
  std::string readable = text_of(params, {"prompt"});
  if (const std::string negative = text_of(params, {"negative_prompt", "negative"}); !negative.empty()) readable += "\nNegative prompt: " + negative;
  if (!readable.empty()) readable += "\n";
  readable += entry_of("Steps", params, "steps");
  readable += params.contains("sampler") ? entry_of("Sampler", params, "sampler") : fmt::format("Sampler: {}, ", job_.method->name);
  readable += entry_of("CFG scale", params, "guidance_scale") + entry_of("CFG scale", params, "guidance") + entry_of("Seed", params, "seed");
  readable += fmt::format("Size: {}x{}, Model hash: {}, Model: {}, Version: Attelier {}", image.width, image.height, model_sha256_.substr(0, 10), portable_model(job_.model),
                          version());
  std::replace(readable.begin(), readable.end(), '\0', ' ');
  PngTexts texts;
  if (readable.size() <= kLargestText) texts["parameters"] = readable;
  if (std::string job = dump(this->job(params)); job.size() <= kLargestText) texts["attelier-job"] = std::move(job);
  return texts;
}

std::string run_id_of(const fs::path& picture) {
  const auto id = [](const Json& json) {
    const Json::json_pointer pointer("/record/run_id");
    return json.is_object() && json.contains(pointer) && json[pointer].is_string() ? json[pointer].get<std::string>() : std::string();
  };
  fs::path record = picture;
  record += ".json";
  std::error_code error;
  try {
    if (picture.extension() == ".png") {
      const PngTexts texts = read_png_texts(read_file(picture, uint64_t{1} << 30), picture.string());
      if (const auto found = texts.find("attelier-job"); found != texts.end()) return id(parse_json_text(found->second, picture.string()));
    }
    if (fs::is_regular_file(record, error)) return id(parse_json_text(read_file(record, kLargestJson), record.string()));
  } catch (const Error&) {
    // A damaged file names no run.
  }
  return {};
}

}  // namespace attelier
