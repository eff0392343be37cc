#include "core/weights/shards.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.h"
#include "core/weights/pickle_checkpoint.h"
#include "core/weights/quote.h"
#include "core/weights/safetensors.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kLargestIndex = uint64_t{1} << 26;
constexpr size_t kMostShards = 500;
constexpr int kDeepestNesting = 16;

class Shards : public TensorSource {
 public:
  explicit Shards(const ReadOnlyFile& index) : path_(index.path()) {
    if (index.size() > kLargestIndex) reject("has {} bytes, an index has at most {}", index.size(), kLargestIndex);
    const Json json = parse(index.bytes(0, index.size()));
    const auto map = json.find("weight_map");
    if (map == json.end()) reject("is a JSON file, but not the index of a checkpoint in several files: it has no weight_map");
    if (!map->is_object() || map->empty()) reject("its weight_map is no object with at least one tensor");
    for (const auto& [tensor, shard] : map->items()) {
      if (!shard.is_string()) reject("tensor {}: its shard is not given as text", in_quotes(tensor));
      add(tensor, shard.get_ref<const std::string&>());
    }
    keep_metadata(json);
  }

  const std::map<std::string, TensorInfo>& tensors() const override { return tensors_; }
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }
  const std::filesystem::path& path() const override { return path_; }

  at::Tensor read(const std::string& name) const override {
    const auto found = homes_.find(name);
    if (found == homes_.end()) reject("has no tensor {}", in_quotes(name));
    return found->second->read(name);
  }

 private:
  template <typename... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ExitCode::kModel, path_.string() + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

  // The parser alone would keep the last of two equal keys silently.
  Json parse(const std::string& text) const {
    std::vector<std::set<std::string>> keys;
    const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
      if (depth > kDeepestNesting) reject("is nested deeper than {} levels", kDeepestNesting);
      if (event == Json::parse_event_t::object_start) keys.emplace_back();
      if (event == Json::parse_event_t::object_end) keys.pop_back();
      if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
        reject("has the key {} twice", in_quotes(value.get_ref<const std::string&>()));
      return true;
    };
    if (text.find('\0') != std::string::npos) reject("is not valid JSON: it has a NUL byte");
    try {
      Json json = Json::parse(text, check);
      if (json.is_object()) return json;
    } catch (const Json::parse_error& error) {
      reject("is not valid JSON, at byte {}", error.byte);
    } catch (const Json::exception& error) {  // a number beyond a double
      reject("is not valid JSON: {}", error.what());
    }
    reject("is not a JSON object");
  }

  void add(const std::string& tensor, const std::string& shard) {
    const TensorSource& source = open(shard);
    const auto found = source.tensors().find(tensor);
    if (found == source.tensors().end()) reject("tensor {}: is not in {}, where the index says it is", in_quotes(tensor), in_quotes(shard));
    tensors_.emplace(tensor, found->second);
    homes_.emplace(tensor, &source);
  }

  const TensorSource& open(const std::string& shard) {
    auto& source = sources_[shard];
    if (source != nullptr) return *source;
    if (sources_.size() > kMostShards) reject("has more than {} shards", kMostShards);
    if (shard.empty() || shard == "." || shard == ".." || shard.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
      reject("shard {}: must be a plain file name beside the index", in_quotes(shard));
    auto file = ReadOnlyFile::open(path_.parent_path() / shard);
    const bool is_zip = file->size() >= 4 && file->bytes(0, 4) == "PK\3\4";
    source = is_zip ? open_pickle_checkpoint(std::move(file)) : open_safetensors(std::move(file));
    return *source;
  }

  void keep_metadata(const Json& json) {
    const auto found = json.find("metadata");
    if (found == json.end() || !found->is_object()) return;
    for (const auto& [key, value] : found->items()) metadata_[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }

  std::filesystem::path path_;
  std::map<std::string, std::shared_ptr<TensorSource>> sources_;
  std::map<std::string, const TensorSource*> homes_;
  std::map<std::string, TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace

std::shared_ptr<TensorSource> open_shards(const ReadOnlyFile& index) { return std::make_shared<Shards>(index); }

}  // namespace attelier
