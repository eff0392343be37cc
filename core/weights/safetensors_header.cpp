#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <optional>

#include "core/base/error.h"
#include "core/weights/quote.h"
#include "core/weights/safetensors.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostEntries = 1'000'000;
constexpr size_t kLongestName = 4096;
constexpr size_t kHighestRank = 8;

// Receives the JSON as events: a tree would cost many times the header's size and would hide duplicate keys.
class HeaderEvents : public nlohmann::json_sax<Json> {
 public:
  HeaderEvents(std::string file, SafetensorsHeader& header) : file_(std::move(file)), header_(header) {}

  bool key(string_t& text) override {
    if (depth_ == 1) {
      begin_entry(text);
    } else if (in_metadata_) {
      if (header_.metadata.size() >= kMostEntries) reject("__metadata__ has more than {} entries", kMostEntries);
      if (!header_.metadata.emplace(text, "").second) reject("__metadata__ has the key {} twice", in_quotes(text));
      metadata_key_ = text;
    } else {
      begin_field(text);
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (depth_ == 2) reject("{} is an object, {} was expected", place(), in_metadata_ ? "a string" : "a string or a list");
    if (depth_ == 3) reject("{} is nested deeper than 3 levels", place());
    ++depth_;
    return true;
  }

  bool end_object() override {
    if (depth_ == 2 && !in_metadata_) end_entry();
    --depth_;
    in_metadata_ = false;
    is_complete_ = depth_ == 0;
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ == 3) reject("{} is nested deeper than 3 levels", place());
    if (depth_ != 2 || in_metadata_ || field_ == Field::kDtype) unexpected("a list");
    ++depth_;
    return true;
  }

  bool end_array() override {
    --depth_;
    return true;
  }

  bool string(string_t& text) override {
    if (depth_ == 2 && in_metadata_) {
      header_.metadata[metadata_key_] = text;
    } else if (depth_ == 2 && field_ == Field::kDtype) {
      const auto types = safetensors_types();
      const auto found = std::find_if(types.begin(), types.end(), [&](const SafetensorsType& type) { return type.name == text; });
      if (found == types.end()) reject("tensor {}: unknown dtype {}", in_quotes(name_), in_quotes(text));
      entry_.type = &*found;
    } else {
      unexpected("a string");
    }
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 3) unexpected("a number");
    auto& list = field_ == Field::kShape ? shape_ : offsets_;
    if (field_ == Field::kShape && list.size() == kHighestRank) reject("tensor {}: has more than {} dimensions", in_quotes(name_), kHighestRank);
    if (field_ == Field::kOffsets && list.size() == 2) reject("tensor {}: data_offsets has more than 2 values", in_quotes(name_));
    list.push_back(value);
    return true;
  }

  bool number_integer(number_integer_t value) override { not_plain(fmt::format("{}", value)); }
  bool number_float(number_float_t, const string_t& text) override { not_plain(text); }
  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a boolean"); }
  bool binary(binary_t&) override { unexpected("binary data"); }

  bool parse_error(std::size_t position, const std::string&, const Json::exception& error) override {
    const std::string_view reason = error.what();
    if (is_complete_) reject("the header has other bytes after its JSON object, at byte {}", position);
    if (reason.find("UTF-8") != std::string_view::npos) reject("the header is not valid UTF-8, at byte {}", position);
    reject("the header is not valid JSON, at byte {}", position);
  }

 private:
  enum class Field { kDtype, kShape, kOffsets };

  template <typename... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ExitCode::kModel, file_ + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

  std::string place() const {
    if (depth_ == 0) return "the header";
    if (in_metadata_) return depth_ == 1 ? "__metadata__" : fmt::format("__metadata__ entry {}", in_quotes(metadata_key_));
    if (depth_ == 1) return fmt::format("the entry of tensor {}", in_quotes(name_));
    static constexpr std::array<const char*, 3> kNames = {"dtype", "shape", "data_offsets"};
    return fmt::format("tensor {}: {}", in_quotes(name_), kNames.at(static_cast<size_t>(field_)));
  }

  [[noreturn]] void unexpected(const char* what) const {
    if (depth_ == 3) not_plain(what);
    const char* expected = in_metadata_ && depth_ == 2 ? "a string" : depth_ < 2 ? "an object" : field_ == Field::kDtype ? "a string" : "a list";
    reject("{} is {}, {} was expected", place(), what, expected);
  }

  [[noreturn]] void not_plain(const std::string& what) const {
    if (depth_ != 3) unexpected("a number");
    reject("{} holds {}, only plain non-negative integers below 2^64 are allowed", place(), in_quotes(what));
  }

  void begin_entry(const std::string& name) {
    if (name == "__metadata__") {
      if (has_metadata_) reject("the header has the key __metadata__ twice");
      has_metadata_ = in_metadata_ = true;
      return;
    }
    if (name.empty()) reject("a tensor has an empty name");
    if (name.size() > kLongestName) reject("tensor {}: the name is longer than {} bytes", in_quotes(name), kLongestName);
    if (header_.entries.size() >= kMostEntries) reject("has more than {} tensors", kMostEntries);
    if (!header_.entries.emplace(name, SafetensorsHeader::Entry{}).second) reject("the header has the tensor {} twice", in_quotes(name));
    name_ = name;
    entry_ = {};
    shape_.clear();
    offsets_.clear();
    seen_ = {};
  }

  void begin_field(const std::string& text) {
    if (text == "dtype") {
      field_ = Field::kDtype;
    } else if (text == "shape") {
      field_ = Field::kShape;
    } else if (text == "data_offsets") {
      field_ = Field::kOffsets;
    } else {
      reject("tensor {}: has the unknown field {}; dtype, shape and data_offsets are allowed", in_quotes(name_), in_quotes(text));
    }
    bool& seen = seen_.at(static_cast<size_t>(field_));
    if (seen) reject("tensor {}: has the field {} twice", in_quotes(name_), in_quotes(text));
    seen = true;
  }

  void end_entry() {
    for (const auto& [seen, field] : {std::pair{seen_[0], "dtype"}, std::pair{seen_[1], "shape"}, std::pair{seen_[2], "data_offsets"}})
      if (!seen) reject("tensor {}: lacks the field {}", in_quotes(name_), field);
    if (offsets_.size() != 2) reject("tensor {}: data_offsets has {} values, 2 were expected", in_quotes(name_), offsets_.size());
    entry_.begin = offsets_[0];
    entry_.end = offsets_[1];
    if (entry_.begin > entry_.end) reject("tensor {}: its data begins at {} behind its end {}", in_quotes(name_), entry_.begin, entry_.end);
    check_size();
    entry_.shape.assign(shape_.begin(), shape_.end());
    header_.entries[name_] = std::move(entry_);
  }

  // The element count is the product of all dimensions; a zero counts as one for the overflow check, because strides are products as well.
  void check_size() const {
    uint64_t bits = entry_.type->bits;
    bool is_empty = false;
    for (const uint64_t size : shape_) {
      is_empty = is_empty || size == 0;
      if (__builtin_mul_overflow(bits, std::max<uint64_t>(size, 1), &bits) || bits > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        reject("tensor {}: the size of shape [{}] overflows", in_quotes(name_), fmt::join(shape_, ", "));
    }
    if (is_empty) bits = 0;
    if (bits % 8 != 0) reject("tensor {}: {} bits of {} are not whole bytes", in_quotes(name_), bits, entry_.type->name);
    if (bits / 8 != entry_.end - entry_.begin)
      reject("tensor {}: {} of shape [{}] needs {} bytes, data_offsets give {}", in_quotes(name_), entry_.type->name, fmt::join(shape_, ", "), bits / 8,
             entry_.end - entry_.begin);
  }

  std::string file_;
  SafetensorsHeader& header_;
  int depth_ = 0;
  bool in_metadata_ = false;
  bool has_metadata_ = false;
  bool is_complete_ = false;
  std::string metadata_key_;
  std::string name_;
  Field field_ = Field::kDtype;
  SafetensorsHeader::Entry entry_;
  std::vector<uint64_t> shape_;
  std::vector<uint64_t> offsets_;
  std::array<bool, 3> seen_{};
};

