// What the tests of training share: tiny configurations in a folder of their own.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "core/base/files.h"
#include "core/media/image.h"
#include "core/training/training_run.h"
#include "core/weights/tensor_file.h"
#include "tests/testing/errors.h"
#include "tests/testing/temporary_folder.h"
#include "tests/testing/tiny_model.h"

namespace attelier {

/// An autoencoder that trains a step in milliseconds.
inline Json tiny_vae_config() {
  return {{"objective", "vae"},
          {"seed", 5},
          {"steps", 12},
          {"batch", 2},
          {"crop", 16},
          {"picture_size", 32},
          {"pool", 4},
          {"fresh", 1},
          {"bfloat16", false},
          {"output", "run"},
          {"data", {{"source", "textures"}}},
          {"optimizer", {{"learning_rate", 0.002}, {"muon_rate", 0.02}, {"warm_up", 1}}},
          {"vae", {{"latent_channels", 4}, {"block_out_channels", {8, 8}}, {"layers_per_block", 1}, {"norm_num_groups", 1}, {"sample_size", 32}, {"mid_block_add_attention", false}}}};
}

/// A text-to-image model of 16x16 pictures and 8x8 latents, written once for all tests.
inline const std::filesystem::path& tiny_base() {
  static const TemporaryFolder folder;
  static const std::filesystem::path path = [] {
    write_tiny_model(folder / "model", {.seed = 3, .latent_size = 8, .unet_widths = {32, 32, 32, 32}, .vae_widths = {32, 32}});
    return folder / "model";
  }();
  return path;
}

/// What every objective on tiny_base() has in common.
inline Json tiny_denoising_config(const std::string& objective) {
  return {{"objective", objective}, {"seed", 4}, {"steps", 6}, {"batch", 2}, {"pool", 3}, {"fresh", 1}, {"bfloat16", false}, {"output", "run"}, {"model", tiny_base().string()},
          {"validation_pictures", 2}, {"optimizer", {{"learning_rate", 0.001}, {"warm_up", 1}}}};
}

class TrainingTest : public testing::Test {
 protected:
  std::filesystem::path write(const Json& config) const { return folder_.write("config.json", config.dump()); }
  TrainingResult run(const Json& config, const TrainingOptions& options = {}, const Context& context = {}) const { return train(write(config), options, context); }
  std::map<std::string, at::Tensor> state() const { return read_all(*open_tensors(folder_ / "run/state.safetensors")); }
  std::string curve() const { return read_file(folder_ / "run/losses.csv"); }

  /// A run that is asked to stop once `steps` are done.
  void stop_after(const Json& config, int64_t steps, const TrainingOptions& options = {}) const {
    std::stop_source source;
    Context context;
    context.stop = source.get_token();
    context.progress = [&](const Progress& progress) {
      if (progress.stage == "training" && progress.done == steps) source.request_stop();
    };
    EXPECT_THROW(train(write(config), options, context), StateSaved);
  }

  /// The message of a configuration that must be refused before anything is made.
  std::string refusal(const Json& config) const {
    const std::string message = message_of(ExitCode::kBadInput, [&] { run(config); });
    EXPECT_FALSE(std::filesystem::exists(folder_ / "run")) << "work was begun";
    return message;
  }

  TemporaryFolder folder_;
};

inline void expect_equal(const std::map<std::string, at::Tensor>& a, const std::map<std::string, at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(at::equal(tensor, b.at(name))) << name;
}

}  // namespace attelier
