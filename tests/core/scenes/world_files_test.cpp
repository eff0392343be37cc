// The world's files say what the frames hold.
#include "core/scenes/world_files.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "core/scenes/world/sequences.h"

namespace attelier {
namespace {

using namespace world;

TEST(WorldFiles, ColmapCamerasProjectAsOursDo) {
  const Scene scene = compose(4);
  std::vector<NamedCamera> cameras;
  for (const Camera& camera : surrounding_cameras(scene, 7, 5.5f, 64, 48)) cameras.push_back({"view.png", camera});
  std::istringstream images(colmap_images(cameras)), intrinsics(colmap_cameras(cameras));
  std::string line;
  size_t seen = 0;
  while (std::getline(images, line)) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    double id, w, x, y, z, tx, ty, tz;
    fields >> id >> w >> x >> y >> z >> tx >> ty >> tz;
    ASSERT_TRUE(fields) << line;
    EXPECT_NEAR(w * w + x * x + y * y + z * z, 1, 1e-5);
    const Camera& camera = cameras[seen++].camera;
    // COLMAP: p = R(q) X + t, then the pinhole.
    const Vec3 point{0.3f, 0.8f, -0.4f};
    const double px = (1 - 2 * (y * y + z * z)) * point.x + 2 * (x * y - w * z) * point.y + 2 * (x * z + w * y) * point.z + tx;
    const double py = 2 * (x * y + w * z) * point.x + (1 - 2 * (x * x + z * z)) * point.y + 2 * (y * z - w * x) * point.z + ty;
    const double pz = 2 * (x * z - w * y) * point.x + 2 * (y * z + w * x) * point.y + (1 - 2 * (x * x + y * y)) * point.z + tz;
    const auto ours = camera.project(point);
    ASSERT_TRUE(ours);
    EXPECT_NEAR(camera.focal * px / pz + camera.centre_x, static_cast<double>(ours->x), 1e-2);
    EXPECT_NEAR(camera.focal * py / pz + camera.centre_y, static_cast<double>(ours->y), 1e-2);
  }
  EXPECT_EQ(seen, 7u);
  while (std::getline(intrinsics, line)) {
    if (line[0] != '#') {
      EXPECT_NE(line.find(" PINHOLE 64 48 "), std::string::npos);
    }
  }
}

TEST(WorldFiles, DepthAndMasksAreReadable) {
  const Scene scene = compose(2);
  const Frame frame = render(PosedScene(scene), still_camera(scene, 40, 40));
  // 16 bits come back rounded to 8.
  const Image depth = decode_image(depth_png(frame.depth, frame.width, frame.height), "depth"), classes = decode_image(class_png(frame), "class"), normals = decode_image(normal_png(frame), "normal");
  ASSERT_EQ(depth.channels, 1);
  ASSERT_EQ(normals.channels, 3);
  for (size_t i = 0; i < frame.pixels(); ++i) {
    EXPECT_NEAR(depth.pixels[i], std::min(65535.f, frame.depth[i] * kDepthStepsPerMetre) / 257, 1);
    EXPECT_EQ(classes.pixels[i], frame.kind[i]);
    for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(normals.pixels[3 * i + c], (frame.normal[3 * i + c] * 0.5f + 0.5f) * 255, 1);
  }
  const Image picture = picture_image(frame.rgb, 40, 40);
  for (size_t i = 0; i < picture.pixels.size(); ++i) ASSERT_NEAR(picture.pixels[i], frame.rgb[i] * 255, 0.51);
}

}  // namespace
}  // namespace attelier
