// Group normalisation and GEGLU for one instruction set.
#pragma once

#include "kernels/cpu/activations.h"
#include "kernels/cpu/layer_call.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

/// The first value of a channel: close to its mean, so that squares of the differences lose nothing.
template <typename Type>
ATTELIER_INLINE Vector pivot_of(const GroupNormCall& c, int64_t batch, int64_t channel, Lanes<Type> lanes) {
  return lanes.load_at(static_cast<const typename Type::Stored*>(c.x) + batch * c.positions * c.channels + channel);
}

ATTELIER_INLINE float shift_of(const GroupNormCall& c, int64_t batch, int64_t channel) { return c.shift != nullptr ? c.shift[batch * c.channels + channel] : 0.0f; }

template <typename Type>
void sums_of(const GroupNormCall& c, int64_t begin, int64_t end) {
  constexpr int kVectors = 4;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t batch = task / c.chunks, first = task % c.chunks * c.chunk;
    const int64_t count = smaller(c.chunk, c.positions - first);
    const auto* x = static_cast<const typename Type::Stored*>(c.x) + (batch * c.positions + first) * c.channels;
    float* sums = c.sums + task * 2 * c.channels;
    int64_t channel = 0;
    for (; channel + kVectors * kLanes <= c.channels; channel += kVectors * kLanes) {
      Vector pivot[kVectors], sum[kVectors] = {}, square[kVectors] = {};
      for (int v = 0; v < kVectors; ++v) pivot[v] = pivot_of<Type>(c, batch, channel + v * kLanes, {kLanes});
      for (int64_t i = 0; i < count; ++i)
        for (int v = 0; v < kVectors; ++v) {
          const Vector value = Type::load_lanes(x + i * c.channels + channel + v * kLanes) - pivot[v];
          sum[v] += value;
          square[v] += value * value;
        }
      for (int v = 0; v < kVectors; ++v) {
        Float32::store_lanes(sums + channel + v * kLanes, sum[v]);
        Float32::store_lanes(sums + c.channels + channel + v * kLanes, square[v]);
      }
    }
    for (; channel < c.channels; channel += kLanes) {
      const int64_t width = smaller(kLanes, c.channels - channel);
      const Lanes<Type> lanes{width};
      const Vector pivot = pivot_of<Type>(c, batch, channel, lanes);
      Vector sum = {}, square = {};
      for (int64_t i = 0; i < count; ++i) {
        const Vector value = lanes.load_at(x + i * c.channels + channel) - pivot;
        sum += value;
        square += value * value;
      }
      Lanes<Float32>{width}.store_at(sums + channel, sum);
      Lanes<Float32>{width}.store_at(sums + c.channels + channel, square);
    }
  }
}

/// Mean of x + shift over the positions of a channel, and the sum of the squares around it.
struct Moments {
  double mean, squares;
};

template <typename Type>
Moments moments_of(const GroupNormCall& c, int64_t batch, int64_t channel) {
  double sum = 0, square = 0;
  for (int64_t chunk = 0; chunk < c.chunks; ++chunk) {
    const float* sums = c.sums + (batch * c.chunks + chunk) * 2 * c.channels;
    sum += static_cast<double>(sums[channel]);
    square += static_cast<double>(sums[c.channels + channel]);
  }
  const auto positions = static_cast<double>(c.positions);
  const auto pivot = static_cast<double>(pivot_of<Type>(c, batch, channel, Lanes<Type>{1})[0]);
  const double spread = square - sum * sum / positions;
  return {pivot + sum / positions + static_cast<double>(shift_of(c, batch, channel)), spread > 0 ? spread : 0};
}

