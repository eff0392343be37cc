// Bilinear samples of maps: the neighbours of a position and their weights.
#pragma once

#include "kernels/cuda/machine.h"

namespace attelier::kernels::cuda {

/// The cells around a position, [row][column] = 2 * row + column. Neighbours of weight 0 name a cell of positive weight, so that only cells that count are
/// read: none outside the map, and one alone at whole coordinates.
struct Taps {
  int y[2], x[2];
  float weight[4];
};

/// Cells first and first + 1 on an axis of `size` cells, of which one at least lies in it, `shift` past the first.
ATTELIER_DEVICE void taps_on_axis(int first, float shift, int size, int* cell, float* weight) {
  weight[0] = first < 0 ? 0 : 1 - shift;
  weight[1] = first + 1 >= size ? 0 : shift;
  cell[0] = weight[0] > 0 ? first : first + 1;
  cell[1] = weight[1] > 0 ? first + 1 : first;
}

/// False where every neighbour lies outside the map, or the position is not a number.
ATTELIER_DEVICE bool find_taps(float x, float y, int rows, int columns, Taps& taps) {
  if (!(x > -1 && x < static_cast<float>(columns) && y > -1 && y < static_cast<float>(rows))) return false;
  const float left = floor_of(x), top = floor_of(y);
  float across[2], down[2];
  taps_on_axis(static_cast<int>(left), x - left, columns, taps.x, across);
  taps_on_axis(static_cast<int>(top), y - top, rows, taps.y, down);
  ATTELIER_UNROLL
  for (int i = 0; i < 4; ++i) taps.weight[i] = down[i / 2] * across[i % 2];
  return true;
}

}  // namespace attelier::kernels::cuda
