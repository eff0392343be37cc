#include "core/training/conditions.h"

#include "core/media/edges.h"
#include "core/scenes/world/kinds.h"
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

/// 1 where pixel (y, x) and its right (axis 1) or lower (axis 0) neighbour are parted by a line.
at::Tensor lines_along(const Sample& sample, const at::Tensor& region, int64_t axis) {
  const int64_t last = region.size(axis) - 1;
  const auto here = [&](const at::Tensor& x) { return x.narrow(axis, 0, last); };
  const auto next = [&](const at::Tensor& x) { return x.narrow(axis, 1, last); };
  const at::Tensor outline = here(region) != next(region);
  // Surfaces of the surroundings bend and recede everywhere; only things have lines of their own inside.
  const at::Tensor inside = here(sample.instances) > 0;
  const at::Tensor jump = (here(sample.depth) - next(sample.depth)).abs() > 0.06 * at::minimum(here(sample.depth), next(sample.depth));
  const at::Tensor crease = (here(sample.normals) * next(sample.normals)).sum(2) < 0.55;
  return outline | (inside & (jump | crease));
}

at::Tensor edge_picture(const Sample& sample) {
  const at::Tensor region = at::where(sample.instances > 0, sample.instances, 70000 + sample.kinds.to(at::kInt));
  const at::Tensor edges = at::zeros(region.sizes(), at::kBool);
  for (const int64_t axis : {0, 1}) edges.narrow(axis, 0, region.size(axis) - 1).logical_or_(lines_along(sample, region, axis));
  return edges.to(at::kByte).mul(255).unsqueeze(0).expand({3, -1, -1}).contiguous();
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
