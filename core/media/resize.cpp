// Pillow's Resample.c semantics (8 bits per channel), so that preparation of pictures agrees with the Python pipelines to the bit.
// The horizontal pass comes first, as in every release up to 12; Pillow 13 begins with the vertical one where that saves work.
#include <cmath>
#include <numbers>

#include "core/base/error.h"
#include "core/media/image.h"
#include "core/media/resample.h"
#include "kernels/parallel.h"

namespace attelier {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;  // of the fixed-point weights: 8 bits of pixel and 2 of overshoot fit above

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos3(double x) { return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0; }

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

struct Kernel {
  double (*weight)(double);
  double support;
};

Kernel kernel_of(Resampling resampling) {
  switch (resampling) {
    case Resampling::kBilinear: return {triangle, 1};
    case Resampling::kBicubic: return {cubic, 2};
    case Resampling::kLanczos: return {lanczos3, 3};
  }
  return {lanczos3, 3};
}

// The weights of each output position: taps of output i are weights[i * taps ...] for inputs first[i] ... first[i] + count[i] - 1.
struct Filter {
  int64_t taps = 0;
  std::vector<int64_t> first, count;
  std::vector<int32_t> weights;
};

Filter make_filter(int64_t in, int64_t out, const Kernel& kernel) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double filter_scale = std::max(scale, 1.0);
  const double support = kernel.support * filter_scale;
  Filter filter;
  filter.taps = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  filter.first.resize(static_cast<size_t>(out));
  filter.count.resize(static_cast<size_t>(out));
  filter.weights.resize(static_cast<size_t>(out * filter.taps));
  std::vector<double> row(static_cast<size_t>(filter.taps));
  for (int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const double inverse = 1.0 / filter_scale;
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
    const int64_t count = std::min<int64_t>(static_cast<int64_t>(centre + support + 0.5), in) - first;
    double sum = 0;
    for (int64_t x = 0; x < count; ++x) {
      const double weight = kernel.weight((static_cast<double>(x + first) - centre + 0.5) * inverse);
      row[static_cast<size_t>(x)] = weight;
      sum += weight;
    }
    int32_t* target = filter.weights.data() + i * filter.taps;
    for (int64_t x = 0; x < count; ++x) {
      const double weight = sum != 0 ? row[static_cast<size_t>(x)] / sum : row[static_cast<size_t>(x)];
      target[x] = static_cast<int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kPrecisionBits));
    }
    filter.first[static_cast<size_t>(i)] = first;
    filter.count[static_cast<size_t>(i)] = count;
  }
  return filter;
}

uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255)); }

template <int kChannels>
void resize_rows(const Image& in, const Filter& filter, Image& out) {
  kernels::parallel_ranges(in.height, 16, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const uint8_t* row = in.pixels.data() + y * in.width * kChannels;
      uint8_t* target = out.pixels.data() + y * out.width * kChannels;
      for (int64_t i = 0; i < out.width; ++i, target += kChannels) {
        const int32_t* weights = filter.weights.data() + i * filter.taps;
        const uint8_t* pixel = row + filter.first[static_cast<size_t>(i)] * kChannels;
        int32_t sums[kChannels];
        std::fill_n(sums, kChannels, 1 << (kPrecisionBits - 1));
        for (int64_t x = 0; x < filter.count[static_cast<size_t>(i)]; ++x, pixel += kChannels) {
          for (int c = 0; c < kChannels; ++c) sums[c] += pixel[c] * weights[x];
        }
        for (int c = 0; c < kChannels; ++c) target[c] = rounded(sums[c]);
      }
    }
  });
}

void resize_columns(const Image& in, const Filter& filter, Image& out) {
  const int64_t stride = in.width * in.channels;
  kernels::parallel_ranges(out.height, 4, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> sums(static_cast<size_t>(stride));
    for (int64_t i = begin; i < end; ++i) {
      std::fill(sums.begin(), sums.end(), 1 << (kPrecisionBits - 1));
      for (int64_t y = 0; y < filter.count[static_cast<size_t>(i)]; ++y) {
        const int32_t weight = filter.weights[static_cast<size_t>(i * filter.taps + y)];
        const uint8_t* row = in.pixels.data() + (filter.first[static_cast<size_t>(i)] + y) * stride;
        for (int64_t x = 0; x < stride; ++x) sums[static_cast<size_t>(x)] += row[x] * weight;
      }
      uint8_t* target = out.pixels.data() + i * stride;
      for (int64_t x = 0; x < stride; ++x) target[x] = rounded(sums[static_cast<size_t>(x)]);
    }
  });
}

Image empty_like(const Image& image, int64_t width, int64_t height) {
  Image result{width, height, image.channels, {}};
  result.pixels.resize(static_cast<size_t>(width * height * image.channels));
  return result;
}

// RGBA is filtered with colours multiplied by alpha, in Pillow's integer arithmetic.
void multiply_by_alpha(Image& image) {
  for (size_t i = 0; i < image.pixels.size(); i += 4) {
    for (size_t c = 0; c < 3; ++c) {
      const uint32_t product = uint32_t{image.pixels[i + c]} * image.pixels[i + 3] + 128;
      image.pixels[i + c] = static_cast<uint8_t>(((product >> 8) + product) >> 8);
    }
  }
}

void divide_by_alpha(Image& image) {
  for (size_t i = 0; i < image.pixels.size(); i += 4) {
    const uint32_t alpha = image.pixels[i + 3];
    if (alpha == 0 || alpha == 255) continue;
    for (size_t c = 0; c < 3; ++c) image.pixels[i + c] = static_cast<uint8_t>(std::min<uint32_t>(255u * image.pixels[i + c] / alpha, 255));
  }
}

}  // namespace

Image resize_lanczos(const Image& image, int64_t width, int64_t height) { return resize(image, width, height, Resampling::kLanczos); }

Image resize(const Image& image, int64_t width, int64_t height, Resampling resampling) {
  constexpr int64_t kMaximumSide = 65536;
  if (width < 1 || height < 1 || width > kMaximumSide || height > kMaximumSide) {
    fail(ExitCode::kBadInput, "a picture cannot be resized to {}x{}; sides from 1 to {} are allowed", width, height, kMaximumSide);
  }
  if (image.width < 1 || image.height < 1) fail(ExitCode::kBadInput, "an empty picture cannot be resized");
  if (width == image.width && height == image.height) return image;
  const Kernel kernel = kernel_of(resampling);
  Image current = image;
  if (current.channels == 4) multiply_by_alpha(current);
  if (width != current.width) {
    Image next = empty_like(current, width, current.height);
    const Filter filter = make_filter(current.width, width, kernel);
    if (current.channels == 1) resize_rows<1>(current, filter, next);
    if (current.channels == 3) resize_rows<3>(current, filter, next);
    if (current.channels == 4) resize_rows<4>(current, filter, next);
    current = std::move(next);
  }
  if (height != current.height) {
    Image next = empty_like(current, width, height);
    resize_columns(current, make_filter(current.height, height, kernel), next);
    current = std::move(next);
  }
  if (current.channels == 4) divide_by_alpha(current);
  return current;
}

}  // namespace attelier
