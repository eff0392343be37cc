#include "core/training/masks.h"

#include <algorithm>
#include <cmath>

#include "core/scenes/drawing.h"

namespace attelier {
namespace {

using drawing::uniform;

int64_t whole(std::mt19937_64& random, int64_t low, int64_t high) { return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1)); }

void add_rectangle(const at::Tensor& mask, std::mt19937_64& random) {
  const int64_t size = mask.size(1);
  const auto side = [&] { return std::max<int64_t>(1, std::llround(uniform(random, 0.15, 0.6) * static_cast<double>(size))); };
  const int64_t height = side(), width = side();
  mask.narrow(1, whole(random, 0, size - height), height).narrow(2, whole(random, 0, size - width), width).fill_(1);
}

/// Discs along a walk that turns a little at every step.
void add_stroke(const at::Tensor& mask, std::mt19937_64& random) {
  const int64_t size = mask.size(1);
  const auto length = static_cast<double>(size);
  const double radius = std::max(0.75, uniform(random, 0.03, 0.09) * length);
  double x = uniform(random) * length, y = uniform(random) * length, angle = uniform(random, 0, 6.2832);
  auto values = mask.accessor<float, 3>();
  for (int64_t step = whole(random, 8, 40); step > 0; --step) {
    const auto bound = [&](double at) { return std::clamp<int64_t>(std::llround(at), 0, size - 1); };
    for (int64_t row = bound(y - radius); row <= bound(y + radius); ++row)
      for (int64_t column = bound(x - radius); column <= bound(x + radius); ++column)
        if (std::hypot(static_cast<double>(column) - x, static_cast<double>(row) - y) <= radius) values[0][row][column] = 1;
    angle += uniform(random, -0.7, 0.7);
    x = std::clamp(x + radius * std::cos(angle), 0.0, length - 1), y = std::clamp(y + radius * std::sin(angle), 0.0, length - 1);
  }
}

/// Things that cover half a percent to half of the picture.
bool add_object(const at::Tensor& mask, const at::Tensor& instances, std::mt19937_64& random) {
  if (!instances.defined()) return false;
  const at::Tensor counts = at::bincount(instances.flatten());
  std::vector<int64_t> things;
  for (int64_t i = 1; i < counts.size(0); ++i)
    if (const int64_t pixels = counts[i].item<int64_t>(); pixels * 200 >= instances.numel() && pixels * 2 <= instances.numel()) things.push_back(i);
  if (things.empty()) return false;
  const at::Tensor thing = (instances == things[random() % things.size()]).to(at::kFloat).view({1, 1, mask.size(1), mask.size(2)});
  const int64_t margin = whole(random, 0, std::max<int64_t>(1, mask.size(1) / 16));
  mask.copy_(at::max_pool2d(thing, {2 * margin + 1, 2 * margin + 1}, {1, 1}, {margin, margin})[0]);
  return true;
}

}  // namespace

const std::vector<std::string>& mask_names() {
  static const std::vector<std::string> names = {"rectangle", "stroke", "object", "all"};
  return names;
}

MaskKind mask_named(const std::string& name) {
  const std::vector<std::string>& names = mask_names();
  return static_cast<MaskKind>(std::find(names.begin(), names.end(), name) - names.begin());
}

at::Tensor random_mask(MaskKind kind, int64_t size, const at::Tensor& instances, std::mt19937_64& random) {
  if (kind == MaskKind::kAll) return at::ones({1, size, size});
  at::Tensor mask = at::zeros({1, size, size});
  if (kind == MaskKind::kObject && add_object(mask, instances, random)) return mask;
  const bool stroke = kind == MaskKind::kStroke;
  for (int64_t i = whole(random, 1, stroke ? 4 : 3); i > 0; --i) stroke ? add_stroke(mask, random) : add_rectangle(mask, random);
  return mask;
}

}  // namespace attelier
