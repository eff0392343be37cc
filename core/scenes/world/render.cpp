#include "core/scenes/world/render.h"

#include "core/scenes/world/dice.h"
#include "core/scenes/world/functions.h"
#include "core/scenes/world/parallel.h"
#include "core/scenes/world/sky.h"

#include <array>

namespace attelier::world {
namespace {

constexpr float kFar = 2000;  // metres: beyond is sky

/// sRGB encoding by table: steps below 1/60 of an 8-bit level.
float encode(float v) {
  static const std::array<float, 4098> table = [] {
    std::array<float, 4098> t{};
    // Indexed by the square root, where the curve is nearly straight.
    for (size_t i = 0; i < t.size(); ++i) t[i] = display_from_linear(static_cast<float>(i) / 4096 * static_cast<float>(i) / 4096);
    return t;
  }();
  const float u = std::sqrt(clamp01(v)) * 4096, whole = floor_of(u);
  const auto i = static_cast<size_t>(whole);
  return std::min(1.f, mix(table[i], table[i + 1], u - whole));
}

/// What one ray shows, before display.
struct Sample {
  Hit hit;
  Shade shade;
  Colour backdrop{};  // the sky, or the fog in front of the surface
};

class Renderer {
 public:
  Renderer(const PosedScene& posed, const Camera& camera, const RenderSettings& settings) : posed_(posed), scene_(posed.scene()), camera_(camera), settings_(settings) {}

  Frame run() {
    Frame frame;
    frame.width = camera_.width, frame.height = camera_.height;
    const size_t n = frame.pixels();
    frame.depth.resize(n), frame.normal.resize(3 * n), frame.part.resize(n), frame.instance.resize(n), frame.kind.resize(n);
    samples_.resize(settings_.colour ? n : 0), points_.resize(settings_.colour ? n : 0);
    for_each_row(frame.height, settings_.threads, [&](int y) { centres(frame, y); });
    if (!settings_.colour) return frame;
    frame.rgb.resize(3 * n);
    open_.assign(n, 1.f);
    if (settings_.occlusion && settings_.lighting == Lighting::kFull) {
      raw_open_.assign(n, 1.f);
      for_each_row(frame.height, settings_.threads, [&](int y) { settings_.samples > 1 ? trace_occlusion(frame, y) : occlude(frame, y); });
      for_each_row(frame.height, settings_.threads, [&](int y) { smooth_occlusion(frame, y); });
    }
    if (settings_.samples > 1) {
      for_each_row(frame.height, settings_.threads, [&](int y) { many_samples(frame, y); });
      return frame;
    }
    for_each_row(frame.height, settings_.threads, [&](int y) { compose(frame, y); });
    if (settings_.smooth_edges) {
      const std::vector<float> first = frame.rgb;
      for_each_row(frame.height, settings_.threads, [&](int y) { refine(frame, first, y); });
    }
    return frame;
  }

  Sample sample(float x, float y, float u, float v) const {
    Sample out;
    const Ray ray = camera_.ray(x, y);
    out.hit = posed_.trace(ray, 1e-3f, kFar);
    finish(ray, out.hit.part == kNothing ? Vec3{} : posed_.normal(out.hit, ray.at(out.hit.t)), out, u, v);
    return out;
  }
  Colour display(const Sample& s, float open) const {
    if (settings_.lighting == Lighting::kAlbedo) return display_from_linear({clamp01(s.shade.ambient.x), clamp01(s.shade.ambient.y), clamp01(s.shade.ambient.z)});
    if (s.hit.part == kNothing) return display_colour(s.backdrop, scene_.light.exposure);
    const Colour light = s.shade.direct + s.shade.ambient * open;
    return display_colour(s.shade.fog > 0 ? mix(light, s.backdrop, s.shade.fog) : light, scene_.light.exposure);
  }

 private:
  void finish(const Ray& ray, const Vec3& normal, Sample& out, float u, float v) const {
    if (out.hit.part == kNothing) {
      out.backdrop = out.shade.ambient = sky_colour(scene_, ray.direction);
      return;
    }
    out.shade = shade(posed_, ray, out.hit, normal, out.hit.t * camera_.pixel_angle(), {settings_.lighting, settings_.shadows, u, v});
    if (out.shade.fog > 0) out.backdrop = fog_colour(scene_, ray.direction);
  }

  void centres(Frame& frame, int y) {
    for (int x = 0; x < frame.width; ++x) {
      const size_t i = frame.index(x, y);
      const Ray ray = camera_.ray(static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f);
      Sample s;
      s.hit = posed_.trace(ray, 1e-3f, kFar);
      frame.part[i] = s.hit.part;
      frame.kind[i] = static_cast<uint8_t>(posed_.kind(s.hit.part));
      frame.instance[i] = static_cast<uint16_t>(posed_.object(s.hit.part) + 1);
      Vec3 normal;
      if (s.hit.part != kNothing) {
        frame.depth[i] = camera_.depth_of(ray.direction, s.hit.t);
        const Vec3 point = ray.at(s.hit.t);
        normal = posed_.normal(s.hit, point);
        if (settings_.colour) points_[i] = point;
        frame.normal[3 * i] = normal.x, frame.normal[3 * i + 1] = normal.y, frame.normal[3 * i + 2] = normal.z;
      }
      if (!settings_.colour) continue;
      if (settings_.samples <= 1) finish(ray, normal, s, -1, -1);
      samples_[i] = s;
    }
  }

