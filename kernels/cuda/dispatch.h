// From an element, a width and a bundle to the template arguments of the attention kernel.
#pragma once

#include <stdexcept>
#include <type_traits>

#include "kernels/cuda/arguments.h"
#include "kernels/cuda/machine.h"

namespace attelier::kernels::cuda {

template <typename T, int W, Bundle kBundle>
struct AttendVariant {
  using Element = T;
  static constexpr int kWidth = W;
  static constexpr Bundle kKind = kBundle;
};

template <typename T, int W, typename F>
auto with_bundle(Bundle bundle, const F& f) {
  switch (bundle) {
    case Bundle::kPlain: return f(AttendVariant<T, W, Bundle::kPlain>{});
    case Bundle::kScore: return f(AttendVariant<T, W, Bundle::kScore>{});
    default: return f(AttendVariant<T, W, Bundle::kMix>{});
  }
}

template <typename T, typename F>
auto with_width(int width, Bundle bundle, const F& f) {
  switch (width) {
    case 32: return with_bundle<T, 32>(bundle, f);
    case 48: return with_bundle<T, 48>(bundle, f);
    case 64: return with_bundle<T, 64>(bundle, f);
    case 80: return with_bundle<T, 80>(bundle, f);
    case 96: return with_bundle<T, 96>(bundle, f);
    case 128: return with_bundle<T, 128>(bundle, f);
    case 160: return with_bundle<T, 160>(bundle, f);
    case 256: return with_bundle<T, 256>(bundle, f);
    default: throw std::invalid_argument("no attention kernel has this width");
  }
}

/// f(std::integral_constant<int, W>{}) for a width of warpgroups.h.
template <typename F>
auto with_warpgroup_width(int width, const F& f) {
  switch (width) {
    case 40: return f(std::integral_constant<int, 40>{});
    case 64: return f(std::integral_constant<int, 64>{});
    case 80: return f(std::integral_constant<int, 80>{});
    case 128: return f(std::integral_constant<int, 128>{});
    case 160: return f(std::integral_constant<int, 160>{});
    default: throw std::invalid_argument("no warpgroup kernel has this width");
  }
}

/// f(AttendVariant<T, W, bundle>{})
template <typename F>
auto with_variant(cpu::Element element, int width, Bundle bundle, const F& f) {
  if (element == cpu::Element::kBFloat16) return with_width<BFloat16>(width, bundle, f);
  if (element == cpu::Element::kFloat16) return with_width<Float16>(width, bundle, f);
  if (width == 64) return with_bundle<float, 64>(bundle, f);
  if (width == 256) return with_bundle<float, 256>(bundle, f);
  throw std::invalid_argument("no float32 attention kernel has this width");
}

}  // namespace attelier::kernels::cuda
