// The model that the last job used, kept open, so that the next one with the same model starts at once.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/context.h"
#include "core/diffusion/diffusion_model.h"

namespace attelier {

/// Holds at most one model between jobs. A job takes it and puts it back when it has left the model as it was; a model that is not put back is gone.
/// Safe to use from several threads.
class ModelCache {
 public:
  struct Model {
    std::unique_ptr<DiffusionModel> model;
    std::string sha256;
  };

  /// The kept model if path, contents (by hash), device and dtype are the same; otherwise the kept one is freed before the new one is opened. Throws
  /// Error(kModel).
  Model take(const std::filesystem::path& path, const Context& context);
  void put_back(Model model);
  void clear();
  /// Whether a model is kept.
  bool holds() const;

 private:
  mutable std::mutex mutex_;
  Model kept_;
};

}  // namespace attelier
