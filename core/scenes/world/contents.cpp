#include "core/scenes/world/contents.h"

namespace attelier::world {

Contents contents_of(const Scene& scene, const Frame& frame) {
  Contents out;
  struct Sum { int64_t pixels = 0; double x = 0, y = 0, depth = 0; int left = 1 << 30, top = 1 << 30, right = -1, bottom = -1; };
  std::vector<Sum> sums(scene.objects.size());
  for (int y = 0; y < frame.height; ++y)
    for (int x = 0; x < frame.width; ++x) {
      const size_t i = frame.index(x, y);
      ++out.pixels_of[frame.kind[i]];
      if (frame.instance[i] == 0) continue;
      Sum& s = sums[frame.instance[i] - 1u];
      ++s.pixels, s.x += x + 0.5, s.y += y + 0.5, s.depth += static_cast<double>(frame.depth[i]);
      s.left = std::min(s.left, x), s.right = std::max(s.right, x), s.top = std::min(s.top, y), s.bottom = std::max(s.bottom, y);
    }
  for (size_t i = 0; i < sums.size(); ++i) {
    const Sum& s = sums[i];
    if (s.pixels == 0) continue;
    const double n = static_cast<double>(s.pixels);
    out.objects.push_back({static_cast<int>(i), s.pixels, static_cast<float>(s.x / n / frame.width), static_cast<float>(s.y / n / frame.height), static_cast<float>(s.depth / n), s.left, s.top, s.right, s.bottom});
  }
  std::stable_sort(out.objects.begin(), out.objects.end(), [](const VisibleObject& a, const VisibleObject& b) { return a.pixels > b.pixels; });
  return out;
}

}  // namespace attelier::world
