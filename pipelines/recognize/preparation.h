// From a picture to what a backbone sees.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "core/media/image.h"
#include "core/media/resample.h"

namespace attelier {

/// A file beside the config of a model (a folder, or a file in it), whole; empty if there is none.
std::string read_beside(const std::filesystem::path& model, const std::string& name);
/// The model's preprocessor_config.json, null if there is none. Throws Error(kModel).
nlohmann::json processor_beside(const std::filesystem::path& model);

/// Resize with Pillow's filters, cut out the middle, normalise: as torchvision's evaluation transforms do, or transformers' image processors.
struct Preparation {
  int64_t side = 224;
  double crop_ratio = 0.875;  // the shorter side becomes side / crop_ratio and the middle square is cut out; 0: resized to the square, whatever the shape
  bool whole = false;         // nothing is cut off: the shorter side becomes `side`, both multiples of `multiple`
  int64_t multiple = 32;
  Resampling resampling = Resampling::kBicubic;
  std::array<double, 3> mean = {0.485, 0.456, 0.406}, deviation = {0.229, 0.224, 0.225};

  /// What a model's files say: `processor` is preprocessor_config.json (null if there is none), as transformers writes it; `config` may say "crop_pct".
  /// Throws Error(kModel).
  static Preparation of_model(const nlohmann::json& config, const nlohmann::json& processor, int64_t side);
};

/// The picture as a backbone sees it, and where it lies in the original.
struct PreparedPicture {
  Image image;                              // RGB
  double scale_x = 1, scale_y = 1;          // pixels of `image` for one of the original
  int64_t left = 0, top = 0;                // pixels cut off, after resizing
  std::array<int64_t, 2> original = {0, 0}; // width, height

  /// A pixel of the original in `image`. Throws Error(kBadInput) where it was cut off or is outside.
  std::array<int64_t, 2> place_of(int64_t x, int64_t y) const;
};

/// Throws Error(kBadInput) for pictures that would be too large.
PreparedPicture prepare(const Image& picture, const Preparation& preparation);

/// f32 [1,3,H,W], normalised.
at::Tensor to_input(const Image& prepared, const Preparation& preparation);

}  // namespace attelier
