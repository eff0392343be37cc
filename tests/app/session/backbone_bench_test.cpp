// `attelier bench backbone` and the gathering forms that are its baseline.
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "app/session/gathered_attention.h"
#include "app/session/model_bench.h"
#include "core/base/files.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

at::Tensor map(int64_t rows, int64_t columns) { return at::randn({2, rows, columns, 3, 8}).permute({0, 3, 1, 2, 4}); }  // [B,H,rows,columns,D]

bool agrees(const kernels::RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return at::allclose(gathered_attention(q, k, v, attention), kernels::attend_regions(q, k, v, attention), 1e-4, 1e-5);
}

TEST(GatheredAttention, IsAttentionOfRegions) {
  at::manual_seed(3);
  const c10::NoGradGuard no_grad;
  kernels::RegionAttention attention;
  attention.grid = kernels::regions_over(11, 9, 3, 2);
  attention.scale = 0.3;
  attention.index = at::randint(0, attention.grid.regions(), {2, 1, attention.grid.regions(), 3});
  EXPECT_TRUE(agrees(attention, map(11, 9), map(11, 9), map(11, 9)));
  attention.index = at::randint(0, attention.grid.regions(), {2, 3, attention.grid.regions(), 2});
  attention.pair_bias = at::randn({3, 6, 12});
  EXPECT_TRUE(agrees(attention, map(11, 9), map(11, 9), map(11, 9)));
}

TEST(GatheredAttention, IsAttentionOfWindows) {
  at::manual_seed(4);
  const c10::NoGradGuard no_grad;
  kernels::RegionAttention attention;
  attention.grid = {3, 3, 4, 4, 1, 2};
  attention.points = kernels::window_points(attention.grid, at::randn({2, 3, 9, 2}) * 2, 1 + 0.3 * at::randn({2, 3, 9, 2}));
  attention.pair_bias = at::randn({3, 16, 16});
  EXPECT_TRUE(agrees(attention, map(11, 9), map(11, 9), map(11, 9)));
}

TEST(BackboneBench, CountsAndMeasuresBothForms) {
  const TemporaryFolder folder;
  write_file_atomically(
      folder.path() / "config.json",
      R"({"architecture": "biformer", "depth": [1, 1, 1, 1], "embed_dim": [8, 8, 16, 16], "head_dim": 8, "n_win": 2, "topks": [1, 2, 3, -2]})");
  BenchSettings settings;
  settings.what = "backbone";
  settings.height = 32;
  settings.width = 64;
  settings.repeat = 1;
  settings.with_baseline = true;
  const BenchResult result = bench_model(folder.path(), true, settings, {});
  EXPECT_GT(result.multiply_adds, 1e5);
  EXPECT_EQ(result.to_json()["multiply_adds"], result.multiply_adds);
  EXPECT_EQ(result.to_json()["baseline"]["name"], "torch");
  settings.height = 40;
  try {
    bench_model(folder.path(), true, settings, {});
    ADD_FAILURE() << "40 rows cannot be cut";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadInput);
  }
}

}  // namespace
}  // namespace attelier
