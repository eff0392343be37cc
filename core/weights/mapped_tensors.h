// A checkpoint seen under other names: nothing is read or copied until a tensor is asked for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/weights/tensor_file.h"

namespace attelier {

/// What happens to a tensor on its way out. Thirds of the first axis are views of the file's memory; a transposed matrix is a copy.
enum class TensorChange {
  kNone,
  kFirstThird,
  kSecondThird,
  kLastThird,
  kTransposed,  // [a, b] -> [b, a]
  kSqueezed,    // [a, b, 1, 1] -> [a, b]
};

struct TensorMapping {
  std::string name;    // as seen from outside
  std::string source;  // in the file
  TensorChange change = TensorChange::kNone;
};

/// Tensors of `source` that no mapping names are hidden. Throws Error(kModel) if two mappings give one name, or if a shape does not allow the change.
std::shared_ptr<const TensorSource> map_tensors(std::shared_ptr<const TensorSource> source, const std::vector<TensorMapping>& mappings);

}  // namespace attelier
