#include "core/scenes/texture_pictures.h"

#include "core/scenes/drawing.h"

#include <algorithm>
#include <cmath>

namespace attelier {
namespace {

using namespace drawing;

Colour colour(Random& r, const Colour& mood, double spread) {
  const double luminance = uniform(r, 0.02, 0.98), a = uniform(r, -1, 1) * spread, b = uniform(r, -1, 1) * spread;
  return {luminance * mood[0] + a, luminance * mood[1] - 0.3 * a + 0.3 * b, luminance * mood[2] - b};
}

}  // namespace

void draw_texture_picture(uint64_t seed, int64_t size, float* rgb) {
  Random r(seed);
  const int n = static_cast<int>(size);
  const Colour mood = {uniform(r, 0.75, 1.1), uniform(r, 0.8, 1.05), uniform(r, 0.7, 1.1)};
  const double spread = std::pow(uniform(r), 2) * 0.5;
  struct Fill { Colour a, b; double gx, gy, amount, zoom, ox, oy, stretch, chroma; size_t field; int kind; double frequency, angle; };
  const auto make_fill = [&] {
    Fill f{};
    f.a = colour(r, mood, spread), f.b = uniform(r) < 0.6 ? f.a : colour(r, mood, spread);
    const double angle = uniform(r, 0, 6.2832), length = uniform(r, 0.3, 2) * n;
    f.gx = std::cos(angle) / length, f.gy = std::sin(angle) / length;
    f.amount = uniform(r) < 0.25 ? 0 : std::pow(uniform(r), 2) * 0.5;
    f.zoom = std::exp(uniform(r, -1.2, 1.6)), f.stretch = uniform(r) < 0.3 ? std::exp(uniform(r, 0, 2)) : 1;
    f.ox = uniform(r, 0, 256), f.oy = uniform(r, 0, 256), f.chroma = uniform(r, 0, 0.4);
    f.field = static_cast<size_t>(r() % 6);
    f.kind = uniform(r) < 0.12 ? 1 : 0;
    f.frequency = std::exp(uniform(r, -2.5, 0.4)), f.angle = uniform(r, 0, 3.1416);
    return f;
  };
  const auto shade = [&](const Fill& f, double x, double y) {
    const double t = std::clamp(0.5 + (x - n / 2.0) * f.gx + (y - n / 2.0) * f.gy, 0.0, 1.0);
    const double c = std::cos(f.angle), s = std::sin(f.angle), u = c * x + s * y, v = (c * y - s * x) * f.stretch;
    double noise = f.amount == 0 ? 0 : f.amount * noise_field(f.field)(u * f.zoom + f.ox, v * f.zoom + f.oy);
    if (f.kind == 1) noise += 0.15 * std::tanh(3 * std::sin(u * f.frequency));
    const double tint = f.amount == 0 ? 0 : f.amount * f.chroma * noise_field(f.field + 1)(u * f.zoom + f.oy, v * f.zoom + f.ox);
    Colour out;
    for (size_t i = 0; i < 3; ++i) out[i] = f.a[i] * (1 - t) + f.b[i] * t + noise + (i == 0 ? tint : i == 2 ? -tint : 0);
    return out;
  };
  const Fill background = make_fill();
  for (int y = 0; y < n; ++y)
    for (int x = 0; x < n; ++x) {
      const Colour c = shade(background, x, y);
      for (size_t i = 0; i < 3; ++i) rgb[(y * n + x) * 3 + static_cast<int>(i)] = static_cast<float>(c[i]);
    }
  // Dead leaves: occluding shapes whose radii follow r^-3 (Lee, Mumford, Huang 2001).
  const double smallest = std::exp(uniform(r, std::log(2.0), std::log(n / 6.0))), largest = n * uniform(r, 0.2, 0.6);
  double area = 0;
  const double wanted = uniform(r, 0.3, 2.5) * n * n;
  const double softness = uniform(r) < 0.3 ? uniform(r, 1, 5) : uniform(r, 0.6, 1.2);
  for (int count = 0; area < wanted && count < 1500; ++count) {
    const double u = uniform(r);
    const double radius = std::min(largest, smallest / std::sqrt(std::max(1e-6, 1 - u * (1 - std::pow(smallest / largest, 2)))));
    area += 3.14 * radius * radius * 0.6;
    const double cx = uniform(r, -0.1, 1.1) * n, cy = uniform(r, -0.1, 1.1) * n, angle = uniform(r, 0, 6.2832), aspect = std::exp(-std::pow(uniform(r), 2) * 2.5);
    const int kind = static_cast<int>(r() % 4), sides = 3 + static_cast<int>(r() % 4);
    const Fill fill = make_fill();
    const double opacity = uniform(r) < 0.15 ? uniform(r, 0.3, 0.8) : 1, wobble = uniform(r, 0, 0.3), phase = uniform(r, 0, 6.28);
    const double shadow = uniform(r) < 0.25 ? uniform(r, 0.2, 0.6) : 0;
    const double c = std::cos(angle), s = std::sin(angle), reach = radius * 1.3 + softness + (shadow > 0 ? radius * 0.3 : 0);
    for (int y = std::max(0, static_cast<int>(cy - reach)); y <= std::min(n - 1, static_cast<int>(cy + reach)); ++y)
      for (int x = std::max(0, static_cast<int>(cx - reach)); x <= std::min(n - 1, static_cast<int>(cx + reach)); ++x) {
        const auto distance = [&](double px, double py) {
          const double dx = c * (px - cx) + s * (py - cy), dy = (c * (py - cy) - s * (px - cx)) / aspect;
          switch (kind) {
            case 0: return std::hypot(dx, dy) - radius;
            case 1: return std::max(std::abs(dx), std::abs(dy)) - radius * 0.8;
            case 2: {
              const double a = std::atan2(dy, dx), sector = 6.2832 / sides, in = std::fmod(a + 6.2832, sector) - sector / 2;
              return std::hypot(dx, dy) * std::cos(in) - radius * std::cos(sector / 2);
            }
            default: return std::hypot(dx, dy) - radius * (1 + wobble * std::sin(5 * std::atan2(dy, dx) + phase));
          }
        };
        const double cover = std::clamp(0.5 - distance(x, y) * (kind == 0 || aspect > 0.5 ? 1 : aspect) / softness, 0.0, 1.0) * opacity;
        float* pixel = rgb + (y * n + x) * 3;
        if (shadow > 0 && cover < 1) {
          const double dark = 1 - shadow * std::clamp(0.5 - distance(x - radius * 0.12, y - radius * 0.15) / (radius * 0.3), 0.0, 1.0);
          for (int i = 0; i < 3; ++i) pixel[i] *= static_cast<float>(dark);
        }
        if (cover <= 0) continue;
        const Colour colour_here = shade(fill, x, y);
        for (size_t i = 0; i < 3; ++i) pixel[i] += static_cast<float>(cover * (colour_here[i] - pixel[i]));
      }
  }
  const double vignette = uniform(r) < 0.3 ? uniform(r, 0, 0.5) : 0, noise = uniform(r) < 0.4 ? uniform(r, 0, 0.02) : 0, light = uniform(r, -0.25, 0.25), gamma = uniform(r, 0.8, 1.25);
  for (int y = 0; y < n; ++y)
    for (int x = 0; x < n; ++x) {
      const double dx = 2.0 * x / n - 1, dy = 2.0 * y / n - 1, factor = (1 - vignette * (dx * dx + dy * dy) / 2) * (1 + light * (dx + dy) / 2);
      for (int i = 0; i < 3; ++i) {
        float& value = rgb[(y * n + x) * 3 + i];
        value = static_cast<float>(std::clamp(std::pow(std::clamp(value * factor, 0.0, 1.0), gamma) + noise * (uniform(r) + uniform(r) + uniform(r) - 1.5), 0.0, 1.0));
      }
    }
}

}  // namespace attelier