  /// Stratified places in the pixel; each sample's light directions from a hash of pixel and number.
  void many_samples(Frame& frame, int y) const {
    const int side = std::max(1, static_cast<int>(std::sqrt(static_cast<float>(settings_.samples)) + 0.5f));
    for (int x = 0; x < frame.width; ++x) {
      Colour sum;
      for (int k = 0; k < side * side; ++k) {
        const uint64_t bits = mix64(mix64(static_cast<uint64_t>(y) << 32 | static_cast<uint64_t>(x), scene_.seed), static_cast<uint64_t>(k));
        const float jx = static_cast<float>(bits & 0xffff) / 65536.f, jy = static_cast<float>(bits >> 16 & 0xffff) / 65536.f;
        // The light's two numbers are stratified too, in another order.
        const int other = (k * 7 + static_cast<int>(bits >> 32 & 0xff)) % (side * side);
        const float u = (static_cast<float>(other % side) + jy) / static_cast<float>(side), v = (static_cast<float>(other / side) + jx) / static_cast<float>(side);
        const Sample s = sample(static_cast<float>(x) + (static_cast<float>(k % side) + jx) / static_cast<float>(side),
                                static_cast<float>(y) + (static_cast<float>(k / side) + jy) / static_cast<float>(side), u, v);
        sum += display(s, open_near(frame, x, y, s.hit));
      }
      store(frame, frame.index(x, y), sum / static_cast<float>(side * side));
    }
  }

  /// How open the half space over each point looks from its neighbours in the picture (after Mittring 2007 and McGuire 2012).
  void occlude(const Frame& frame, int y) {
    constexpr int kTaps = 8;
    static constexpr float kSpiral[kTaps][2] = {{0.18f, 0.09f}, {-0.21f, 0.25f}, {-0.33f, -0.31f}, {0.36f, -0.44f}, {0.65f, 0.22f}, {0.1f, 0.78f}, {-0.82f, 0.3f}, {-0.2f, -0.95f}};
    const float reach = is_indoors(scene_.place) ? 0.5f : 0.9f;
    for (int x = 0; x < frame.width; ++x) {
      const size_t i = frame.index(x, y);
      const Hit& hit = samples_[i].hit;
      if (hit.part == kNothing || hit.part == kWaterPart) continue;
      const float radius = std::min(reach / (hit.t * camera_.pixel_angle()), 0.2f * static_cast<float>(frame.width));
      if (radius < 1.5f) continue;
      const float t = hit.t;
      const Vec3 here = points_[i], normal{frame.normal[3 * i], frame.normal[3 * i + 1], frame.normal[3 * i + 2]};
      // Four turns of the spiral over 2 x 2 pixels, which the smoothing blends.
      const bool flip = (x & 1) != 0, turn = (y & 1) != 0;
      float closed = 0;
      for (const auto& tap : kSpiral) {
        float dx = tap[0], dy = tap[1];
        if (flip) dx = -dx, dy = -dy;
        if (turn) std::swap(dx, dy), dy = -dy;
        const int sx = x + static_cast<int>(floor_of(dx * radius + 0.5f)), sy = y + static_cast<int>(floor_of(dy * radius + 0.5f));
        if (sx < 0 || sy < 0 || sx >= frame.width || sy >= frame.height || (sx == x && sy == y)) continue;
        const size_t j = frame.index(sx, sy);
        if (frame.part[j] == kNothing) continue;
        const Vec3 way = points_[j] - here;
        const float square = dot(way, way), up = dot(way, normal) - 0.004f * t;
        if (up <= 0 || square > 4 * reach * reach) continue;
        closed += up / std::sqrt(square + 1e-6f) * (1 - square / (4 * reach * reach));
      }
      raw_open_[i] = 1 - clamp01(1.5f * closed / kTaps) * 0.8f;
    }
  }

  /// The same by rays: sixteen over the half space, turned from pixel to pixel, of which the smoothing blends the neighbours'.
  void trace_occlusion(const Frame& frame, int y) {
    const float reach = is_indoors(scene_.place) ? 1.1f : 1.6f;
    for (int x = 0; x < frame.width; ++x) {
      const size_t i = frame.index(x, y);
      const Hit& hit = samples_[i].hit;
      if (hit.part == kNothing || hit.part == kWaterPart) continue;
      const Vec3 normal{frame.normal[3 * i], frame.normal[3 * i + 1], frame.normal[3 * i + 2]}, start = points_[i] + normal * 2e-3f;
      float closed = 0;
      for (int k = 0; k < 16; ++k) {
        const uint64_t bits = mix64(mix64(static_cast<uint64_t>(y) << 32 | static_cast<uint64_t>(x), scene_.seed ^ 0xa0), static_cast<uint64_t>(k));
        const Vec3 way = half_space_direction(normal, (static_cast<float>(k % 4) + unit_float(bits)) / 4, (static_cast<float>(k / 4) + unit_float(bits << 24)) / 4);
        const Hit near = posed_.trace({start, way}, 1e-3f, reach);
        if (near.part != kNothing && near.part != kWaterPart) closed += 1 - near.t / reach;
      }
      raw_open_[i] = 1 - 0.95f * closed / 16;
    }
  }

