#include "core/scenes/world_files.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "core/media/png_codec.h"

namespace attelier {
namespace {

/// PNG of 16-bit samples, which PNG wants big-endian.
template <typename Value>
std::string png16(size_t count, int width, int height, int channels, const Value& value) {
  std::vector<uint8_t> bytes(2 * count);
  for (size_t i = 0; i < count; ++i) {
    const auto sample = static_cast<uint16_t>(value(i));
    bytes[2 * i] = static_cast<uint8_t>(sample >> 8), bytes[2 * i + 1] = static_cast<uint8_t>(sample & 0xff);
  }
  return encode_png_samples(bytes.data(), width, height, channels, 16, {});
}

/// Hamilton's quaternion (w, x, y, z) of a rotation, w >= 0 (Shepperd 1978: the largest component first).
std::array<double, 4> quaternion(const world::Mat3& m) {
  const auto at = [&](int row, int column) { return static_cast<double>(m.row[row][column]); };
  const std::array<double, 4> squares = {1 + at(0, 0) + at(1, 1) + at(2, 2), 1 + at(0, 0) - at(1, 1) - at(2, 2), 1 - at(0, 0) + at(1, 1) - at(2, 2), 1 - at(0, 0) - at(1, 1) + at(2, 2)};
  const auto largest = static_cast<size_t>(std::max_element(squares.begin(), squares.end()) - squares.begin());
  const double r = std::sqrt(squares[largest]), s = 0.5 / r;
  std::array<double, 4> q{};
  switch (largest) {
    case 0: q = {0.5 * r, (at(2, 1) - at(1, 2)) * s, (at(0, 2) - at(2, 0)) * s, (at(1, 0) - at(0, 1)) * s}; break;
    case 1: q = {(at(2, 1) - at(1, 2)) * s, 0.5 * r, (at(0, 1) + at(1, 0)) * s, (at(0, 2) + at(2, 0)) * s}; break;
    case 2: q = {(at(0, 2) - at(2, 0)) * s, (at(0, 1) + at(1, 0)) * s, 0.5 * r, (at(1, 2) + at(2, 1)) * s}; break;
    default: q = {(at(1, 0) - at(0, 1)) * s, (at(0, 2) + at(2, 0)) * s, (at(1, 2) + at(2, 1)) * s, 0.5 * r}; break;
  }
  if (q[0] < 0)
    for (double& v : q) v = -v;
  return q;
}

}  // namespace

Image picture_image(const std::vector<float>& rgb, int width, int height) {
  Image image{width, height, 3, std::vector<uint8_t>(rgb.size())};
  for (size_t i = 0; i < rgb.size(); ++i) image.pixels[i] = static_cast<uint8_t>(std::clamp(rgb[i], 0.f, 1.f) * 255 + 0.5f);
  return image;
}

std::string depth_png(const std::vector<float>& metres, int width, int height) {
  return png16(metres.size(), width, height, 1, [&](size_t i) { return std::min(65535.f, metres[i] * kDepthStepsPerMetre + (metres[i] > 0 ? 0.5f : 0)); });
}
std::string normal_png(const world::Frame& f) {
  return png16(3 * f.pixels(), f.width, f.height, 3, [&](size_t i) { return std::clamp((f.normal[i] * 0.5f + 0.5f) * 65535 + 0.5f, 0.f, 65535.f); });
}
std::string instance_png(const std::vector<uint16_t>& instances, int width, int height) {
  return png16(instances.size(), width, height, 1, [&](size_t i) { return instances[i]; });
}
std::string class_png(const world::Frame& f) { return encode_png_samples(f.kind.data(), f.width, f.height, 1, 8, {}); }
std::string mask_png(const std::vector<uint8_t>& mask, int width, int height) {
  std::vector<uint8_t> samples(mask.size());
  for (size_t i = 0; i < mask.size(); ++i) samples[i] = mask[i] ? 255 : 0;
  return encode_png_samples(samples.data(), width, height, 1, 8, {});
}

FlowField flow_field(const world::Flow& flow) { return {flow.width, flow.height, flow.xy}; }

std::string colmap_cameras(const std::vector<NamedCamera>& cameras) {
  std::string text = "# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n";
  for (size_t i = 0; i < cameras.size(); ++i) {
    const world::Camera& c = cameras[i].camera;
    text += fmt::format("{} PINHOLE {} {} {:.7g} {:.7g} {:.7g} {:.7g}\n", i + 1, c.width, c.height, c.focal, c.focal, c.centre_x, c.centre_y);
  }
  return text;
}

std::string colmap_images(const std::vector<NamedCamera>& cameras) {
  std::string text = "# Image list with two lines of data per image:\n#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME\n#   POINTS2D[] as (X, Y, POINT3D_ID)\n";
  for (size_t i = 0; i < cameras.size(); ++i) {
    const world::Camera& c = cameras[i].camera;
    const std::array<double, 4> q = quaternion(c.axes);
    const world::Vec3 t = -(c.axes * c.position);
    text += fmt::format("{} {:.9g} {:.9g} {:.9g} {:.9g} {:.9g} {:.9g} {:.9g} {} {}\n\n", i + 1, q[0], q[1], q[2], q[3], t.x, t.y, t.z, i + 1, cameras[i].file);
  }
  return text;
}

}  // namespace attelier
