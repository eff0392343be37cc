#include "core/training/conditions.h"

#include "core/media/edges.h"
#include "core/scenes/world/kinds.h"
#include "core/scenes/world/outlines.h"
#include "core/training/pictures.h"

namespace attelier {
namespace {

at::Tensor depth_picture(const at::Tensor& depth) {
  const at::Tensor seen = depth > 0;
  if (!seen.any().item<bool>()) return at::zeros({3, depth.size(0), depth.size(1)}, at::kByte);
  const at::Tensor nearness = at::where(seen, depth.clamp_min(1e-6).reciprocal(), 0.0);
  const double near = nearness.max().item<double>(), far = nearness.masked_select(seen).min().item<double>();
  const at::Tensor value = ((nearness - far) / std::max(near - far, 1e-12)).clamp(0, 1) * seen;
  return value.mul(255).round().to(at::kByte).unsqueeze(0).expand({3, -1, -1}).contiguous();
}

template <typename Value>
std::span<const Value> values_of(const at::Tensor& map) { return {map.data_ptr<Value>(), static_cast<size_t>(map.numel())}; }

at::Tensor edge_picture(const Sample& sample) {
  const int64_t height = sample.depth.size(0), width = sample.depth.size(1);
  const at::Tensor depth = sample.depth.contiguous(), normals = sample.normals.contiguous(), instances = sample.instances.to(at::kUInt16).contiguous(), kinds = sample.kinds.contiguous();
  std::vector<uint8_t> lines = world::outlines({static_cast<int>(width), static_cast<int>(height), values_of<float>(depth), values_of<float>(normals), values_of<uint16_t>(instances), values_of<uint8_t>(kinds)});
  return at::from_blob(lines.data(), {1, height, width}, at::kByte).mul(255).expand({3, -1, -1}).contiguous();
}

at::Tensor canny_picture(const at::Tensor& pixels) {
  const at::Tensor rows = pixels.permute({1, 2, 0}).contiguous();
  const Image picture{pixels.size(2), pixels.size(1), 3, {rows.data_ptr<uint8_t>(), rows.data_ptr<uint8_t>() + rows.numel()}};
  Image edges = canny_edges(picture, 100, 200);
  return at::from_blob(edges.pixels.data(), rows.sizes(), at::kByte).permute({2, 0, 1}).contiguous();
}

}  // namespace

const std::vector<std::string>& condition_names() {
  static const std::vector<std::string> names = {"depth", "edges", "segmentation", "canny", "given"};
  return names;
}

ConditionKind condition_named(const std::string& name) {
  const std::vector<std::string>& names = condition_names();
  return static_cast<ConditionKind>(std::find(names.begin(), names.end(), name) - names.begin());
}

bool can_tell(const std::string& source, ConditionKind kind) {
  if (kind == ConditionKind::kCanny) return true;
  if (kind == ConditionKind::kGiven) return source == "folder";
  return source == "world" || (source == "small_world" && kind == ConditionKind::kDepth);
}

at::Tensor class_colours() {
  at::Tensor colours = at::empty({world::kKindCount, 3}, at::kByte);
  for (int64_t kind = 0; kind < world::kKindCount; ++kind)
    for (int64_t channel = 0; channel < 3; ++channel) colours[kind][channel] = static_cast<int64_t>(32 + sample_seed(17, kind, static_cast<uint64_t>(channel + 1)) % 224);
  return colours;
}

at::Tensor condition_picture(const Sample& sample, ConditionKind kind) {
  if (kind == ConditionKind::kGiven) return sample.condition;
  if (kind == ConditionKind::kCanny) return canny_picture(sample.pixels);
  if (kind == ConditionKind::kDepth) return depth_picture(sample.depth);
  if (kind == ConditionKind::kEdges) return edge_picture(sample);
  static const at::Tensor colours = class_colours();
  return colours.index_select(0, sample.kinds.flatten().to(at::kLong)).view({sample.kinds.size(0), sample.kinds.size(1), 3}).permute({2, 0, 1}).contiguous();
}

}  // namespace attelier
