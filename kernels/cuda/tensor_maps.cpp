#include "kernels/cuda/tensor_maps.h"

#include <cuda_runtime_api.h>
#include <cudaTypedefs.h>

#include <cstring>

namespace attelier::kernels::cuda {
namespace {

using Encode = PFN_cuTensorMapEncodeTiled_v12000;

/// Of libcuda, without linking it.
Encode find_encode() {
  constexpr unsigned kCuda12 = 12000;
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, kCuda12, cudaEnableDefault, &result) != cudaSuccess) cudaGetLastError();
  return result == cudaDriverEntryPointSuccess ? reinterpret_cast<Encode>(found) : nullptr;
}

bool make_map(const TensorBoxes& t, TensorMap& map) {
  static const Encode encode = find_encode();
  if (encode == nullptr) return false;
  static_assert(sizeof(CUtensorMap) == sizeof(TensorMap) && alignof(CUtensorMap) <= alignof(TensorMap));
  const CUtensorMapDataType type = t.element == cpu::Element::kBFloat16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  const cuuint64_t extents[] = {static_cast<cuuint64_t>(t.columns), static_cast<cuuint64_t>(t.rows), static_cast<cuuint64_t>(t.heads), static_cast<cuuint64_t>(t.batches)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(t.row_stride), static_cast<cuuint64_t>(t.head_stride), static_cast<cuuint64_t>(t.batch_stride)};
  const cuuint32_t box[] = {kBoxColumns, static_cast<cuuint32_t>(t.box_rows), 1, 1}, steps[] = {1, 1, 1, 1};
  CUtensorMap made;
  const CUresult result = encode(&made, type, 4, const_cast<void*>(t.data), extents, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  std::memcpy(map.bytes, &made, sizeof made);
  return result == CUDA_SUCCESS;
}

}  // namespace

bool make_maps(const KeyBoxes& boxes, KeyMaps& maps) {
  for (int s = 0; s < boxes.sources; ++s)
    if (!make_map(boxes.k[s], maps.k[s]) || !make_map(boxes.v[s], maps.v[s])) return false;
  return true;
}

}  // namespace attelier::kernels::cuda
