// Strokes and shapes on masks, checked pixel by pixel against what they are said to be.
#include "app/session/mask_brush.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "app/session/document.h"
#include "core/diffusion/latents.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

int64_t painted(const Mask& mask) {
  const Image image = mask.to_image();
  return std::count_if(image.pixels.begin(), image.pixels.end(), [](uint8_t value) { return value >= 128; });
}

Mask stroked(const Mask& before, const Brush& brush, const std::vector<MaskPoint>& points) {
  Stroke stroke(before, brush);
  for (const MaskPoint& point : points) stroke.to(point);
  stroke.finish();
  return stroke.mask();
}

TEST(MaskBrush, ADabIsADiscOfItsRadius) {
  const Mask mask = stroked(Mask(600, 600), {.radius = 40, .hardness = 1}, {{300.5, 300.5}});
  EXPECT_NEAR(static_cast<double>(painted(mask)), 40.0 * 40 * 3.14159265, 30);
  EXPECT_EQ(mask.at(300, 300), 255);
  EXPECT_EQ(mask.at(300, 300 + 39), 255);
  EXPECT_EQ(mask.at(300, 300 + 41), 0);
  EXPECT_EQ(mask.at(300 + 30, 300 + 30), 0) << "42.4 pixels away";
}

TEST(MaskBrush, ASoftDabFadesEvenlyAndFlowLimitsIt) {
  const Mask soft = stroked(Mask(300, 300), {.radius = 100, .hardness = 0.2, .flow = 0.5}, {{150.5, 150.5}});
  EXPECT_EQ(soft.at(150, 150), 128);
  EXPECT_EQ(soft.at(150 + 19, 150), 128);
  for (int64_t x = 151; x < 255; ++x) EXPECT_LE(soft.at(x, 150), soft.at(x - 1, 150));
  EXPECT_NEAR(soft.at(150 + 60, 150), 64, 3) << "half way from the hard middle to the rim";
}

TEST(MaskBrush, StrokesHaveNoGapsHoweverFewTheirPoints) {
  const Brush brush{.radius = 9, .hardness = 0.5};
  std::vector<MaskPoint> many;
  for (int i = 0; i <= 900; ++i) many.push_back({20 + i * 0.9, 30 + i * 0.4});
  const Mask fine = stroked(Mask(900, 500), brush, many), coarse = stroked(Mask(900, 500), brush, {many.front(), many.back()});
  const Image a = fine.to_image(), b = coarse.to_image();
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  EXPECT_LE(largest, 4) << "of 255: the way is the same";
  for (int i = 0; i <= 900; ++i) ASSERT_EQ(coarse.at(static_cast<int64_t>(many[static_cast<size_t>(i)].x), static_cast<int64_t>(many[static_cast<size_t>(i)].y)), 255) << i;
}

TEST(MaskBrush, AStrokeOverItselfAddsNothingASecondStrokeDoes) {
  const Brush half{.radius = 10, .hardness = 1, .flow = 0.5};
  const Mask once = stroked(Mask(200, 100), half, {{50, 50}, {150, 50}}), there_and_back = stroked(Mask(200, 100), half, {{50, 50}, {150, 50}, {50, 50}});
  EXPECT_EQ(once, there_and_back);
  EXPECT_EQ(once.at(100, 50), 128);
  EXPECT_EQ(stroked(once, half, {{50, 50}, {150, 50}}).at(100, 50), 192);
}

TEST(MaskBrush, StrokesBeginAndEndOutside) {
  const Mask mask = stroked(Mask(100, 100), {.radius = 5, .hardness = 1}, {{-300, 50.5}, {50, 50.5}, {900, 50.5}, {900, -900}});
  for (int64_t x = 0; x < 100; ++x) EXPECT_EQ(mask.at(x, 50), 255);
  EXPECT_EQ(painted(mask), 100 * 11) << "nothing but a bar of 5 pixels to each side";
}

