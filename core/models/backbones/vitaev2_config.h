// config.json of a ViTAEv2 with varied-size or plain windows: the constructor arguments of the authors' ViTAE_VSA_basic under their own names.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

namespace attelier {

/// What a cell attends: the cells of its own window, or of a rectangle that every head of every window learns to choose.
enum class WindowKind { kPlain, kLearned };

struct ViTAEv2Stage {
  int64_t in_channels = 3;  // of the map before it
  int64_t embed_dims = 64;  // of each dilated convolution
  int64_t token_dims = 64;  // of the stage's tokens
  int64_t downsample_ratio = 4, kernel_size = 7;
  std::vector<int64_t> dilations;
  bool concatenates = true;  // RC_op "cat"; "sum" otherwise
  bool wide_pcm = true;
  int64_t rc_heads = 1, nc_heads = 1, rc_groups = 1, nc_groups = 1, nc_depth = 0;
  WindowKind rc_windows = WindowKind::kLearned, nc_windows = WindowKind::kLearned;
  double mlp_ratio = 4;
  bool qkv_bias = true;            // of plain windows in normal cells; all other qkv have one
  std::optional<double> qk_scale;  // likewise
  bool identity_windows = false;   // learned windows stay where plain ones are (offsets and scales of 0)

  /// Of normal cells' mlp and first parallel convolution.
  int64_t hidden_dims() const { return static_cast<int64_t>(static_cast<double>(token_dims) * mlp_ratio); }
  /// Between the reduction cell's parallel convolutions.
  int64_t convolution_dims() const { return wide_pcm ? 2 * token_dims : embed_dims; }
  /// The width of the pyramid of dilated convolutions, which the reduction cell's attention takes.
  int64_t pyramid_dims() const { return concatenates ? embed_dims * static_cast<int64_t>(dilations.size()) : embed_dims; }
};

struct ViTAEv2Config {
  std::vector<ViTAEv2Stage> stages;
  int64_t num_classes = 1000;  // 0: no head
  int64_t img_size = 224;      // what it was made for; other sizes work too
  int64_t window_size = 7;
  bool relative_pos = false;  // a table of relative positions for plain windows; learned ones always have it
  bool cpe = false;           // learned windows: a depthwise convolution before the attention
  bool skip_cpe = false;      // loaded, but not applied
  bool detection = false;     // the authors' second implementation, of object detection

  /// The factor between the picture and the last stage's map; sides of pictures must be its multiples.
  int64_t reduction() const;
  /// Reduction cells of the second implementation always have windows of 7.
  int64_t rc_window() const { return detection ? 7 : window_size; }
  /// Kernel of the depthwise convolution before an attention in windows of `window` cells.
  int64_t cpe_kernel(int64_t window) const { return detection ? window / 2 * 2 + 1 : 7; }

  /// Products of one picture in convolutions, linear layers and both products of attention, the cells of padded windows among them.
  double multiply_adds(int64_t height, int64_t width) const;

  /// Beside the authors' arguments, of which values may stand for all stages or in lists of one for each: "variant", one of their named models
  /// (ViTAEv2_VSA_S, ViTAEv2_VSA_widePCM_S, ViTAEv2_VSA_widePCM_48M, ViTAEv2_VSA_widePCM_B, ViTAEv2_VSA_widePCM_B_ws12), whose arguments the others
  /// replace; "detection"; and for experiments "identity_windows" (for all stages or each) and "skip_cpe". Errors are Error(kModel), all at once.
  static ViTAEv2Config from_json(const nlohmann::json& config);
};

}  // namespace attelier
