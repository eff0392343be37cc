// A model on the disk, whatever its layout: its components, their configs, and their tensors under the names of diffusers and transformers.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/context.h"
#include "core/weights/tensor_file.h"

namespace attelier {

/// Components are named as the folders of a diffusers pipeline: unet, vae, text_encoder, text_encoder_2, tokenizer, tokenizer_2, scheduler,
/// controlnet; also backbone, upscaler and language_model. A PATH is one of
///   - a diffusers folder (weights whole or in shards, plain or a variant such as fp16, safetensors or torch);
///   - a single file of SD1, SD2, SDXL, their inpainting variants, a ControlNet or an autoencoder, in the authors' naming (.safetensors, .ckpt),
///     whose configs are recognised from its tensors;
///   - one component: a folder with config.json and weights, or its weight file;
///   - a file of a UNet, ControlNet or autoencoder alone in diffusers' naming, without a config.
/// Nothing is read but headers until a tensor is asked for; renamed, split or transposed tensors are made on reading, so no weight is held twice.
/// Errors are Error(kModel) and name the file, the key, what is allowed and what to do next.
class ModelFiles {
 public:
  explicit ModelFiles(const std::filesystem::path& path);
  ~ModelFiles();

  const std::filesystem::path& path() const { return path_; }
  /// Sorted. A lone text encoder or tokenizer also answers to its other name (text_encoder and text_encoder_2), but is listed once.
  std::vector<std::string> components() const;
  bool has(const std::string& component) const;

  /// config.json of a component (for single files the one that diffusers would have written).
  nlohmann::json config(const std::string& component) const;
  /// Tensors as the module of core/models names them. Opened on the first call and kept.
  std::shared_ptr<const TensorSource> weights(const std::string& component) const;
  /// The folder with vocab.json and merges.txt, or an empty path: the model carries no tokenizer (single files) and CLIP's own is meant.
  std::filesystem::path tokenizer_folder(const std::string& component = "tokenizer") const;
  /// scheduler_config.json, or for files without one what the family's first release shipped with.
  nlohmann::json scheduler_config() const;

  /// What the tensors say: "sd1", "sd2", "sdxl", each also with "-inpainting" (2C + 1 input channels) or "-instruct" (2C); "controlnet-" before one of
  /// these; or, for a model without a UNet, the name of its component.
  std::string family() const;

  /// The files that the model consists of, relative to path() (empty for a single file).
  std::vector<std::filesystem::path> files() const;
  int64_t bytes() const;
  /// SHA-256 that identifies the model: of a single file the hash of its bytes (other tools show its first ten digits); of a folder the hash of the
  /// lines "sha256  relative/path" of files(). The hash of every file is kept in the user's cache together with size, change time and inode, so
  /// that gigabytes are read on the first call only. `context` gets progress and may stop it.
  std::string hash(const Context* context = nullptr) const;
  /// The same, reading every byte again.
  std::string hash_again(const Context* context = nullptr) const;

 private:
  struct Component;
  void open_folder();
  void open_component_folder(const std::filesystem::path& config_file, const std::filesystem::path& weight_file);
  void open_single_file();
  Component& component(const std::string& name) const;
  std::string hash_files(bool from_cache, const Context* context) const;

  std::filesystem::path path_;
  bool is_folder_ = false;
  std::map<std::string, std::unique_ptr<Component>> components_;
  std::vector<std::string> promised_;  // named by model_index.json, but absent
  nlohmann::json scheduler_;           // of a single file
};

}  // namespace attelier
