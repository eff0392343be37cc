#include "core/models/upscalers/upscale_rows.h"

#include <limits>

#include "tests/core/models/upscalers/upscalers_testing.h"

namespace attelier {
namespace {

constexpr UpscaleTiles kTiles{.side = 32, .overlap = 16, .fade = 4, .alignment = 16};

class UpscaleRows : public UpscalerTest {
 protected:
  at::Tensor run(const at::Tensor& picture, int64_t scale, const UpscaleTile& model, const UpscaleTiles& tiles = kTiles, const Context& context = {}) {
    std::vector<at::Tensor> rows;
    const UpscaleSource source{picture.size(2), picture.size(3), [&](int64_t top, int64_t bottom) { return picture[0].slice(1, top, bottom); }};
    upscale_rows(source, scale, tiles, 16, model, [&](const at::Tensor& part) { rows.push_back(part.clone()); }, context);
    bands_ = rows.size();
    return at::cat(rows, 1).unsqueeze(0);
  }
  size_t bands_ = 0;
};

at::Tensor nearest(const at::Tensor& x, int64_t scale) { return at::upsample_nearest2d(x, {scale * x.size(2), scale * x.size(3)}); }

TEST_F(UpscaleRows, SharesOfTilesAddUpToOne) {
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {3, 70}, {64, 64}, {65, 64}, {100, 133}, {96, 200}, {97, 35}, {131, 67}, {16, 500}, {15, 66}}) {
    for (const int64_t scale : {2, 3}) {
      const at::Tensor picture = random_picture(1, 1, height, width);
      const at::Tensor result = run(picture, scale, [&](const at::Tensor& tile) {
        EXPECT_GE(std::min(tile.size(2), tile.size(3)), 16);
        return nearest(tile, scale);
      });
      EXPECT_LT(relative_error(result, nearest(picture, scale)), 1e-6) << height << " x " << width;
    }
  }
}

TEST_F(UpscaleRows, TilesSeeTheirSurroundings) {
  // Sees 12 pixels around its own, the overlap less the fade: nothing of the cuts can be in the result.
  const at::Tensor kernel = at::rand({3, 1, 25, 25}, make_generator(2)) / 625;
  const UpscaleTile model = [&](const at::Tensor& tile) { return nearest(at::conv2d(tile, kernel, {}, at::IntArrayRef({1, 1}), at::IntArrayRef({12, 12}), at::IntArrayRef({1, 1}), 3), 2); };
  const at::Tensor picture = random_picture(3, 1, 150, 170);
  EXPECT_LT(relative_error(run(picture, 2, model), model(picture)), 1e-6);
  EXPECT_GT(bands_, 3U);
}

TEST_F(UpscaleRows, OverlapsMayBeLargerThanTiles) {
  const at::Tensor picture = random_picture(9, 1, 75, 90);
  const UpscaleTiles tiles{.side = 16, .overlap = 32, .fade = 8, .alignment = 16};
  EXPECT_LT(relative_error(run(picture, 2, [](const at::Tensor& tile) { return nearest(tile, 2); }, tiles), nearest(picture, 2)), 1e-6);
}

TEST_F(UpscaleRows, TilesBeginWhereWindowsBegin) {
  const at::Tensor columns = at::arange(200, at::kFloat).expand({1, 3, 170, 200});
  run(columns, 2, [](const at::Tensor& tile) {
    EXPECT_EQ(tile[0][0][0][0].item<int64_t>() % 16, 0);
    return nearest(tile, 2);
  });
}

TEST_F(UpscaleRows, OneTileIsTheModelBitForBit) {
  Rgt model(tiny_config());
  fill_seeded(model, 4);
  const at::Tensor picture = random_picture(5, 1, 40, 64);
  EXPECT_TRUE(run(picture, 2, [&](const at::Tensor& tile) { return model.forward(tile, {}); }).equal(model.forward(picture, {})));
}

TEST_F(UpscaleRows, SelfEnsembleTurnsBack) {
  const at::Tensor picture = random_picture(6, 1, 20, 31);
  int64_t calls = 0;
  const UpscaleTile model = [&](const at::Tensor& tile) {
    ++calls;
    return nearest(tile, 3);
  };
  EXPECT_LT(relative_error(self_ensemble(model)(picture), nearest(picture, 3)), 1e-6);
  EXPECT_EQ(calls, 8);
  // A model that adds a ramp to the right has none left: its mirror images take it away.
  const UpscaleTile biased = [](const at::Tensor& tile) { return nearest(tile, 2) + at::arange(2 * tile.size(3), at::kFloat) - (2 * static_cast<double>(tile.size(3)) - 1) / 2; };
  EXPECT_LT(relative_error(self_ensemble(biased)(picture), nearest(picture, 2)), 1e-5);
}

TEST_F(UpscaleRows, ReportsAndStops) {
  std::stop_source stop;
  int64_t last = 0, total = 0;
  Context context;
  context.stop = stop.get_token();
  context.progress = [&](const Progress& report) {
    last = report.done, total = report.total;
    if (report.done == 5) stop.request_stop();
  };
  EXPECT_THROW(run(random_picture(7, 1, 150, 150), 2, [](const at::Tensor& tile) { return nearest(tile, 2); }, kTiles, context), Interrupted);
  EXPECT_EQ(last, 5);
  EXPECT_EQ(total, 25);
}

TEST_F(UpscaleRows, RefusesResultsThatAreNoNumbers) {
  const UpscaleTile model = [](const at::Tensor& tile) { return nearest(tile, 2) * std::numeric_limits<double>::quiet_NaN(); };
  EXPECT_EQ(error_of([&] { run(random_picture(8, 1, 20, 20), 2, model); }, "NaN or Inf"), ExitCode::kNumerical);
}

}  // namespace
}  // namespace attelier
