#include "kernels/cuda/boxes.h"

#include <algorithm>
#include <limits>

namespace attelier::kernels::cuda {
namespace {

constexpr int64_t kElementBytes = 2, kPieceBytes = 16;
constexpr int64_t kMostStrideBytes = int64_t{1} << 40;  // of a tensor map
constexpr int64_t kMostExtent = std::numeric_limits<int32_t>::max();

int64_t batches_of(const cpu::Call& call, const cpu::SourceView& source) {
  if (source.batch_map == nullptr) return call.batches;
  return std::max<int64_t>(1, *std::max_element(source.batch_map, source.batch_map + call.batches) + 1);
}

TensorBoxes boxes_of(const cpu::Call& call, const cpu::SourceView& source, const cpu::Rows& rows, int64_t columns, int box_rows) {
  TensorBoxes t = {rows.data, call.element, box_rows, columns, source.length, call.heads / source.group, batches_of(call, source), rows.row * kElementBytes, rows.head * kElementBytes,
                   rows.batch * kElementBytes};
  if (rows.head == 0) t.heads = 1;
  if (rows.batch == 0) t.batches = 1;
  // The stride of a dimension of one element says nothing, but a map wants a valid one.
  if (t.rows == 1) t.row_stride = (columns * kElementBytes + kPieceBytes - 1) / kPieceBytes * kPieceBytes;
  if (t.heads == 1) t.head_stride = t.row_stride;
  if (t.batches == 1) t.batch_stride = t.head_stride;
  return t;
}

bool is_mappable(const TensorBoxes& t) {
  const auto is_stride = [](int64_t bytes) { return bytes > 0 && bytes < kMostStrideBytes && bytes % kPieceBytes == 0; };
  return t.rows > 0 && t.rows <= kMostExtent && reinterpret_cast<uintptr_t>(t.data) % kPieceBytes == 0 && is_stride(t.row_stride) && is_stride(t.head_stride) && is_stride(t.batch_stride);
}

}  // namespace

bool has_boxes(const cpu::Call& call) {
  if (call.element == cpu::Element::kFloat32) return false;
  const KeyBoxes boxes = key_boxes(call, 1);
  for (int s = 0; s < boxes.sources; ++s)
    if (!is_mappable(boxes.k[s]) || !is_mappable(boxes.v[s])) return false;
  return true;
}

KeyBoxes key_boxes(const cpu::Call& call, int box_rows) {
  KeyBoxes boxes = {};
  boxes.sources = call.source_count;
  for (int s = 0; s < call.source_count; ++s) {
    const cpu::SourceView& source = call.sources[s];
    boxes.k[s] = boxes_of(call, source, source.k, call.depth, box_rows);
    boxes.v[s] = boxes_of(call, source, source.v, call.value_depth, box_rows);
  }
  return boxes;
}

}  // namespace attelier::kernels::cuda