  void smooth_occlusion(const Frame& frame, int y) {
    for (int x = 0; x < frame.width; ++x) {
      const size_t i = frame.index(x, y);
      const float t = samples_[i].hit.t;
      float sum = 0, weight = 0;
      const int reach = settings_.samples > 1 ? 3 : 2;
      for (int dy = 1 - reach; dy <= reach; ++dy)
        for (int dx = 1 - reach; dx <= reach; ++dx) {
          const int sx = x + dx, sy = y + dy;
          if (sx < 0 || sy < 0 || sx >= frame.width || sy >= frame.height) continue;
          const size_t j = frame.index(sx, sy);
          if (std::fabs(samples_[j].hit.t - t) > 0.04f * t) continue;
          sum += raw_open_[j], weight += 1;
        }
      open_[i] = weight > 0 ? sum / weight : 1;
    }
  }

  void compose(Frame& frame, int y) const {
    for (int x = 0; x < frame.width; ++x) {
      const size_t i = frame.index(x, y);
      store(frame, i, display(samples_[i], open_[i]));
    }
  }

  /// Two more samples where a neighbour shows something else.
  void refine(Frame& frame, const std::vector<float>& first, int y) const {
    static constexpr float kPlaces[2][2] = {{0.2f, 0.8f}, {0.85f, 0.3f}};
    for (int x = 0; x < frame.width; ++x) {
      const size_t i = frame.index(x, y);
      bool edge = false;
      for (const auto& [dx, dy] : {std::pair{-1, 0}, {1, 0}, {0, -1}, {0, 1}}) {
        const int sx = x + dx, sy = y + dy;
        if (sx < 0 || sy < 0 || sx >= frame.width || sy >= frame.height) continue;
        const size_t j = frame.index(sx, sy);
        const float contrast = std::fabs(first[3 * i] - first[3 * j]) + std::fabs(first[3 * i + 1] - first[3 * j + 1]) + std::fabs(first[3 * i + 2] - first[3 * j + 2]);
        edge = edge || contrast > 0.4f || (frame.part[i] != frame.part[j] && contrast > 0.09f);
      }
      if (!edge) continue;
      Colour sum{first[3 * i], first[3 * i + 1], first[3 * i + 2]};
      for (const auto& place : kPlaces) {
        const Sample s = sample(static_cast<float>(x) + place[0], static_cast<float>(y) + place[1], -1, -1);
        sum += display(s, open_near(frame, x, y, s.hit));
      }
      store(frame, i, sum / 3);
    }
  }
  /// The openness of the pixel around (x, y) that shows the same part.
  float open_near(const Frame& frame, int x, int y, const Hit& hit) const {
    for (const auto& [dx, dy] : {std::pair{0, 0}, {-1, 0}, {1, 0}, {0, -1}, {0, 1}}) {
      const int sx = x + dx, sy = y + dy;
      if (sx < 0 || sy < 0 || sx >= frame.width || sy >= frame.height) continue;
      const size_t j = frame.index(sx, sy);
      if (samples_[j].hit.part == hit.part) return open_[j];
    }
    return open_[frame.index(x, y)];
  }

  static void store(Frame& frame, size_t i, const Colour& c) { frame.rgb[3 * i] = c.x, frame.rgb[3 * i + 1] = c.y, frame.rgb[3 * i + 2] = c.z; }

  const PosedScene& posed_;
  const Scene& scene_;
  const Camera& camera_;
  const RenderSettings& settings_;
  std::vector<Sample> samples_;
  std::vector<Vec3> points_;  // of the centres, world space
  std::vector<float> open_, raw_open_;
};

}  // namespace

Colour display_colour(const Colour& light, float exposure) {
  const auto film = [&](float v) {
    v *= 0.62f * exposure;
    return encode(v * (2.51f * v + 0.03f) / (v * (2.43f * v + 0.59f) + 0.14f));
  };
  return {film(light.x), film(light.y), film(light.z)};
}

Frame render(const PosedScene& posed, const Camera& camera, const RenderSettings& settings) { return Renderer(posed, camera, settings).run(); }

Colour colour_along(const PosedScene& posed, const Camera& camera, float x, float y, const RenderSettings& settings) {
  const Renderer renderer(posed, camera, settings);
  return renderer.display(renderer.sample(x, y, -1, -1), 1);
}

}  // namespace attelier::world
