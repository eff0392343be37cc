#include "core/weights/tensor_file.h"

#include <array>
#include <string_view>

#include "core/base/error.h"
#include "core/weights/pickle_checkpoint.h"
#include "core/weights/safetensors.h"
#include "core/weights/shards.h"

namespace attelier {

namespace {

// What the first bytes say about files that are not read, so that the message can help.
struct Foreign {
  std::string_view start;
  const char* message;
};
constexpr std::array kForeign = {
    Foreign{"version https://git-lfs", "is a Git LFS pointer, not the file itself; fetch it with 'git lfs pull'"},
    Foreign{"GGUF", "is a GGUF file; only safetensors and torch checkpoints are read"},
    Foreign{"\x89HDF", "is an HDF5 file; only safetensors and torch checkpoints are read"},
    Foreign{"\x1f\x8b", "is compressed with gzip; unpack it first"},
    Foreign{"<!DOCTYPE", "is a web page; download the file itself"},
    Foreign{"<html", "is a web page; download the file itself"},
};

// A safetensors file starts with the length of its header, at most 10^8: bytes 4-7 are zero.
bool may_be_header_length(std::string_view start) { return start.size() >= 8 && start.substr(4, 4) == std::string_view("\0\0\0\0", 4); }

// torch.save before 1.6, or with _use_new_zipfile_serialization=False: bare pickles (PROTO 2..5 first), or a tar archive.
bool is_legacy_torch(std::string_view start) { return start.size() >= 2 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5; }

bool is_json(std::string_view start) {
  const size_t first = start.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && start[first] == '{' && start.find('\0') == std::string_view::npos;
}

}  // namespace

std::shared_ptr<TensorSource> open_tensors(const std::filesystem::path& path) {
  auto file = ReadOnlyFile::open(path);
  const std::string start = file->bytes(0, std::min<uint64_t>(file->size(), 32));
  if (start.starts_with("PK\3\4")) return open_pickle_checkpoint(std::move(file));
  if (!may_be_header_length(start)) {
    if (is_json(start)) return open_shards(*file);
    if (is_legacy_torch(start))
      fail(ExitCode::kModel,
           "{}: is a pickle in the old format of torch.save; convert it to safetensors, or load and save it again with a newer torch", path.string());
    for (const Foreign& foreign : kForeign)
      if (start.starts_with(foreign.start)) fail(ExitCode::kModel, "{}: {}", path.string(), foreign.message);
  }
  return open_safetensors(std::move(file));
}

std::map<std::string, at::Tensor> read_all(const TensorSource& source) {
  std::map<std::string, at::Tensor> all;
  for (const auto& [name, info] : source.tensors()) all.emplace_hint(all.end(), name, source.read(name));
  return all;
}

}  // namespace attelier
