#include "core/weights/tensor_file.h"

#include "core/base/error.h"
#include "core/weights/safetensors.h"

namespace attelier {

std::shared_ptr<TensorSource> open_tensors(const std::filesystem::path& path) { return open_safetensors(ReadOnlyFile::open(path)); }

std::map<std::string, at::Tensor> read_all(const TensorSource& source) {
  std::map<std::string, at::Tensor> all;
  for (const auto& [name, info] : source.tensors()) all.emplace_hint(all.end(), name, source.read(name));
  return all;
}

}  // namespace attelier
