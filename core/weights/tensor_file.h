// Reading named tensors from hostile files. A TensorSource is opened once, lists what it holds, and hands out one tensor at a time.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace attelier {

struct TensorInfo {
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> shape;
};

/// An opened checkpoint. Reading is thread-safe. All errors are Error(kModel), with the file, the tensor and the rule that was broken.
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  /// Names with dtype and shape, sorted by name.
  virtual const std::map<std::string, TensorInfo>& tensors() const = 0;
  /// One tensor in its own dtype, on the CPU. Zero-copy (a read-only view of the mapping, which it keeps alive) where the alignment allows.
  virtual at::Tensor read(const std::string& name) const = 0;
  virtual const std::map<std::string, std::string>& metadata() const = 0;
  virtual const std::filesystem::path& path() const = 0;
};

/// Opens .safetensors (hardened, memory-mapped), .ckpt / .pth / .pt / .bin (restricted pickle in a zip), or a sharded *.safetensors.index.json.
/// The kind is recognised from the content, not from the name.
std::shared_ptr<TensorSource> open_tensors(const std::filesystem::path& path);

/// Names and tensors in order; written with the header padded to 8 bytes, whole or not at all.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata = {});

/// Every tensor of a file (used for small files: bench inputs, fixtures, LoRA).
std::map<std::string, at::Tensor> read_all(const TensorSource& source);

}  // namespace attelier