template <typename Type>
void factors_of(const GroupNormCall& c, int64_t begin, int64_t end) {
  const int64_t width = c.channels / c.groups;
  for (int64_t batch = begin; batch < end; ++batch)
    for (int64_t first = 0; first < c.channels; first += width) {
      double mean = 0, squares = 0;
      for (int64_t channel = first; channel < first + width; ++channel) mean += moments_of<Type>(c, batch, channel).mean / static_cast<double>(width);
      for (int64_t channel = first; channel < first + width; ++channel) {
        const Moments own = moments_of<Type>(c, batch, channel);
        squares += own.squares + static_cast<double>(c.positions) * (own.mean - mean) * (own.mean - mean);
      }
      const double scale = 1.0 / __builtin_sqrt(squares / static_cast<double>(c.positions * width) + static_cast<double>(c.epsilon));
      float* factor = c.factors + batch * 2 * c.channels;
      for (int64_t channel = first; channel < first + width; ++channel) {
        const double own = scale * static_cast<double>(c.weight[channel]);
        factor[channel] = static_cast<float>(own);
        factor[c.channels + channel] = static_cast<float>(static_cast<double>(c.bias[channel]) + (static_cast<double>(shift_of(c, batch, channel)) - mean) * own);
      }
    }
}

template <typename Type, bool kSilu>
void apply_to(const GroupNormCall& c, int64_t begin, int64_t end) {
  for (int64_t task = begin; task < end; ++task) {
    const int64_t batch = task / c.chunks, first = task % c.chunks * c.chunk;
    const int64_t count = smaller(c.chunk, c.positions - first);
    const float* factor = c.factors + batch * 2 * c.channels;
    const float* offset = factor + c.channels;
    const int64_t start = (batch * c.positions + first) * c.channels;
    const auto* x = static_cast<const typename Type::Stored*>(c.x) + start;
    auto* y = static_cast<typename Type::Stored*>(c.y) + start;
    for (int64_t i = 0; i < count; ++i, x += c.channels, y += c.channels)
      for (int64_t channel = 0; channel < c.channels; channel += kLanes) {
        const int64_t width = smaller(kLanes, c.channels - channel);
        const Lanes<Float32> floats{width};
        const Lanes<Type> lanes{width};
        const Vector value = lanes.load_at(x + channel) * floats.load_at(factor + channel) + floats.load_at(offset + channel);
        lanes.store_at(y + channel, kSilu ? silu(value) : value);
      }
  }
}

template <typename Type>
void gated_gelu_of(const GatedGeluCall& c, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const auto* x = static_cast<const typename Type::Stored*>(c.x) + row * 2 * c.width;
    auto* y = static_cast<typename Type::Stored*>(c.y) + row * c.width;
    for (int64_t i = 0; i < c.width; i += kLanes) {
      const Lanes<Type> lanes{smaller(kLanes, c.width - i)};
      lanes.store_at(y + i, lanes.load_at(x + i) * gelu(lanes.load_at(x + c.width + i)));
    }
  }
}

inline void group_norm_sums(const GroupNormCall& c, int64_t begin, int64_t end) {
  if (c.element == Element::kFloat32) return sums_of<Float32>(c, begin, end);
  sums_of<BFloat16>(c, begin, end);
}

inline void group_norm_factors(const GroupNormCall& c, int64_t begin, int64_t end) {
  if (c.element == Element::kFloat32) return factors_of<Float32>(c, begin, end);
  factors_of<BFloat16>(c, begin, end);
}

inline void group_norm_apply(const GroupNormCall& c, int64_t begin, int64_t end) {
  if (c.element == Element::kFloat32) return c.silu ? apply_to<Float32, true>(c, begin, end) : apply_to<Float32, false>(c, begin, end);
  c.silu ? apply_to<BFloat16, true>(c, begin, end) : apply_to<BFloat16, false>(c, begin, end);
}

inline void gated_gelu(const GatedGeluCall& c, int64_t begin, int64_t end) {
  if (c.element == Element::kFloat32) return gated_gelu_of<Float32>(c, begin, end);
  gated_gelu_of<BFloat16>(c, begin, end);
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
