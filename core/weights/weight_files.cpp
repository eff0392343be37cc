#include "core/weights/weight_files.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/weights/quote.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kLargestIndex = uint64_t{1} << 26;
constexpr std::array kStems = {"diffusion_pytorch_model", "model", "pytorch_model"};
// In order of preference; the variant stands before or inside the ending, depending on the library's age.
constexpr std::array kEndings = {".safetensors",           ".safetensors.index.json",      ".bin",      ".bin.index.json", ".fp16.safetensors",
                                 ".safetensors.index.fp16.json", ".fp16.safetensors.index.json", ".safetensors.fp16.index.json", ".fp16.bin", ".bin.index.fp16.json"};

std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (entry.is_regular_file(error)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

bool is_shard(const std::string& name) { return name.find("-of-") != std::string::npos; }

}  // namespace

bool is_weight_name(const fs::path& path) {
  const std::string ending = path.extension().string();
  return ending == ".safetensors" || ending == ".ckpt" || ending == ".pth" || ending == ".pt" || ending == ".bin" || path.filename().string().ends_with(".pth.tar");
}

fs::path find_weight_file(const fs::path& folder) {
  const std::vector<std::string> names = file_names(folder);
  for (const char* ending : kEndings)
    for (const char* stem : kStems) {
      const std::string name = std::string(stem) + ending;
      if (std::binary_search(names.begin(), names.end(), name)) return folder / name;
    }
  std::vector<std::string> indices, whole, shards;
  for (const std::string& name : names) {
    if (name.find(".index.") != std::string::npos && name.ends_with(".json")) indices.push_back(name);
    else if (is_weight_name(name)) (is_shard(name) ? shards : whole).push_back(name);
  }
  if (indices.size() == 1) return folder / indices[0];
  if (whole.size() == 1) return folder / whole[0];
  if (whole.size() > 1)
    fail(ExitCode::kModel, "{}: holds several weight files ({}), none under its usual name; rename the right one to model.safetensors", folder.string(), fmt::join(whole, ", "));
  if (!shards.empty())
    fail(ExitCode::kModel, "{}: holds the shard {} but no index; fetch model.safetensors.index.json (or diffusion_pytorch_model.safetensors.index.json) as well",
         folder.string(), in_quotes(shards[0]));
  fail(ExitCode::kModel, "{}: holds no weights; expected is diffusion_pytorch_model.safetensors, model.safetensors, a variant such as model.fp16.safetensors, or an index of shards",
       folder.string());
}

std::vector<fs::path> with_shards(const fs::path& weight_file) {
  std::vector<fs::path> files = {weight_file};
  if (weight_file.extension() != ".json") return files;
  const nlohmann::json index = nlohmann::json::parse(read_file(weight_file, kLargestIndex), nullptr, false);
  std::set<std::string> shards;
  if (index.is_object() && index.contains("weight_map") && index["weight_map"].is_object())
    for (const auto& [tensor, shard] : index["weight_map"].items())
      if (shard.is_string()) shards.insert(shard.get<std::string>());
  // Only plain names lie beside the index; the reader refuses the others.
  for (const std::string& shard : shards)
    if (!shard.empty() && fs::path(shard).filename() == shard) files.push_back(weight_file.parent_path() / shard);
  return files;
}

}  // namespace attelier
