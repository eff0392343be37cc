// The world's truths are true, over seeds and places: the same bits from any number of threads, masks that add up, depth that agrees between views,
// flow that carries one frame to the next, panoramas that hold their perspective views.
#include <gtest/gtest.h>

#include <cmath>

#include "core/scenes/world/contents.h"
#include "core/scenes/world/flow.h"
#include "core/scenes/world/sequences.h"

namespace attelier::world {
namespace {

constexpr int kSide = 96;
constexpr RenderSettings kTruthOnly = {.colour = false};

Scene scene_for(uint64_t seed, bool moving = false) {
  Wish wish;
  wish.place = static_cast<Place>(seed % static_cast<uint64_t>(Place::kCount));
  wish.moving = moving;
  return compose(seed, wish);
}

TEST(World, SameSeedSameSceneAndSameBitsForAnyNumberOfThreads) {
  for (uint64_t seed = 0; seed < 13; ++seed) {
    const Scene a = scene_for(seed), b = scene_for(seed);
    ASSERT_EQ(a.parts.size(), b.parts.size());
    const PosedScene pa(a, 0.3f), pb(b, 0.3f);
    const Camera camera = still_camera(a, kSide, kSide);
    for (const int samples : {1, 4}) {
      if (samples > 1 && seed % 4 != 0) continue;
      const Frame one = render(pa, camera, {.samples = samples, .threads = 1}), two = render(pb, camera, {.samples = samples, .threads = 2});
      EXPECT_EQ(one.rgb, two.rgb) << seed;
      EXPECT_EQ(one.depth, two.depth);
      EXPECT_EQ(one.normal, two.normal);
      EXPECT_EQ(one.part, two.part);
    }
  }
}

TEST(World, DifferentSeedsGiveDifferentScenes) {
  const Camera camera = still_camera(scene_for(1), 32, 32);
  const Scene a = scene_for(1), b = scene_for(14);
  EXPECT_NE(render(PosedScene(a), camera).rgb, render(PosedScene(b), still_camera(b, 32, 32)).rgb);
}

TEST(World, MasksAddUp) {
  for (uint64_t seed = 0; seed < 26; ++seed) {
    const Scene scene = scene_for(seed);
    const Frame frame = render(PosedScene(scene), still_camera(scene, kSide, kSide), kTruthOnly);
    const Contents contents = contents_of(scene, frame);
    int64_t classes = 0, things = 0, instances = 0;
    for (int kind = 0; kind < kKindCount; ++kind) classes += contents.pixels_of[static_cast<size_t>(kind)];
    EXPECT_EQ(classes, kSide * kSide);
    for (const VisibleObject& object : contents.objects) instances += object.pixels;
    for (size_t i = 0; i < frame.pixels(); ++i) {
      ASSERT_LE(frame.instance[i], scene.objects.size());
      if (frame.instance[i] > 0) {
        ++things;
        EXPECT_EQ(frame.kind[i], static_cast<uint8_t>(scene.objects[frame.instance[i] - 1u].kind));
      } else {
        EXPECT_TRUE(frame.kind[i] < static_cast<uint8_t>(kFirstThing) || frame.kind[i] == static_cast<uint8_t>(Kind::kWindow) || frame.kind[i] == static_cast<uint8_t>(Kind::kDoor));
      }
      // Depth and normal belong to surfaces and to them alone.
      const Vec3 normal{frame.normal[3 * i], frame.normal[3 * i + 1], frame.normal[3 * i + 2]};
      const bool sky = frame.kind[i] == static_cast<uint8_t>(Kind::kSky);
      EXPECT_EQ(frame.depth[i] > 0, !sky);
      EXPECT_NEAR(length(normal), sky ? 0 : 1, 1e-4);
    }
    EXPECT_EQ(instances, things);
    EXPECT_GT(instances, 0) << "nothing to see with seed " << seed;
  }
}

TEST(World, NormalsFaceTheViewerAndMatchTheDepth) {
  double worst_mean = 0;
  for (uint64_t seed = 0; seed < 13; ++seed) {
    const Scene scene = scene_for(seed);
    const Camera camera = still_camera(scene, kSide, kSide);
    const Frame frame = render(PosedScene(scene), camera, kTruthOnly);
    double sum = 0;
    int64_t count = 0, away = 0, surfaces = 0;
    for (int y = 0; y + 1 < kSide; ++y)
      for (int x = 0; x + 1 < kSide; ++x) {
        const size_t i = frame.index(x, y);
        if (frame.part[i] == kNothing) continue;
        const Vec3 normal{frame.normal[3 * i], frame.normal[3 * i + 1], frame.normal[3 * i + 2]}, here = world_point(camera, frame, x, y);
        ++surfaces;
        away += dot(normal, here - camera.position) > 1e-3f ? 1 : 0;
        const size_t right = frame.index(x + 1, y), below = frame.index(x, y + 1);
        if (frame.part[right] != frame.part[i] || frame.part[below] != frame.part[i]) continue;
        // Where the surface is smooth at this scale, its tangents are at right angles to the normal.
        if (std::fabs(frame.normal[3 * i] - frame.normal[3 * right]) + std::fabs(frame.normal[3 * i + 1] - frame.normal[3 * below + 1]) > 0.05f) continue;
        for (const Vec3 there : {world_point(camera, frame, x + 1, y), world_point(camera, frame, x, y + 1)}) sum += std::fabs(dot(normalised(there - here), normal)), ++count;
      }
    EXPECT_LE(away, surfaces / 500) << seed;
    worst_mean = std::max(worst_mean, sum / static_cast<double>(count));
  }
  RecordProperty("worst_mean_sine", std::to_string(worst_mean));
  EXPECT_LT(worst_mean, 0.02);
}

TEST(World, DepthReprojectsBetweenViewsToAFractionOfAPixel) {
  // Every point that a second camera sees comes back, traced from there, to the pixel that it came from.
  double worst = 0;
  for (uint64_t seed = 0; seed < 13; ++seed) {
    const Scene scene = scene_for(seed);
    const PosedScene posed(scene);
    const std::vector<Camera> cameras = surrounding_cameras(scene, 2, 0.3f, kSide, kSide);
    const Frame first = render(posed, cameras[0], kTruthOnly);
    const Flow flow = flow_between(posed, cameras[0], first, posed, cameras[1]);
    int64_t seen = 0, wrong = 0;
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x) {
        const size_t i = first.index(x, y);
        // Drops and flakes are thinner than a pixel: every point of theirs is on a silhouette.
        if (flow.occluded[i] || first.part[i] == kNothing || first.kind[i] == static_cast<uint8_t>(Kind::kFlake)) continue;
        ++seen;
        const Ray back = cameras[1].ray(static_cast<float>(x) + 0.5f + flow.xy[2 * i], static_cast<float>(y) + 0.5f + flow.xy[2 * i + 1]);
        const Hit hit = posed.trace(back, 1e-3f, 2000);
        const auto again = cameras[0].project(back.at(hit.t));
        ASSERT_TRUE(again) << seed;
        const double error = std::hypot(again->x - x - 0.5, again->y - y - 0.5);
        // Silhouettes seen at a grazing angle may let a ray slip by.
        if (error > 0.25) ++wrong;
        else worst = std::max(worst, error);
      }
    EXPECT_GT(seen, kSide * kSide / 8) << seed;
    EXPECT_LE(wrong, seen / 300) << seed;
  }
  RecordProperty("worst_pixels", std::to_string(worst));
  EXPECT_LT(worst, 0.25);
}

struct WarpErrors {
  double exact = 0, picture = 0;  // mean absolute errors in 1/255
};
/// Follows the flow from one frame to the next: once to the exact sub-pixel place, once by bilinear sampling of the antialiased picture away from edges.
WarpErrors warp_errors(const Scene& scene, float time_a, float time_b, Lighting lighting) {
  const PosedScene a(scene, time_a), b(scene, time_b);
  const Camera ca = moving_camera(scene, time_a, kSide, kSide), cb = moving_camera(scene, time_b, kSide, kSide);
  const RenderSettings settings{.lighting = lighting, .samples = 16};
  const Frame fa = render(a, ca, settings), fb = render(b, cb, settings);
  const Flow flow = flow_between(a, ca, fa, b, cb), back = flow_between(b, cb, fb, a, ca);
  const std::vector<float> warped = warp_back(fb.rgb, kSide, kSide, flow);
  WarpErrors errors;
  int64_t exact_count = 0, picture_count = 0;
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      const size_t i = fa.index(x, y);
      if (flow.occluded[i]) continue;
      const float px = static_cast<float>(x) + 0.5f, py = static_cast<float>(y) + 0.5f;
      const Colour here = colour_along(a, ca, px, py, settings), there = colour_along(b, cb, px + flow.xy[2 * i], py + flow.xy[2 * i + 1], settings);
      errors.exact += static_cast<double>(std::fabs(here.x - there.x) + std::fabs(here.y - there.y) + std::fabs(here.z - there.z)) / 3;
      ++exact_count;
      // A sampled picture mixes what meets at a silhouette: ask where all four samples, and the pixel's neighbours, show the same surface.
      const int fx = static_cast<int>(std::floor(static_cast<float>(x) + flow.xy[2 * i])), fy = static_cast<int>(std::floor(static_cast<float>(y) + flow.xy[2 * i + 1]));
      bool inside = x > 0 && y > 0 && x + 1 < kSide && y + 1 < kSide && fx > 0 && fy > 0 && fx + 2 < kSide && fy + 2 < kSide;
      for (int dy = -1; inside && dy <= 2; ++dy)
        for (int dx = -1; dx <= 2; ++dx) inside = inside && fb.part[fb.index(fx + dx, fy + dy)] == fa.part[i] && (dx > 1 || dy > 1 || fa.part[fa.index(x + dx, y + dy)] == fa.part[i]);
      if (!inside) continue;
      for (size_t c = 0; c < 3; ++c) errors.picture += static_cast<double>(std::fabs(warped[3 * i + c] - fa.rgb[3 * i + c])) / 3;
      ++picture_count;
    }
  errors.exact *= 255.0 / static_cast<double>(exact_count), errors.picture *= 255.0 / static_cast<double>(picture_count);
  // Forward and backward flow undo each other: at the place a pixel went to, the nearest pixel's backward flow points back.
  int64_t pairs = 0, disagree = 0;
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      const size_t i = fa.index(x, y);
      const int tx = static_cast<int>(std::floor(static_cast<float>(x) + 0.5f + flow.xy[2 * i])), ty = static_cast<int>(std::floor(static_cast<float>(y) + 0.5f + flow.xy[2 * i + 1]));
      if (flow.occluded[i] || tx < 0 || ty < 0 || tx >= kSide || ty >= kSide) continue;
      const size_t j = fb.index(tx, ty);
      if (fb.part[j] != fa.part[i]) continue;
      ++pairs;
      disagree += std::hypot(flow.xy[2 * i] + back.xy[2 * j], flow.xy[2 * i + 1] + back.xy[2 * j + 1]) > 1 ? 1 : 0;
    }
  EXPECT_LE(disagree, pairs / 50);
  return errors;
}

