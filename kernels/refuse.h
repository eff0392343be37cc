// Refusals of a wrong argument: std::invalid_argument, the JSON pointer of the field first.
#pragma once

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

namespace attelier::kernels {

template <typename... Args>
[[noreturn]] void refuse(const std::string& pointer, fmt::format_string<Args...> format, Args&&... args) {
  throw std::invalid_argument(pointer + ": " + fmt::format(format, std::forward<Args>(args)...));
}

inline std::string shape_text(const at::Tensor& tensor) { return fmt::format("[{}]", fmt::join(tensor.sizes(), ",")); }

}  // namespace attelier::kernels
