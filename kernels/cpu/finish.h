// What follows the last tile of a strip: the class coefficients of step 6, the weights of sources, O and L.
#pragma once

#include <cmath>

#include "kernels/cpu/strip.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

/// Per query of a strip and segment, [segments][kStrip].
struct Coefficients {
  float output[kClasses * kStrip];  // O = sum over segments of output * (the strip's o)
  float pre[kClasses * kStrip];     // P = pre * exp(z - highest)
  float post[kClasses * kStrip];    // P' = post * gain * the same
};

/// Keys of visual classes 1 and 3 in the sources that batch row b has.
struct VisualCount {
  int64_t visual, sinks;
};

inline VisualCount count_visual_keys(const Call& c, int64_t b) {
  VisualCount count = {};
  for (int s = 0; s < c.source_count; ++s) {
    const SourceView& source = c.sources[s];
    if ((source.batch_map && source.batch_map[b] < 0) || source.key_class == nullptr) continue;
    for (int64_t j = 0; j < source.length; ++j) {
      const uint8_t key_class = source.key_class[b * source.class_batch + j * source.class_key];
      count.visual += key_class == 1 || key_class == 3;
      count.sinks += key_class == 3;
    }
  }
  return count;
}

/// Visual redistribution of one query: masses M of the four classes -> g.
inline void redistribute(const RedistributionView& rule, const VisualCount& count, bool head_on, int64_t row, const float* mass, float* gain) {
  for (int k = 0; k < kClasses; ++k) gain[k] = 1;
  const float visual = mass[1] + mass[3];
  if (!head_on || row < rule.row_from || count.sinks == 0 || mass[1] == 0) return;
  if (mass[3] / (visual + static_cast<float>(count.visual) * rule.eps) > 1 - rule.rho_nonsink || visual < rule.min_vis_mass) return;
  gain[2] = gain[3] = rule.keep;
  gain[1] = 1 + (1 - rule.keep) * (mass[2] + mass[3]) / mass[1];
}

ATTELIER_INLINE float inverse(float x) { return x == 0 ? 0 : 1 / x; }

inline void coefficients_of_classes(const Call& c, const Strip& strip, const VisualCount& count, Coefficients& out) {
  const bool head_on = c.visual.heads == nullptr || c.visual.heads[strip.h] != 0;
  for (int64_t i = 0; i < strip.rows; ++i) {
    float top = -kInfinity, mass[kClasses], gain[kClasses], total = 0;
    for (int k = 0; k < kClasses; ++k) top = strip.highest[k * kStrip + i] > top ? strip.highest[k * kStrip + i] : top;
    for (int k = 0; k < kClasses; ++k) {
      const float highest = strip.highest[k * kStrip + i];
      out.pre[k * kStrip + i] = highest == -kInfinity ? 0 : std::exp(highest - top);
      mass[k] = strip.sum[k * kStrip + i] * out.pre[k * kStrip + i];
      total += mass[k];
    }
    for (int k = 0; k < kClasses; ++k) {
      out.pre[k * kStrip + i] *= inverse(total);
      mass[k] *= inverse(total);
    }
    redistribute(c.visual, count, head_on, strip.first + i, mass, gain);
    for (int k = 0; k < kClasses; ++k) out.output[k * kStrip + i] = out.post[k * kStrip + i] = gain[k] * out.pre[k * kStrip + i];
  }
}

inline void coefficients_of_sources(const Call& c, const Strip& strip, Coefficients& out) {
  for (int s = 0; s < segment_count(c); ++s) {
    const Factors& weight = c.sources[s].blend_weight;
    for (int64_t i = 0; i < strip.rows; ++i) {
      const int64_t at = s * kStrip + i;
      out.pre[at] = inverse(strip.sum[at]);
      out.post[at] = c.renorm ? inverse(strip.gained_sum[at]) : out.pre[at];
      out.output[at] = out.post[at];
      if (c.blend) out.output[at] *= weight.data[strip.b * weight.batch + strip.h * weight.head + (strip.first + i) * weight.item];
    }
  }
}

/// L, over all segments.
inline void write_lse(const Call& c, const Strip& strip) {
  float* const lse = c.lse + (strip.b * c.heads + strip.h) * c.rows + strip.first;
  const int segments = segment_count(c);
  for (int64_t i = 0; i < strip.rows; i += kLanes) {
    Vector top = splat(-kInfinity), sum = {};
    for (int s = 0; s < segments; ++s) top = maximum(top, load(strip.highest + s * kStrip + i));
    const Vector finite = top == -kInfinity ? Vector{} : top;  // -inf - -inf is NaN
    for (int s = 0; s < segments; ++s) sum += load(strip.sum + s * kStrip + i) * exp_of_nonpositive(load(strip.highest + s * kStrip + i) - finite);
    const Vector value = top == -kInfinity ? top : top + log_of_positive(sum);
    Lanes<Float32>{smaller(kLanes, strip.rows - i)}.store_at(lse + i, value);
  }
}

/// O of the strip's queries, combined in the memory of the first segment.
inline void write_outputs(const Call& c, Strip& strip, const Coefficients& coefficients) {
  const int segments = segment_count(c);
  for (int v = 0; v < strip.vectors; ++v) {
    const int64_t count = smaller(kLanes, strip.rows - v * kLanes);
    Vector factor[kClasses];
    for (int s = 0; s < segments; ++s) factor[s] = load(coefficients.output + s * kStrip + v * kLanes);
    for (int64_t d = 0; d < c.value_depth; ++d) {
      Vector sum = {};
      for (int s = 0; s < segments; ++s)
        if (strip.started[s]) sum += factor[s] * load(strip.o + (s * c.value_depth + d) * kStrip + v * kLanes);
      store(strip.o + d * kStrip + v * kLanes, sum);
    }
    char* rows[kLanes];
    for (int64_t i = 0; i < count; ++i) rows[i] = static_cast<char*>(strip.output[v * kLanes + i]);
    lanes_to_rows(strip.o + v * kLanes, kStrip, c.value_depth, count, c.element, rows);
  }
}

inline void finish(const Call& c, Strip& strip, const VisualCount& count, Coefficients& coefficients) {
  if (strip.rows < kStrip) coefficients = {};  // lanes without a query
  if (c.visual.on) coefficients_of_classes(c, strip, count, coefficients);
  else coefficients_of_sources(c, strip, coefficients);
  if (c.lse) write_lse(c, strip);
  if (c.o) write_outputs(c, strip, coefficients);
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