TEST(MaskBrush, ErasingTakesBackWhatPaintingDid) {
  Mask full(300, 300);
  invert(full);
  EXPECT_EQ(painted(full), 300 * 300);
  const Brush eraser{.radius = 20, .hardness = 1, .ink = MaskInk::kErase};
  const Mask hole = stroked(full, eraser, {{150.5, 150.5}});
  EXPECT_EQ(hole.at(150, 150), 0);
  EXPECT_EQ(300 * 300 - painted(hole), painted(stroked(Mask(300, 300), {.radius = 20, .hardness = 1}, {{150.5, 150.5}})));
}

TEST(MaskBrush, OnlyTilesUnderTheStrokeAreTouched) {
  const Mask before(2048, 2048), after = stroked(before, {.radius = 20}, {{100, 100}, {200, 150}});
  EXPECT_EQ(after.different_tiles(before), 1u);
  EXPECT_LE(stroked(before, {.radius = 4}, {{10, 10}, {2040, 2040}}).different_tiles(before), 3u * 8) << "a diagonal of eight tiles, not all 64";
}

TEST(Mask, ATileThatIsTakenOverIsSharedUntilItIsPaintedOn) {
  const Mask from = stroked(Mask(600, 300), {.radius = 4}, {{300, 100}, {310, 100}});
  Mask to(600, 300);
  to.share_tile(1, 0, from);
  EXPECT_EQ(to.tile(1, 0), from.tile(1, 0));
  EXPECT_EQ(to.different_tiles(from), 0u);
  to.writable_tile(1, 0)[0] = 7;
  EXPECT_EQ(to.at(256, 0), 7);
  EXPECT_EQ(from.at(256, 0), 0);
}

TEST(MaskBrush, ShapesCoverWhatTheySay) {
  Mask mask(400, 300);
  fill_rectangle(mask, {110, 60}, {10, 20}, MaskInk::kPaint);
  EXPECT_EQ(painted(mask), 100 * 40);
  fill_rectangle(mask, {-50, -50}, {30, 30}, MaskInk::kErase);
  EXPECT_EQ(painted(mask), 100 * 40 - 20 * 10);
  Mask lasso(400, 300);
  fill_lasso(lasso, {{100, 100}, {300, 100}, {300, 200}, {100, 200}}, MaskInk::kPaint);
  EXPECT_EQ(painted(lasso), 200 * 100);
  Mask triangle(400, 300);
  fill_lasso(triangle, {{0, 0}, {200, 0}, {0, 200}}, MaskInk::kPaint);
  EXPECT_NEAR(static_cast<double>(painted(triangle)), 200 * 200 / 2.0, 110);
  Mask bow(400, 300);
  fill_lasso(bow, {{0, 0}, {200, 100}, {200, 0}, {0, 100}}, MaskInk::kPaint);
  EXPECT_NEAR(static_cast<double>(painted(bow)), 200 * 100 / 2.0, 210) << "a line that crosses itself";
  fill_lasso(bow, {{5, 5}, {9, 9}}, MaskInk::kErase);
}

TEST(MaskBrush, GradientsAreStraightAndOnlyAdd) {
  Mask mask(256, 40);
  fill_rectangle(mask, {200, 0}, {256, 40}, MaskInk::kPaint);
  fill_gradient(mask, {0, 20}, {128, 20}, MaskInk::kPaint);
  EXPECT_EQ(mask.at(0, 3), 254);
  EXPECT_NEAR(mask.at(64, 39), 127, 1);
  EXPECT_EQ(mask.at(130, 5), 0);
  EXPECT_EQ(mask.at(220, 5), 255) << "what was painted stays";
  fill_gradient(mask, {256, 0}, {200, 0}, MaskInk::kErase);
  EXPECT_LT(mask.at(255, 5), 4);
  EXPECT_GT(mask.at(201, 5), 245);
}

