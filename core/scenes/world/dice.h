// Counter-based random numbers: each is a hash of (seed, counter), so streams never depend on the order in which others are read.
#pragma once

#include <cstdint>
#include <span>

namespace attelier::world {

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
inline uint64_t mix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}
inline uint64_t mix64(uint64_t a, uint64_t b) { return mix64(a + 0x9e3779b97f4a7c15ull * (b + 1)); }
/// [0, 1) with 24 bits.
inline float unit_float(uint64_t bits) { return static_cast<float>(bits >> 40) * 0x1p-24f; }

class Dice {
 public:
  explicit Dice(uint64_t seed, uint64_t stream = 0) : key_(mix64(mix64(seed, stream), 0xd1ce)) {}
  uint64_t next() { return mix64(key_, ++counter_); }
  /// [0, 1)
  float uniform() { return unit_float(next()); }
  float uniform(float a, float b) { return a + (b - a) * uniform(); }
  bool chance(float probability) { return uniform() < probability; }
  /// 0 .. n-1; n > 0
  int below(int n) { return static_cast<int>((next() >> 32) * static_cast<uint64_t>(n) >> 32); }
  template <typename T, size_t N>
  const T& pick(const T (&values)[N]) { return values[below(static_cast<int>(N))]; }
  template <typename Container>
  auto pick(const Container& values) { return values[static_cast<size_t>(below(static_cast<int>(values.size())))]; }
  /// Its own stream, independent of what is drawn here.
  Dice fork(uint64_t stream) const { return Dice(key_, stream); }

 private:
  uint64_t key_, counter_ = 0;
};

}  // namespace attelier::world
