// What is wrong with the weights of a model, in short and in full.
#pragma once

#include <string>

#include "core/base/error.h"

namespace attelier {

/// Weights that do not fit their model, or that are no numbers. The message names the first ten tensors of each kind.
class WeightsError : public Error {
 public:
  WeightsError(const std::string& message, std::string full) : Error(ExitCode::kModel, message), full_(std::move(full)) {}
  /// The message with every tensor.
  const std::string& full() const { return full_; }
  bool is_shortened() const { return full_ != what(); }

 private:
  std::string full_;
};

}  // namespace attelier
