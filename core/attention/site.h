// The address of an attention layer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace attelier {

enum class AttentionKind { kSelf, kCross, kTemporal, kText, kVision };

/// "self", "cross", "temporal", "text", "vision".
std::string_view name(AttentionKind kind);

/// Where an attention layer stands. `index` counts the sites of one model in order of execution, as the numbering table of the documentation:
/// in a UNet, block e holds attn1 (self, 2e) and attn2 (cross, 2e + 1).
struct AttentionSite {
  std::string model;  // "unet", "vae_encoder", "vae_decoder", "text_encoder", "controlnet", ...
  std::string path;   // the checkpoint's own module path, "up_blocks.1.attentions.0.transformer_blocks.0.attn1"
  int64_t index = 0;
  AttentionKind kind = AttentionKind::kSelf;
  int64_t heads = 1;
  int64_t head_width = 0;
};

/// The decoder block number of a UNet path as StyleID counts it: up_blocks.I.attentions.J -> 3 I + J; -1 outside the decoder.
int64_t decoder_block(std::string_view path);

}  // namespace attelier