TEST(World, FlowCarriesMatteFramesUnderAMovingCamera) {
  double exact = 0, picture = 0;
  constexpr int kScenes = 13;
  for (uint64_t seed = 0; seed < kScenes; ++seed) {
    // Everything at rest, the camera moves: light and shadow stay on the surfaces.
    Scene scene = scene_for(seed);
    for (Joint& joint : scene.joints) joint.motion = {};
    const WarpErrors errors = warp_errors(scene, 0, 0.6f, Lighting::kMatte);
    EXPECT_LT(errors.exact, 0.5) << "seed " << seed;
    exact += errors.exact / kScenes, picture += errors.picture / kScenes;
  }
  printf("matte, moving camera: exact %.4f/255, sampled pictures %.3f/255\n", exact, picture);
  EXPECT_LT(exact, 0.2);
  EXPECT_LT(picture, 1);
}

TEST(World, FlowCarriesReflectanceOfMovingAndDeformingThings) {
  double exact = 0, picture = 0;
  constexpr int kScenes = 13;
  for (uint64_t seed = 0; seed < kScenes; ++seed) {
    const Scene scene = scene_for(seed + 100, true);
    const WarpErrors errors = warp_errors(scene, 0.4f, 0.55f, Lighting::kAlbedo);
    EXPECT_LT(errors.exact, 1) << "seed " << seed + 100;
    exact += errors.exact / kScenes, picture += errors.picture / kScenes;
  }
  printf("reflectance, everything moves: exact %.4f/255, sampled pictures %.3f/255\n", exact, picture);
  EXPECT_LT(exact, 0.5);
  EXPECT_LT(picture, 1);
}