TEST(MaskBrush, AClosedRingIsFilledAndEmptied) {
  std::vector<MaskPoint> ring;
  for (int i = 0; i <= 60; ++i) ring.push_back({300 + 150 * std::cos(i * 0.10471976), 300 + 150 * std::sin(i * 0.10471976)});
  Mask mask = stroked(Mask(600, 600), {.radius = 8, .hardness = 0.5}, ring);
  fill_area(mask, {300, 300}, MaskInk::kPaint);
  EXPECT_EQ(mask.at(300, 300), 255);
  for (int64_t x = 300; x < 450; ++x) ASSERT_EQ(mask.at(x, 300), 255) << x << ": no seam at the ring's soft edge";
  EXPECT_EQ(mask.at(5, 5), 0);
  EXPECT_NEAR(static_cast<double>(painted(mask)), 156.0 * 156 * 3.14159, 2500);
  fill_area(mask, {300, 300}, MaskInk::kErase);
  EXPECT_EQ(painted(mask), 0);
  fill_area(mask, {-3, 900}, MaskInk::kPaint);
  EXPECT_EQ(painted(mask), 0);
}

TEST(MaskBrush, AThingIsPaintedWholeAndNothingElse) {
  // Three things on a map of half the size: a frame around the middle, the middle, and one pixel.
  InstanceMap map{300, 200, std::vector<uint16_t>(300 * 200, 0), 3};
  const auto put = [&](int64_t left, int64_t top, int64_t right, int64_t bottom, uint16_t thing) {
    for (int64_t y = top; y < bottom; ++y)
      for (int64_t x = left; x < right; ++x) map.things[static_cast<size_t>(y * 300 + x)] = thing;
  };
  put(50, 40, 150, 140, 7), put(80, 70, 120, 110, 300), put(299, 199, 300, 200, 2);
  Mask mask(600, 400);
  EXPECT_TRUE(fill_thing(mask, map, {110.5, 90.5}, MaskInk::kPaint));
  EXPECT_EQ(painted(mask), 4 * (100 * 100 - 40 * 40));
  EXPECT_EQ(mask.at(200, 180), 0) << "another thing in its middle";
  EXPECT_EQ(mask.at(100, 80), 255);
  EXPECT_EQ(mask.at(99, 80), 0);
  EXPECT_EQ(mask.tile(2, 1), nullptr) << "tiles without it are left alone";
  EXPECT_TRUE(fill_thing(mask, map, {200, 180}, MaskInk::kPaint));
  EXPECT_EQ(painted(mask), 4 * 100 * 100);
  EXPECT_TRUE(fill_thing(mask, map, {599.9, 399.9}, MaskInk::kPaint));
  EXPECT_EQ(painted(mask), 4 * 100 * 100 + 4);
  EXPECT_TRUE(fill_thing(mask, map, {110.5, 90.5}, MaskInk::kErase));
  EXPECT_EQ(painted(mask), 4 * 40 * 40 + 4);
  for (const MaskPoint nowhere : {MaskPoint{5, 5}, MaskPoint{-1, 20}, MaskPoint{600, 20}, MaskPoint{20, 400}}) EXPECT_FALSE(fill_thing(mask, map, nowhere, MaskInk::kPaint));
  EXPECT_FALSE(fill_thing(mask, {}, {5, 5}, MaskInk::kPaint));
}

TEST(MaskBrush, AMapOfThingsIsToldFromAMask) {
  const TemporaryFolder folder;
  at::Tensor values = at::zeros({4, 6});
  values[1][2] = 3.0 / 65535;
  values[2][2] = 12.0 / 65535;
  save_gray16(folder / "scene_instance.png", values);
  save_gray16(folder / "things.png", values);
  const auto map = load_instance_map(folder / "things.png");
  ASSERT_TRUE(map);
  EXPECT_EQ(map->count, 2);
  EXPECT_EQ(map->things[6 + 2], 3);
  EXPECT_EQ(map->things[2 * 6 + 2], 12);
  save_gray16(folder / "soft.png", at::linspace(0, 1, 24).view({4, 6}));
  EXPECT_FALSE(load_instance_map(folder / "soft.png")) << "a mask of 16 bits";
  save_image(folder / "mask.png", Image{6, 4, 1, std::vector<uint8_t>(24, 9)});
  EXPECT_FALSE(load_instance_map(folder / "mask.png"));
  save_image(folder / "other_instance.png", Image{6, 4, 1, std::vector<uint8_t>(24, 9)});
  EXPECT_TRUE(load_instance_map(folder / "other_instance.png")) << "said by its name";
  EXPECT_EQ(instance_map_beside(folder / "scene.png"), folder / "scene_instance.png");
  EXPECT_EQ(instance_map_beside(folder / "things.png"), "");
}

