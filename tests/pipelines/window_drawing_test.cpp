#include "pipelines/recognize/window_drawing.h"

#include <gtest/gtest.h>

#include "tests/testing/errors.h"

namespace attelier {
namespace {

using Records = std::vector<std::pair<std::string, at::Tensor>>;

constexpr int64_t kRows = 2, kColumns = 3, kSize = 3, kStride = 4;

/// Two heads of 2 x 3 windows of 3 x 3 cells of 4 pixels, all where the default windows are: a picture of 36 x 24 pixels.
Records default_records(int64_t batch = 1) {
  at::Tensor rectangles = at::empty({batch, 2, kRows * kColumns, 4});
  for (int64_t g = 0; g < kRows * kColumns; ++g)
    rectangles.select(2, g).copy_(at::tensor({static_cast<double>(12 * (g % kColumns)) + 5.5, static_cast<double>(12 * (g / kColumns)) + 5.5, 6.0, 6.0}));
  return {{"windows.0.RC", rectangles},
          {"window_offsets.0.RC", at::zeros({batch, 2, 6, 2})},
          {"window_grid.0.RC", at::tensor({kRows, kColumns, kSize, int64_t{0}, int64_t{0}, kStride, kRows * kSize, kColumns * kSize}, at::kLong)}};
}

CellWindows windows_of(const Records& records) { return read_windows(records).at(0); }

Image flat_picture(int64_t width = 36, int64_t height = 24) { return {width, height, 3, std::vector<uint8_t>(static_cast<size_t>(width * height * 3), 100)}; }

/// How many pixels differ.
int64_t differences(const Image& a, const Image& b) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  int64_t count = 0;
  for (size_t i = 0; i < a.pixels.size() / 3; ++i)
    count += std::equal(a.pixels.begin() + static_cast<int64_t>(3 * i), a.pixels.begin() + static_cast<int64_t>(3 * i + 3),
                        b.pixels.begin() + static_cast<int64_t>(3 * i))
                 ? 0
                 : 1;
  return count;
}

TEST(WindowDrawing, DefaultWindowsSampleEachCellOnceForEachHead) {
  const CellWindows windows = windows_of(default_records());
  EXPECT_EQ(windows.cell, "0.RC");
  EXPECT_EQ(windows.heads(), 2);
  EXPECT_TRUE(at::allclose(coverage(windows), at::full({6, 9}, 2.0F)));
}

TEST(WindowDrawing, SamplesOutsideAreLost) {
  Records records = default_records();
  records[0].second.select(3, 0).add_(2 * kStride);  // two cells to the right
  const at::Tensor counts = coverage(windows_of(records));
  EXPECT_TRUE(at::allclose(counts.slice(1, 0, 2), at::zeros({6, 2})));
  EXPECT_TRUE(at::allclose(counts.slice(1, 2), at::full({6, 7}, 2.0F)));
  records[0].second.select(3, 0).add_(1000);
  EXPECT_EQ(coverage(windows_of(records)).sum().item<double>(), 0);
  records[0].second.fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(coverage(windows_of(records)).sum().item<double>(), 0);
  draw_windows(flat_picture(), windows_of(records));  // numbers that are none draw nothing, and break nothing
}

TEST(WindowDrawing, HalfwayBetweenCellsASampleCountsForBoth) {
  Records records = default_records();
  records[0].second.select(3, 1).add_(kStride / 2);
  const at::Tensor counts = coverage(windows_of(records));
  EXPECT_TRUE(at::allclose(counts[0], at::full({9}, 1.0F)));
  EXPECT_TRUE(at::allclose(counts[3], at::full({9}, 2.0F)));
}

TEST(WindowDrawing, JsonHoldsRectanglesAndTheirMeans) {
  Records records = default_records();
  at::Tensor first = records[0].second.select(1, 0);  // the first head's windows, [1,6,4]
  first.select(2, 0).add_(-12);                       // one window to the left
  first.select(2, 2).mul_(2);
  first.select(2, 3).mul_(-1);
  const nlohmann::json json = windows_json(read_windows(records)), head = json[0]["heads"][0], window = head["windows"][4];
  EXPECT_EQ(json[0]["cell"], "0.RC");
  EXPECT_EQ(json[0]["picture"], nlohmann::json({36, 24}));
  EXPECT_EQ(window["row"], 1);
  EXPECT_EQ(window["column"], 1);
  EXPECT_EQ(window["centre"], nlohmann::json({5.5, 17.5}));
  EXPECT_EQ(window["default_centre"], nlohmann::json({17.5, 17.5}));
  EXPECT_EQ(window["half_size"], nlohmann::json({12.0, -6.0}));
  EXPECT_NEAR(window["outside"].get<double>(), 0.25, 1e-6);  // from -6.5 to 17.5
  EXPECT_EQ(head["mean_scale"], nlohmann::json({2.0, -1.0}));
  EXPECT_NEAR(head["mean_offset"].get<double>(), 12, 1e-6);
  EXPECT_NEAR(head["mean_area_ratio"].get<double>(), 2, 1e-6);
  EXPECT_NEAR(json[0]["heads"][1]["mean_outside"].get<double>(), 0, 1e-6);
}

TEST(WindowDrawing, EachPartIsSeen) {
  const Image picture = flat_picture();
  const CellWindows still = windows_of(default_records());
  Records records = default_records();
  records[0].second.select(3, 0).add_(7);
  const CellWindows moved = windows_of(records);
  records[0].second = records[0].second * at::tensor({1.0, 1.0, -1.0, 1.0}, at::kFloat);
  const CellWindows mirrored = windows_of(records);
  const Image drawn = draw_windows(picture, still);
  EXPECT_GE(std::max(drawn.width, drawn.height), 36 * 8);
  EXPECT_GT(differences(drawn, draw_windows(picture, moved)), 1000);
  EXPECT_GT(differences(draw_windows(picture, moved), draw_windows(picture, mirrored)), 1000);     // hatched
  EXPECT_GT(differences(draw_windows(picture, moved, 0), draw_windows(picture, moved, 1)), 1000);  // another colour
  EXPECT_GT(differences(draw_query(picture, moved, 3, 20), draw_query(picture, moved, 20, 3)), 1000);
  EXPECT_EQ(differences(draw_coverage(picture, still), draw_coverage(picture, still)), 0);
  EXPECT_GT(differences(draw_coverage(picture, still), draw_coverage(picture, moved)), 1000);
}

TEST(WindowDrawing, WrongQuestionsAreRefused) {
  const CellWindows windows = windows_of(default_records());
  EXPECT_EQ(error_of([&] { draw_windows(flat_picture(24, 36), windows); }, "36 x 24"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { draw_windows(flat_picture(), windows, 2); }, "0 to 1"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { draw_query(flat_picture(), windows, 36, 0); }, "(36, 0)"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { read_windows(default_records(2), 2); }, "hold 2"), ExitCode::kBadInput);
  EXPECT_TRUE(read_windows({{"routes.0.0", at::zeros({1})}}).empty());
}

}  // namespace
}  // namespace attelier
