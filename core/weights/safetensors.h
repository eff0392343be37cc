// The safetensors format: a JSON header and raw little-endian data. https://github.com/huggingface/safetensors#format
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/weights/read_only_file.h"
#include "core/weights/tensor_file.h"

namespace attelier {

/// One dtype of the format, in the order in which writers sort tensors (growing alignment). `type` is Undefined where no tensor can hold it here.
struct SafetensorsType {
  std::string_view name;
  uint32_t bits;
  at::ScalarType type;
};
std::span<const SafetensorsType> safetensors_types();

/// What a valid header says. Offsets count from the start of the data; together the ranges cover the data without hole or overlap.
struct SafetensorsHeader {
  struct Entry {
    const SafetensorsType* type = nullptr;
    std::vector<int64_t> shape;
    uint64_t begin = 0;
    uint64_t end = 0;
  };
  std::map<std::string, Entry> entries;
  std::map<std::string, std::string> metadata;
};

/// Checks the header's JSON against every rule of the format, for `data_size` bytes of data. Throws Error(kModel), starting with `file`.
SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_size, const std::string& file);

std::shared_ptr<TensorSource> open_safetensors(std::shared_ptr<const ReadOnlyFile> file);

}  // namespace attelier
