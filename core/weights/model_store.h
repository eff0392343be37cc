// The models a user has: a list in the data folder, and the folders in which a model's name is looked up.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/context.h"

namespace attelier {

/// One line of the list.
struct StoredModel {
  std::string name;
  std::filesystem::path path;
  std::string sha256;                   // ModelFiles::hash when it was added
  std::string family;                   // ModelFiles::family; "lora" for a LoRA
  std::vector<std::string> components;
  int64_t bytes = 0;
};

/// The list, a JSON file. Every change reads, changes and replaces it whole under a lock, so that two processes cannot lose each other's entries.
class ModelStore {
 public:
  /// `index` is $XDG_DATA_HOME/attelier/models.json unless given.
  explicit ModelStore(std::filesystem::path index = {});

  const std::filesystem::path& index() const { return index_; }
  /// Sorted by name.
  std::vector<StoredModel> list() const;
  /// Opens the model, hashes it and keeps it under `name` (the file's or folder's name unless given). Error(kUsage) for a name that is taken by
  /// another path, or that could be mistaken for a path; Error(kModel) for a path that is no model.
  StoredModel add(const std::filesystem::path& path, const std::string& name = "", const Context* context = nullptr);
  /// Forgets the model; its files stay. Error(kUsage) for an unknown name.
  StoredModel remove(const std::string& name);
  /// Reads every byte again. Returns an empty text if the model is still the one that was added, otherwise what is wrong.
  std::string verify(const StoredModel& model, const Context* context = nullptr) const;
  StoredModel find(const std::string& name) const;

 private:
  std::filesystem::path index_;
};

/// The folders in which names are looked up, in this order: `models_folder` (--models-dir) if given, $ATTELIER_MODELS (folders with ':' between),
/// $XDG_DATA_HOME/attelier/models, and the assets that come with the program.
std::vector<std::filesystem::path> model_folders(const std::filesystem::path& models_folder = {});

/// Every name that resolve_model knows, sorted.
std::vector<std::string> known_models(const std::filesystem::path& models_folder = {});

/// The path of a model given as a path or as a name. A name is looked up in --models-dir and $ATTELIER_MODELS, in the list, then in the remaining
/// folders, as a folder or as NAME.safetensors or NAME.ckpt; text with a separator or such an ending is a path. Error(kModel) says where it looked
/// and which name is near.
std::filesystem::path resolve_model(const std::string& name_or_path, const std::filesystem::path& models_folder = {});

}  // namespace attelier
