#include "core/attention/record.h"

#include <fmt/format.h>

namespace attelier {

std::string AttentionCapture::name() const { return fmt::format("record.{}.{}.{}", step, site.path, what); }

std::map<std::string, at::Tensor> AttentionRecord::tensors() const {
  std::map<std::string, at::Tensor> all;
  for (const AttentionCapture& capture : captures_) all[capture.name()] = capture.value;
  return all;
}

}  // namespace attelier