TEST(World, MovingThingsMove) {
  const Scene scene = scene_for(100, true);
  const PosedScene a(scene, 0), b(scene, 0.5f);
  const Camera camera = still_camera(scene, kSide, kSide);
  const Frame frame = render(a, camera, kTruthOnly);
  const Flow flow = flow_between(a, camera, frame, b, camera);
  double ground = 0, things = 0;
  for (size_t i = 0; i < frame.pixels(); ++i) {
    const double size = std::hypot(flow.xy[2 * i], flow.xy[2 * i + 1]);
    if (frame.part[i] == kTerrainPart || frame.part[i] == kNothing) ground = std::max(ground, size);
    if (frame.instance[i] > 0) things = std::max(things, size);
  }
  EXPECT_LT(ground, 2e-2);
  EXPECT_GT(things, 0.5);
}

TEST(World, PanoramasHoldTheirPerspectiveViews) {
  double colour = 0, depth = 0;
  constexpr int kScenes = 5;
  for (uint64_t seed = 0; seed < kScenes; ++seed) {
    const Scene scene = scene_for(seed * 5 + 1);
    const PosedScene posed(scene);
    const Camera panorama = panorama_camera(scene, 320);
    // Colours: antialiased panorama against an antialiased view of coarser pixels. Matte: what is seen depends on the place alone.
    const Frame all = render(posed, panorama, {.lighting = Lighting::kMatte, .samples = 4});
    const Vec3 forward = panorama.axes.row[2], right = panorama.axes.row[0];
    for (const float angle : {-0.4f, 1.3f}) {
      const Camera view = look_at(panorama.position, panorama.position + forward * cosine(angle) + right * sine(angle) + Vec3{0, -0.12f, 0}, 1.2f, 40, 40);
      const Frame seen = render(posed, view, {.lighting = Lighting::kMatte, .samples = 16});
      const PanoramaCrop crop = crop_panorama(panorama, all, view);
      double difference = 0, relative = 0;
      int64_t near = 0;
      for (size_t i = 0; i < seen.rgb.size(); ++i) difference += std::fabs(seen.rgb[i] - crop.rgb[i]);
      for (size_t i = 0; i < seen.pixels(); ++i) {
        if (seen.depth[i] == 0 || crop.depth[i] == 0) continue;
        const double error = std::fabs(seen.depth[i] - crop.depth[i]) / seen.depth[i];
        relative += error < 0.1 ? error : 0, near += error < 0.1 ? 1 : 0;
      }
      EXPECT_GT(near, static_cast<int64_t>(seen.pixels()) / 5) << seed;
      colour += difference / static_cast<double>(seen.rgb.size()) * 255 / (2 * kScenes), depth += relative / static_cast<double>(near) / (2 * kScenes);
    }
  }
  printf("panorama crops: colour %.2f/255, depth %.5f\n", colour, depth);
  EXPECT_LT(colour, 4);
  EXPECT_LT(depth, 0.012);  // the nearest of 0.56-degree samples on slanting ground
}

