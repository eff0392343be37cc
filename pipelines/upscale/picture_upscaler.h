// An upscaler with everything around it: choice of tiles, grey and transparent pictures, 16 bits. Shared by `upscale` and by methods that end with it.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "core/base/parameters.h"
#include "core/media/wide_picture.h"
#include "core/models/upscalers/rgt.h"
#include "core/models/upscalers/upscale_rows.h"

namespace attelier {

/// The folder or file of the upscaler that `path` offers for this scale: `path` itself, or its part xSCALE where it holds one model for each scale.
/// Throws Error(kModel).
std::filesystem::path find_upscaler(const std::filesystem::path& path, std::optional<int64_t> scale);

struct UpscaleSettings {
  std::optional<int64_t> tile;        // a tile's side; absent = by memory
  std::optional<int64_t> recursions;  // of RG-SA; absent = by the size of each tile
  bool ensemble = false;
};

class PictureUpscaler {
 public:
  PictureUpscaler(const std::filesystem::path& path, const UpscaleSettings& settings, const Context& context);
  int64_t scale() const { return model_->scale(); }

  /// Rows of the result from top to bottom, interleaved samples of the picture's channels and bits. Colours go through the model, gray as a gray picture;
  /// alpha is enlarged by bicubic interpolation.
  void rows(const WidePicture& picture, const std::function<void(std::span<const uint16_t> samples)>& sink, const Context& context) const;
  /// The whole result.
  Image upscale(const Image& picture, const Context& context) const;

  /// What the pixel (x, y) attends to: in `layer`, absent = the last one, as a picture, and everywhere as JSON. Of a picture that is made in tiles, in a part of
  /// a tile's size around the pixel.
  struct PixelFinding {
    Image drawing;
    Json json;
  };
  PixelFinding look(const Image& picture, int64_t x, int64_t y, const std::optional<std::string>& layer, const Context& context) const;

 private:
  UpscaleTiles tiles() const;

  std::unique_ptr<Rgt> model_;
  UpscaleSettings settings_;
  UpscaleTile tile_;
  mutable ForwardContext forward_;
};

/// A method's parameters and those of its last step, `upscale` and `upscale_model`.
ParameterDescriptions with_final_upscale(ParameterDescriptions parameters);

class FinalUpscale {
 public:
  /// Opens the upscaler that the parameters name, if they name one: before the work, not after it.
  FinalUpscale(const Json& params, const Context& context);
  Image operator()(Image picture, const Context& context) const;

 private:
  std::unique_ptr<PictureUpscaler> upscaler_;
};

}  // namespace attelier
