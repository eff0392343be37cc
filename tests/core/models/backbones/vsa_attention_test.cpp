#include "core/models/backbones/vsa_attention.h"

#include <gtest/gtest.h>

#include "tests/core/models/models_testing.h"
#include "tests/testing/errors.h"

namespace attelier {
namespace {

constexpr int64_t kIn = 12, kOut = 8, kHeads = 2, kWindow = 3;

at::Tensor draw(at::IntArrayRef shape, uint64_t seed) { return at::randn(shape, make_generator(seed)); }

/// An attention whose parameters a test can set.
struct Subject {
  explicit Subject(VsaStyle style = VsaStyle::kClassification, bool identity = false, int64_t in = kIn)
      : attention(in, kOut, kHeads, kWindow, style, identity) {
    attention.initialise(make_generator(5));
    value("relative_position_bias_table") = draw({(2 * kWindow - 1) * (2 * kWindow - 1), kHeads}, 6);
  }
  at::Tensor& value(const std::string& name) {
    for (const auto& [each, parameter] : attention.named_parameters())
      if (each == name) return parameter->value;
    throw std::out_of_range(name);
  }
  /// Regressions that answer these numbers everywhere: offsets and scales along x and y.
  void regress(double offset_x, double offset_y, double scale_x, double scale_y) {
    value("sampling_offsets.2.weight").zero_();
    value("sampling_scales.2.weight").zero_();
    value("sampling_offsets.2.bias") = at::tensor({offset_x, offset_y}, at::kFloat).repeat({kHeads});
    value("sampling_scales.2.bias") = at::tensor({scale_x, scale_y}, at::kFloat).repeat({kHeads});
  }
  void project_nothing() {
    value("proj.weight") = at::eye(kOut).view({kOut, kOut, 1, 1});
    value("proj.bias").zero_();
  }
  void share_all(Subject& other) {
    for (const auto& [name, parameter] : attention.named_parameters()) parameter->value = other.value(name).clone();
  }
  at::Tensor run(const at::Tensor& x) const { return attention.forward(x, {}); }
  /// Queries, keys or values as maps [B,heads,h,w,D].
  at::Tensor projected(const at::Tensor& x, int64_t which) {
    const at::Tensor y = at::linear(x, value("qkv.weight").flatten(1), value("qkv.bias"));
    return y.view({x.size(0), x.size(1), x.size(2), 3, kHeads, kOut / kHeads}).select(3, which).permute({0, 3, 1, 2, 4});
  }
  VsaAttention attention;
};

class VsaAttentionTest : public ModelTest {};

TEST_F(VsaAttentionTest, WithoutOffsetsAndScalesItIsPlainWindowAttention) {
  for (const VsaStyle style : {VsaStyle::kClassification, VsaStyle::kDetection})
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{9, 12}, {10, 7}, {5, 8}}) {
      Subject learned(style), identity(style, true);
      learned.regress(0, 0, 0, 0);
      identity.share_all(learned);
      const at::Tensor x = draw({3, rows, columns, kIn}, 7), y = learned.run(x);
      EXPECT_LT((y - identity.run(x)).abs().max().item<double>(), 1e-5);
      if (rows % kWindow + columns % kWindow > 0) continue;
      WindowAttention plain(kIn, kOut, kHeads, kWindow, true, 1 / std::sqrt(kIn / kHeads), true);
      for (const auto& [name, parameter] : plain.named_parameters()) parameter->value = learned.value(name).view(parameter->shape);
      EXPECT_LT((y - plain.forward(x, {})).abs().max().item<double>(), 1e-5);
    }
}

TEST_F(VsaAttentionTest, AScaleOfMinusOneSeesTheCentreAlone) {
  Subject subject;
  subject.regress(0, 0, -1, -1);
  subject.project_nothing();
  const at::Tensor x = draw({2, 6, 9, kIn}, 8), y = subject.run(x), v = subject.projected(x, 2).permute({0, 2, 3, 1, 4}).flatten(3);
  for (int64_t row = 0; row < 6; ++row)
    for (int64_t column = 0; column < 9; ++column) {
      const at::Tensor centre = v.select(1, row / kWindow * kWindow + 1).select(1, column / kWindow * kWindow + 1);
      EXPECT_LT((y.select(1, row).select(1, column) - centre).abs().max().item<double>(), 1e-5);
    }
}

