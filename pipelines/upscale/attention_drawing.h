// What one pixel attends to in an RGT, as a picture and as JSON: the cells of the representative map in each RG-SA layer, and the windows of L-SA around it.
#pragma once

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/media/image.h"
#include "core/models/upscalers/rgt.h"

namespace attelier {

/// One RG-SA layer.
struct CellAttention {
  std::string layer;   // its address: layers.1.blocks.3.attn
  at::Tensor weights;  // f32 [rows, columns] of cells, the mean over the heads
  int64_t side = 16;   // pixels along a cell; what is left at right and bottom belongs to none
};

/// A window of L-SA, as far as it lies in the picture.
struct AttentionWindow {
  int64_t left, top, width, height;
  bool shifted;
};

/// Of the pixel (x, y) of picture [1,3,H,W], from a forward pass; layers in their order.
std::vector<CellAttention> attention_of_pixel(const Rgt& model, const at::Tensor& picture, const ForwardContext& context, std::optional<int64_t> recursions, int64_t x, int64_t y);

/// The windows that hold a pixel: plain and shifted, one half of the heads and the other.
std::vector<AttentionWindow> windows_around(const RgtConfig& config, int64_t height, int64_t width, int64_t x, int64_t y);

/// One layer's cells as colours from the least weight to the most, the windows as outlines.
Image draw_pixel_attention(const Image& picture, const CellAttention& layer, const std::vector<AttentionWindow>& windows, int64_t x, int64_t y);

nlohmann::json attention_json(const std::vector<CellAttention>& layers, const std::vector<AttentionWindow>& windows, int64_t x, int64_t y);

}  // namespace attelier
