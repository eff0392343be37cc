// A whole text-to-image model of random weights in the structure of SD1.5, small enough to run in a test.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace attelier {

struct TinyModelOptions {
  uint64_t seed = 0;
  int64_t latent_channels = 4;
  int64_t latent_size = 8;  // native pictures are factor * latent_size pixels wide
  std::vector<int64_t> unet_widths = {32, 64, 64, 64};
  std::vector<int64_t> vae_widths = {32, 32, 32, 32};
  int64_t text_width = 32;
  double prediction_gain = 1;  // multiplies the weights of the UNet's last layer; 1e38 makes every run overflow
};

/// Writes the diffusers layout (model_index.json, unet, vae, text_encoder, tokenizer, scheduler), float32, into `folder`, which is created. The same
/// options give the same bytes. About 20 MB.
void write_tiny_model(const std::filesystem::path& folder, const TinyModelOptions& options = {});

}  // namespace attelier
