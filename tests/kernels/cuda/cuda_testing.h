// Sizes and devices for the tests of the CUDA kernels, on the emulator and on a GPU.
#pragma once

#include "tests/kernels/random_cases.h"

namespace attelier::kernels::cuda {

/// Around the tiles of 16, 32, 64 and 128, and widths of every kernel.
inline Sizes tile_sizes(Generator& g) {
  Sizes s;
  s.batches = 1 + g.below(2);
  s.key_heads = 1 + g.below(2);
  s.heads = s.key_heads * (1 + g.below(2));
  s.queries = g.one_in(8) ? g.any_of<int64_t>({63, 64, 65, 77, 129}) : 1 + g.below(20);
  s.keys = g.one_in(3) ? g.any_of<int64_t>({15, 49, 64, 77, 128, 129, 154}) : 1 + g.below(40);
  s.depth = g.one_in(3) ? g.any_of<int64_t>({64, 80, 96, 128, 160, 256}) : g.any_of<int64_t>({8, 15, 16, 17, 30, 32, 40, 48});
  s.value_depth = g.one_in(2) ? s.depth : g.any_of<int64_t>({8, 15, 30, 40, 64, 129});
  return s;
}

/// Around the tiles of 96 and 128 keys and the blocks of 64 and 128 queries of compute capability 9.0, in widths of its kernels.
inline Sizes warpgroup_sizes(Generator& g) {
  Sizes s;
  s.batches = 1 + g.below(2);
  s.key_heads = 1 + g.below(2);
  s.heads = s.key_heads * (1 + g.below(2));
  s.queries = g.one_in(2) ? g.any_of<int64_t>({65, 127, 128, 129, 192}) : 65 + g.below(40);
  s.keys = g.one_in(2) ? g.any_of<int64_t>({129, 154, 191, 192, 193}) : 129 + g.below(70);
  s.depth = 8 * (1 + g.below(20));
  s.value_depth = g.one_in(2) ? s.depth : 8 * (1 + g.below(20));
  return s;
}

/// float32 logits of 1e4 and more, in log2 units, are rounded to 1e-3; probabilities follow.
inline double rounding_of_large_logits(const Case& c) { return c.large ? 1e-4 : 0; }

}  // namespace attelier::kernels::cuda
