// Pickles of protocol 2 put together operation by operation.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "tests/core/weights/zip_building.h"

namespace attelier::assembly {

inline std::string text(const std::string& value) { return "X" + packed(static_cast<uint32_t>(value.size())) + value; }
inline std::string integer(int64_t value) { return "\x8a\x08" + packed(value); }
inline std::string global(const std::string& module, const std::string& name) { return fmt::format("c{}\n{}\n", module, name); }

inline std::string tuple(const std::vector<std::string>& items) {
  std::string bytes = "(";
  for (const std::string& item : items) bytes += item;
  return bytes + "t";
}

inline std::string integers(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (const int64_t value : values) items.push_back(integer(value));
  return tuple(items);
}

inline std::string storage(int64_t count, const std::string& type = "FloatStorage", const std::string& key = "0") {
  return tuple({text("storage"), global("torch", type), text(key), text("cpu"), integer(count)}) + "Q";
}

inline std::string call(const std::string& function, const std::vector<std::string>& arguments) { return function + tuple(arguments) + "R"; }

inline std::string tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  return call(global("torch._utils", "_rebuild_tensor_v2"),
              {storage, integer(offset), integers(shape), integers(strides), "\x89", call(global("collections", "OrderedDict"), {})});
}

inline std::string dictionary(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string bytes = "}(";
  for (const auto& [key, value] : items) bytes += key + value;
  return bytes + "u";
}

inline std::string pickle(const std::string& operations) { return "\x80\x02" + operations + "."; }

}  // namespace attelier::assembly