/// The offset that moves windows by one, along one axis of a map of `cells` cells.
double one_window(int64_t cells) {
  const int64_t padded = (cells + kWindow - 1) / kWindow * kWindow;
  return 2.0 * kWindow * static_cast<double>(cells / kWindow) / static_cast<double>(padded - 1);
}

TEST_F(VsaAttentionTest, OffsetsOfAWindowSeeTheNextOneAndZerosBeyondTheMap) {
  for (const bool along_x : {true, false}) {
    const int64_t rows = 6, columns = 10;  // 2 x 4 windows, the last ones padded
    Subject subject;
    subject.regress(along_x ? one_window(columns) : 0, along_x ? 0 : one_window(rows), 0, 0);
    subject.project_nothing();
    const at::Tensor x = draw({2, rows, columns, kIn}, 9), y = subject.run(x);
    kernels::RegionAttention next;
    next.grid = kernels::regions_over(rows, columns, kWindow, kWindow);
    const at::Tensor window = at::arange(8, at::kLong), last = along_x ? window % 4 == 3 : window >= 4;
    next.index = at::where(last, window, window + (along_x ? 1 : 4)).view({1, 1, 8, 1});
    next.scale = 1 / std::sqrt(kIn / kHeads);
    const at::Tensor cells = at::arange(kWindow), distance = (cells.unsqueeze(1) - cells.unsqueeze(0) + kWindow - 1).to(at::kLong);
    next.pair_bias = at::empty({kHeads, 9, 9});
    for (int64_t q = 0; q < 9; ++q)
      for (int64_t k = 0; k < 9; ++k) {
        const int64_t entry = (q / 3 - k / 3 + kWindow - 1) * (2 * kWindow - 1) + q % 3 - k % 3 + kWindow - 1;
        next.pair_bias.select(1, q).select(1, k).copy_(subject.value("relative_position_bias_table").select(0, entry));
      }
    at::Tensor expected =
        kernels::attend_regions(subject.projected(x, 0), subject.projected(x, 1), subject.projected(x, 2), next).permute({0, 2, 3, 1, 4}).flatten(3).clone();
    along_x ? expected.slice(2, 9).zero_() : expected.slice(1, 3).zero_();
    EXPECT_LT((y - expected).abs().max().item<double>(), 1e-5) << (along_x ? "x" : "y");
  }
}

TEST_F(VsaAttentionTest, TheFirstOfEachPairIsX) {
  // A map that does not change from column to column.
  const at::Tensor x = draw({1, 9, 1, kIn}, 10).expand({1, 9, 15, kIn}).contiguous();
  Subject moved, still(VsaStyle::kClassification, true);
  moved.regress(0.8, 0, 0, 0);
  still.share_all(moved);
  const auto interior = [](const at::Tensor& y) { return y.slice(2, kWindow, 4 * kWindow); };
  EXPECT_LT((interior(moved.run(x)) - interior(still.run(x))).abs().max().item<double>(), 1e-5);
  moved.regress(0, 0.8, 0, 0);
  EXPECT_GT((interior(moved.run(x)) - interior(still.run(x))).abs().max().item<double>(), 1e-2);
}

TEST_F(VsaAttentionTest, DetectionSwapsTheDivisors) {
  // 6 x 12 cells are 2 x 4 windows.
  for (const VsaStyle style : {VsaStyle::kClassification, VsaStyle::kDetection}) {
    Subject subject(style);
    subject.regress(1, 1, 0.5, -0.25);
    LearnedWindows windows;
    WindowCall call;
    call.windows = &windows;
    subject.attention.forward(draw({1, 6, 12, kIn}, 11), {}, call);
    const double across = style == VsaStyle::kDetection ? 2 : 4, down = style == VsaStyle::kDetection ? 4 : 2;
    EXPECT_NEAR(windows.offsets[0][1][5][0].item<double>(), 11 / (2 * across), 1e-6);
    EXPECT_NEAR(windows.offsets[0][1][5][1].item<double>(), 5 / (2 * down), 1e-6);
    EXPECT_NEAR(windows.scales[0][1][5][0].item<double>(), 1.5, 1e-6);
    EXPECT_NEAR(windows.scales[0][1][5][1].item<double>(), 0.75, 1e-6);
  }
}

TEST_F(VsaAttentionTest, MapsSmallerThanAWindowAreRefused) {
  Subject subject;
  EXPECT_EQ(error_of([&] { subject.run(draw({1, 2, 6, kIn}, 12)); }, "2 x 6"), ExitCode::kBadInput);
}

}  // namespace
}  // namespace attelier