TEST(World, PanoramaRaysAreExactlyThePerspectiveOnes) {
  // Without sampling in between: the two cameras' colours along the same direction.
  for (uint64_t seed = 2; seed < 8; ++seed) {
    const Scene scene = scene_for(seed);
    const PosedScene posed(scene);
    const Camera panorama = panorama_camera(scene, 256), view = look_at(panorama.position, panorama.position + panorama.axes.row[2] + Vec3{0, -0.2f, 0}, 1, 32, 32);
    const Frame seen = render(posed, view, kTruthOnly);
    int64_t wrong = 0;
    for (int y = 0; y < 32; ++y)
      for (int x = 0; x < 32; ++x) {
        const auto place = panorama.project_infinite(view.ray(static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f).direction);
        const Ray ray = panorama.ray(place->x, place->y);
        const Hit hit = posed.trace(ray, 1e-3f, 2000);
        const float depth = hit.part == kNothing ? 0 : hit.t * dot(view.axes.row[2], ray.direction);
        wrong += std::fabs(depth - seen.depth[seen.index(x, y)]) > 2e-3f * std::max(1.f, depth) ? 1 : 0;
      }
    EXPECT_LE(wrong, 32 * 32 / 100) << seed;
  }
}

TEST(World, ARemovedObjectIsGoneAndTheRestStays) {
  for (uint64_t seed = 0; seed < 13; ++seed) {
    const Scene scene = scene_for(seed);
    const PosedScene whole(scene);
    const Camera camera = still_camera(scene, kSide, kSide);
    const Frame before = render(whole, camera, kTruthOnly);
    const int object = removable_object(scene, before);
    ASSERT_GE(object, 0) << seed;
    const Frame after = render(PosedScene(scene, 0, object), camera, kTruthOnly);
    for (size_t i = 0; i < before.pixels(); ++i) {
      EXPECT_NE(after.instance[i], object + 1);
      if (before.instance[i] != object + 1) {
        EXPECT_EQ(after.part[i], before.part[i]);
        EXPECT_EQ(after.depth[i], before.depth[i]);
      }
    }
  }
}

}  // namespace
}  // namespace attelier::world