TEST(MaskBrush, GrowingAndShrinkingMoveTheEdgeByPixels) {
  Mask mask(500, 400);
  fill_rectangle(mask, {200, 150}, {300, 250}, MaskInk::kPaint);
  Mask wide = mask;
  grow(wide, 10);
  EXPECT_EQ(wide.at(190, 200), 255);
  EXPECT_EQ(wide.at(189, 200), 0);
  EXPECT_EQ(wide.at(192, 142), 0) << "corners are round";
  grow(wide, -10);
  EXPECT_NEAR(static_cast<double>(painted(wide)), 100 * 100, 60);
  Mask edge(100, 100);
  fill_rectangle(edge, {0, 0}, {50, 100}, MaskInk::kPaint);
  grow(edge, -10);
  EXPECT_EQ(painted(edge), 40 * 100) << "the picture's edge is no edge of the mask";
  Mask blank(100, 100);
  grow(blank, 10);
  grow(blank, -10);
  EXPECT_TRUE(blank.is_blank());
}

TEST(MaskBrush, FeatheringSoftensTheEdgeAndKeepsItsPlace) {
  Mask mask(300, 100);
  fill_rectangle(mask, {150, 0}, {300, 100}, MaskInk::kPaint);
  feather(mask, 12);
  EXPECT_NEAR(mask.at(149, 50) + mask.at(150, 50), 255, 2);
  EXPECT_GT(mask.at(144, 50), 20);
  EXPECT_LT(mask.at(120, 50), 2);
  EXPECT_EQ(mask.at(299, 0), 255);
}

TEST(MaskBrush, TheLatentViewIsWhatTheModelIsGiven) {
  Mask mask = stroked(Mask(640, 480), {.radius = 60, .hardness = 0}, {{100, 100}, {500, 300}, {620, 20}});
  for (const bool largest : {false, true}) {
    const Image cells = as_latent(mask, 512, 384, 8, largest);
    // As pipelines/generate does it: resized, gray, cut at half, reduced.
    const at::Tensor pixels = binary_mask(to_tensor(resize_lanczos(mask.to_image(), 512, 384)));
    const at::Tensor latent = mask_to_latent(pixels, 48, 64, largest ? MaskReduction::kLargest : MaskReduction::kNearest);
    EXPECT_EQ(cells.width, 64);
    EXPECT_TRUE(at::equal(binary_mask(to_tensor(cells)), latent)) << largest;
  }
}

TEST(MaskBrush, AStrokeIsOneStepThatIsTakenBackWhole) {
  Document document = new_document();
  UndoStack undo;
  const Mask blank(512, 512), after = stroked(blank, {.radius = 30}, {{100, 100}, {400, 400}});
  document.state().masks["mask"][0] = blank;
  undo.push(document, paint(document, "Paint stroke", "mask", 0, blank, after));
  const Mask more = stroked(after, {.radius = 10}, {{10, 400}});
  undo.push(document, paint(document, "Paint stroke", "mask", 0, after, more));
  EXPECT_EQ(undo.steps(), 2u);
  undo.undo(document);
  EXPECT_EQ(document.state().masks["mask"][0], after);
  undo.undo(document);
  EXPECT_TRUE(document.state().masks["mask"][0].is_blank());
  undo.redo(document);
  undo.redo(document);
  EXPECT_EQ(document.state().masks["mask"][0], more);
}

TEST(MaskBrush, ASampleOfAStrokeTakesLessThanAFrame) {
  // Two thousand pixels wide, a brush of a fifth of that: the pointer goes around, 20 pixels from sample to sample.
  Stroke stroke(Mask(2048, 2048), {.radius = 200, .hardness = 0.5});
  std::vector<double> times;
  for (int i = 0; i < 150; ++i) {
    const auto start = std::chrono::steady_clock::now();
    stroke.to({1024 + 600 * std::cos(i / 30.0), 1024 + 600 * std::sin(i / 30.0)});
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + 75, times.end());
  RecordProperty("median_ms", std::to_string(times[75]));
  EXPECT_LT(times[75], 8);
}

}  // namespace
}  // namespace attelier
