#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/models/upscalers/rgt.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMostBlocks = 64, kMostGroups = 64, kWidest = 4096, kLongestWindow = 256;

/// Reads entries of the wanted type and keeps what is wrong with the others.
class Reader {
 public:
  explicit Reader(const Json& config) : config_(config) {}

  template <typename Value>
  void read(const char* key, Value& value) {
    const auto found = config_.find(key);
    if (found == config_.end() || found->is_null()) return;
    if (!has_type<Value>(*found)) return complain(key, "is {}; it must be {}", text(*found), type_name<Value>());
    value = found->get<Value>();
  }
  template <typename... Args>
  void complain(const char* key, fmt::format_string<Args...> format, Args&&... args) {
    problems_.push_back(fmt::format("\"{}\" {}", key, fmt::format(format, std::forward<Args>(args)...)));
  }
  void finish() const {
    if (!problems_.empty()) fail(ExitCode::kModel, "the upscaler's config.json: {}; correct the file or choose another model", fmt::join(problems_, "; "));
  }

 private:
  static std::string text(const Json& value) { return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 200); }
  static bool is_whole(const Json& value) { return value.is_number_integer() || (value.is_number() && value.get<double>() == std::floor(value.get<double>()) && std::abs(value.get<double>()) < 1e9); }
  template <typename Value>
  static bool has_type(const Json& value) {
    if constexpr (std::is_same_v<Value, bool>) return value.is_boolean();
    else if constexpr (std::is_same_v<Value, double>) return value.is_number() && std::isfinite(value.get<double>());
    else if constexpr (std::is_same_v<Value, std::string>) return value.is_string();
    else if constexpr (std::is_same_v<Value, int64_t>) return is_whole(value);
    else return value.is_array() && !value.empty() && std::all_of(value.begin(), value.end(), is_whole);
  }
  template <typename Value>
  static const char* type_name() {
    if constexpr (std::is_same_v<Value, bool>) return "true or false";
    else if constexpr (std::is_same_v<Value, double>) return "a number";
    else if constexpr (std::is_same_v<Value, std::string>) return "a text";
    else if constexpr (std::is_same_v<Value, int64_t>) return "a whole number";
    else return "a list of whole numbers";
  }

  const Json& config_;
  std::vector<std::string> problems_;
};

void check(const RgtConfig& c, Reader& reader) {
  const auto between = [&](const char* key, int64_t value, int64_t least, int64_t most) {
    if (value < least || value > most) reader.complain(key, "is {}; allowed is {} to {}", value, least, most);
    return value >= least && value <= most;
  };
  between("upscale", c.upscale, 2, 4);
  if (c.in_chans != 3) reader.complain("in_chans", "is {}; it must be 3, red, green and blue", c.in_chans);
  if (!(c.img_range > 0)) reader.complain("img_range", "is {}; it must be more than 0", c.img_range);
  if (c.resi_connection != "1conv" && c.resi_connection != "3conv") reader.complain("resi_connection", "is \"{}\"; allowed are 1conv and 3conv", c.resi_connection);
  if (c.depth.size() > static_cast<size_t>(kMostGroups)) reader.complain("depth", "has {} groups; at most {} are allowed", c.depth.size(), kMostGroups);
  for (const int64_t blocks : c.depth) between("depth", blocks, 1, kMostBlocks);
  if (c.num_heads.size() != c.depth.size()) reader.complain("num_heads", "has {} numbers for {} groups; give one for each", c.num_heads.size(), c.depth.size());
  // A narrower model would have a position bias of width 0.
  if (!between("embed_dim", c.embed_dim, 32, kWidest)) return;
  for (const int64_t heads : c.num_heads)
    if (heads < 2 || heads % 2 != 0 || c.embed_dim % heads != 0) reader.complain("num_heads", "holds {}; allowed are even divisors of embed_dim = {}", heads, c.embed_dim);
  const double hidden = static_cast<double>(c.embed_dim) * c.mlp_ratio;
  if (!(hidden >= 2 && hidden <= 16 * kWidest) || hidden != std::floor(hidden) || static_cast<int64_t>(hidden) % 2 != 0)
    reader.complain("mlp_ratio", "is {}, so the hidden layers have {} channels; an even number up to {} is needed", c.mlp_ratio, hidden, 16 * kWidest);
  const double narrow = static_cast<double>(c.embed_dim) * c.c_ratio;
  const bool fits = narrow >= 1 && narrow <= static_cast<double>(c.embed_dim) && narrow == std::floor(narrow);
  const auto divides = [&](int64_t heads) { return heads > 0 && static_cast<int64_t>(narrow) % heads == 0; };
  if (!fits || !std::all_of(c.num_heads.begin(), c.num_heads.end(), divides))
    reader.complain("c_ratio", "is {}, so the representative map has {} channels; a multiple of the heads up to {} is needed", c.c_ratio, narrow, c.embed_dim);
  if (c.split_size.size() != 2) {
    reader.complain("split_size", "has {} numbers; two are needed, height and width", c.split_size.size());
  } else if (between("split_size", c.split_size[0], 2, kLongestWindow) && between("split_size", c.split_size[1], 2, kLongestWindow)) {
    const auto [shorter, longer] = std::minmax(c.split_size[0], c.split_size[1]);
    if (longer % shorter != 0) reader.complain("split_size", "is {} x {}; the longer side must be a multiple of the shorter", c.split_size[0], c.split_size[1]);
  }
}

/// The largest t with 4^t <= n; -1 for n < 1.
int64_t log4(int64_t n) {
  int64_t t = -1;
  for (; n >= 1; n /= 4) ++t;
  return t;
}

}  // namespace

RgtConfig RgtConfig::from_json(const Json& json) {
  RgtConfig c;
  Reader reader(json);
  reader.read("upscale", c.upscale);
  reader.read("in_chans", c.in_chans);
  reader.read("img_size", c.img_size);
  reader.read("img_range", c.img_range);
  reader.read("depth", c.depth);
  reader.read("embed_dim", c.embed_dim);
  reader.read("num_heads", c.num_heads);
  reader.read("mlp_ratio", c.mlp_ratio);
  reader.read("qkv_bias", c.qkv_bias);
  reader.read("split_size", c.split_size);
  reader.read("c_ratio", c.c_ratio);
  reader.read("resi_connection", c.resi_connection);
  check(c, reader);
  reader.finish();
  return c;
}

Json RgtConfig::to_json() const {
  return {{"architecture", "rgt"}, {"upscale", upscale},     {"in_chans", in_chans},   {"img_size", img_size},     {"img_range", img_range}, {"depth", depth}, {"embed_dim", embed_dim},
          {"num_heads", num_heads}, {"mlp_ratio", mlp_ratio}, {"qkv_bias", qkv_bias},   {"split_size", split_size}, {"c_ratio", c_ratio},     {"resi_connection", resi_connection}};
}

int64_t rgt_recursions(int64_t height, int64_t width) {
  const int64_t wanted = std::max<int64_t>(2, log4(std::max(height, width) / 16));
  return std::max<int64_t>(0, std::min(wanted, log4(std::min(height, width))));
}

int64_t rgt_training_recursions(int64_t height, int64_t width) {
  return std::max<int64_t>(0, std::min(log4(std::max(height, width) / 4), log4(std::min(height, width))));
}

}  // namespace attelier
