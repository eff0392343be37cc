#include "core/models/upscalers/rgt_windows.h"

#include <cmath>

#include "core/weights/tensor_file.h"
#include "tests/core/models/upscalers/upscalers_testing.h"
#include "tests/kernels/gradients.h"

namespace attelier {
namespace {

class RgtWindows : public UpscalerTest {};

/// What the sheet of the network says, cell by cell: padded map, rolled, cut, -100 between cells of different edges.
at::Tensor by_loops(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const WindowLayout& layout, const at::Tensor& bias) {
  const int64_t batches = q.size(0), heads = q.size(1), rows = q.size(2), columns = q.size(3), depth = q.size(4);
  const auto padded = [&](int64_t n) { return (n + layout.multiple - 1) / layout.multiple * layout.multiple; };
  const int64_t tall = padded(rows), wide = padded(columns), shift_y = layout.shifted ? layout.height / 2 : 0, shift_x = layout.shifted ? layout.width / 2 : 0;
  const auto edge = [](int64_t place, int64_t size, int64_t window, int64_t shift) { return place < size - window ? 0 : place < size - shift ? 1 : 2; };
  at::Tensor o = at::zeros({batches, rows, columns, heads, v.size(4)}, at::kDouble);
  for (int64_t y = 0; y < tall; ++y)
    for (int64_t x = 0; x < wide; ++x) {  // a query's place in the rolled map
      const int64_t own_y = (y + shift_y) % tall, own_x = (x + shift_x) % wide;
      if (own_y >= rows || own_x >= columns) continue;
      const int64_t top = y / layout.height * layout.height, left = x / layout.width * layout.width, cell = (y - top) * layout.width + x - left;
      for (int64_t b = 0; b < batches; ++b)
        for (int64_t h = 0; h < heads; ++h) {
          at::Tensor logits = at::zeros({layout.height * layout.width}, at::kDouble), values = at::zeros({layout.height * layout.width, v.size(4)}, at::kDouble);
          for (int64_t i = 0; i < layout.height; ++i)
            for (int64_t j = 0; j < layout.width; ++j) {
              const int64_t key_y = (top + i + shift_y) % tall, key_x = (left + j + shift_x) % wide, n = i * layout.width + j;
              double z = bias[h][cell][n].item<double>();
              if (key_y < rows && key_x < columns) {
                z += (q[b][h][own_y][own_x] * k[b][h][key_y][key_x]).sum().item<double>() / std::sqrt(static_cast<double>(depth));
                values[n] = v[b][h][key_y][key_x];
              }
              const bool apart = layout.shifted && (edge(y, tall, layout.height, shift_y) != edge(top + i, tall, layout.height, shift_y) ||
                                                    edge(x, wide, layout.width, shift_x) != edge(left + j, wide, layout.width, shift_x));
              logits[n] = z + (apart ? -100 : 0);
            }
          o[b][own_y][own_x][h] = at::matmul(at::softmax(logits, 0), values);
        }
    }
  return o.flatten(3);
}

at::Tensor bias_of(const at::Tensor& table, const WindowLayout& layout, int64_t height, int64_t width) {
  const at::Tensor index = window_offset_index(layout.height, layout.width, height, width);
  return table.index_select(0, index.view(-1)).view({index.size(0), index.size(1), -1}).permute({2, 0, 1});
}

TEST_F(RgtWindows, EqualTheLoops) {
  struct Case {
    WindowLayout layout;
    int64_t rows, columns;
  };
  for (const auto& [layout, rows, columns] : {Case{{2, 6, 6, false}, 12, 6}, Case{{2, 6, 6, true}, 12, 12}, Case{{6, 2, 6, true}, 13, 8}, Case{{2, 6, 6, true}, 7, 11},
                                              Case{{4, 4, 4, true}, 5, 4}, Case{{3, 9, 9, true}, 10, 19}, Case{{8, 2, 8, true}, 3, 2}, Case{{2, 6, 6, false}, 5, 3}}) {
    const at::Generator generator = make_generator(5);
    const auto map = [&, rows = rows, columns = columns](int64_t width) { return at::randn({2, 2, rows, columns, width}, generator).to(at::kDouble); };
    const at::Tensor q = map(3), k = map(3), v = map(3), table = at::randn({(2 * layout.height - 1) * (2 * layout.width - 1), 2}, generator).to(at::kDouble);
    const at::Tensor o = attend_windows(q, k, v, layout, [&, &layout = layout](int64_t h, int64_t w) { return bias_of(table, layout, h, w); });
    const at::Tensor expected = by_loops(q, k, v, layout, bias_of(table, layout, layout.height, layout.width));
    EXPECT_LT(relative_error(o, expected), 1e-12) << rows << " x " << columns << ", windows " << layout.height << " x " << layout.width;
    const at::Tensor single = attend_windows(q.to(at::kFloat), k.to(at::kFloat), v.to(at::kFloat), layout,
                                             [&, &layout = layout](int64_t h, int64_t w) { return bias_of(table.to(at::kFloat), layout, h, w); });
    EXPECT_LT(relative_error(single, expected), 1e-5);
  }
}

TEST_F(RgtWindows, Gradients) {
  const WindowLayout layout{2, 4, 4, true};
  const at::Generator generator = make_generator(6);
  const auto map = [&] { return at::randn({1, 1, 5, 6, 2}, generator).to(at::kDouble); };
  const at::Tensor q = map(), k = map(), v = map(), table = at::randn({21, 1}, generator).to(at::kDouble);
  expect_gradients({q, k, v, table}, [&](const std::vector<at::Tensor>& in) {
    return attend_windows(in[0], in[1], in[2], layout, [&](int64_t h, int64_t w) { return bias_of(in[3], layout, h, w); });
  });
}

TEST_F(RgtWindows, OffsetsAndIndicesAreTheAuthors) {
  const auto file = open_tensors(std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/models/rgt/authors.pth");
  const std::string base = "params.layers.0.blocks.0.attn.attns.";
  EXPECT_TRUE(file->read(base + "0.rpe_biases").to(at::kFloat).equal(window_offsets(2, 4)));
  EXPECT_TRUE(file->read(base + "1.rpe_biases").to(at::kFloat).equal(window_offsets(4, 2)));
  EXPECT_TRUE(file->read(base + "0.relative_position_index").equal(window_offset_index(2, 4, 2, 4)));
  EXPECT_TRUE(file->read(base + "1.relative_position_index").equal(window_offset_index(4, 2, 4, 2)));
  EXPECT_EQ(window_offsets(8, 32).size(0), 945);
}

TEST_F(RgtWindows, PartsOfAWindowKeepTheirOffsets) {
  const at::Tensor whole = window_offset_index(8, 32, 8, 32).view({8, 32, 8, 32}), part = window_offset_index(8, 32, 4, 16).view({4, 16, 4, 16});
  EXPECT_TRUE(part.equal(whole.slice(0, 0, 4).slice(1, 0, 16).slice(2, 0, 4).slice(3, 0, 16)));
  EXPECT_TRUE(part.equal(whole.slice(0, 4, 8).slice(1, 16, 32).slice(2, 4, 8).slice(3, 16, 32)));
}

/// The authors' masks hide exactly the pairs that the parts of a window leave out.
TEST_F(RgtWindows, MasksAreTheAuthors) {
  const auto file = open_tensors(std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/models/rgt/authors.pth");
  for (const int64_t branch : {0, 1}) {
    const int64_t height = branch == 0 ? 2 : 4, width = branch == 0 ? 4 : 2;
    const at::Tensor mask = file->read(fmt::format("params.layers.0.blocks.2.attn.attn_mask_{}", branch)).to(at::kFloat);
    const at::Tensor q = at::zeros({1, 1, 64, 64, 1});
    // Every cell tells its number; with equal logits a query's output is the mean over the cells that it sees.
    const at::Tensor names = at::arange(64 * 64, at::kFloat).view({64, 64});
    const at::Tensor seen = attend_windows(q, q, names.view({1, 1, 64, 64, 1}), {height, width, 4, true}, [](int64_t h, int64_t w) { return at::zeros({1, h * w, h * w}); });
    const auto cut = [&](const at::Tensor& map) {
      return map.roll({-height / 2, -width / 2}, {0, 1}).view({64 / height, height, 64 / width, width}).permute({0, 2, 1, 3}).reshape({-1, height * width});
    };
    const at::Tensor visible = (mask == 0).to(at::kFloat), rolled = cut(names);
    const at::Tensor expected = at::matmul(visible, rolled.unsqueeze(2)).squeeze(2) / visible.sum(2);
    EXPECT_LT(relative_error(cut(seen.view({64, 64})), expected), 1e-5) << branch;
  }
}

}  // namespace
}  // namespace attelier