void check_coverage(const SafetensorsHeader& header, uint64_t data_size, const std::string& file) {
  using Item = std::pair<const std::string, SafetensorsHeader::Entry>;
  std::vector<const Item*> items;
  items.reserve(header.entries.size());
  for (const Item& item : header.entries) items.push_back(&item);
  std::sort(items.begin(), items.end(),
            [](const Item* a, const Item* b) { return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end); });
  uint64_t covered = 0;
  for (const Item* item : items) {
    const auto& [name, entry] = *item;
    if (entry.begin > covered)
      fail(ExitCode::kModel, "{}: tensor {}: the data has a hole of {} bytes before it", file, in_quotes(name), entry.begin - covered);
    if (entry.begin < covered)
      fail(ExitCode::kModel, "{}: tensor {}: its data overlaps another tensor by {} bytes", file, in_quotes(name), covered - entry.begin);
    covered = entry.end;
  }
  if (covered > data_size)
    fail(ExitCode::kModel, "{}: is truncated: the tensors need {} bytes of data, the file has {}; copy or download it again", file, covered,
         data_size);
  if (covered < data_size) fail(ExitCode::kModel, "{}: has {} bytes of data behind the last tensor", file, data_size - covered);
}

}  // namespace

std::span<const SafetensorsType> safetensors_types() {
  constexpr auto kNone = at::ScalarType::Undefined;
  static constexpr std::array<SafetensorsType, 22> kTypes = {{
      {"BOOL", 8, at::kBool},
      {"F4", 4, kNone},
      {"F6_E2M3", 6, kNone},
      {"F6_E3M2", 6, kNone},
      {"U8", 8, at::kByte},
      {"I8", 8, at::kChar},
      {"F8_E5M2", 8, at::kFloat8_e5m2},
      {"F8_E4M3", 8, at::kFloat8_e4m3fn},
      {"F8_E8M0", 8, kNone},
      {"F8_E4M3FNUZ", 8, kNone},
      {"F8_E5M2FNUZ", 8, kNone},
      {"I16", 16, at::kShort},
      {"U16", 16, at::kUInt16},
      {"F16", 16, at::kHalf},
      {"BF16", 16, at::kBFloat16},
      {"I32", 32, at::kInt},
      {"U32", 32, at::kUInt32},
      {"F32", 32, at::kFloat},
      {"C64", 64, kNone},
      {"F64", 64, at::kDouble},
      {"I64", 64, at::kLong},
      {"U64", 64, at::kUInt64},
  }};
  return kTypes;
}

SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_size, const std::string& file) {
  // The JSON parser takes a NUL byte for the end of the text and skips a byte order mark: both are refused here.
  if (json.find('\0') != std::string_view::npos) fail(ExitCode::kModel, "{}: the header has a NUL byte at {}", file, json.find('\0'));
  const size_t start = json.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || json[start] != '{') fail(ExitCode::kModel, "{}: the header is not a JSON object", file);
  SafetensorsHeader header;
  HeaderEvents events(file, header);
  Json::sax_parse(json, &events);
  check_coverage(header, data_size, file);
  return header;
}

}  // namespace attelier
