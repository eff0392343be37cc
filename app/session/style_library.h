// The user's styles: pictures kept under names, each with its inversions, so that using one again costs only the painting.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/parameters.h"

namespace attelier {

struct StyleEntry {
  std::string name;   // what people call it, 1 to 80 characters; no other style has it, whatever the case of its letters
  std::string notes;  // what people wrote about it
  std::filesystem::path picture, thumbnail;
  std::string sha256;  // of the picture
  int64_t added = 0;   // seconds since 1970
  int64_t inversions = 0, inversion_bytes = 0;  // that are kept with it

  Json to_json() const;
};

/// A folder with one folder for each style: style.json, the picture as it was given, a thumbnail, and `trajectories`, where `style` keeps the picture's
/// inversions (pipelines/style/trajectory_cache.h) out of reach of the cache's limit. A style appears and goes whole; several processes change the folder
/// one after the other. What cannot be read there is passed over. Changes throw Error(kBadInput), kUsage for names that are taken, unknown or unfit.
class StyleLibrary {
 public:
  explicit StyleLibrary(std::filesystem::path folder = default_folder());
  /// $XDG_DATA_HOME/attelier/styles
  static std::filesystem::path default_folder();

  /// By name; with `words`, those in whose name or notes all of them occur.
  std::vector<StyleEntry> list(const std::string& words = "") const;
  std::optional<StyleEntry> find(const std::string& name) const;
  /// The same; an unknown name is an error that names the nearest one.
  StyleEntry get(const std::string& name) const;
  /// The picture of this content, "" where no style has it.
  std::filesystem::path find_picture(const std::string& sha256) const;

  /// Copies the picture. Throws for files that are none.
  StyleEntry add(const std::string& name, const std::filesystem::path& picture, const std::string& notes = "");
  StyleEntry rename(const std::string& name, const std::string& new_name);
  StyleEntry annotate(const std::string& name, const std::string& notes);
  /// Picture and inversions go; the picture that was copied stays where it was.
  void remove(const std::string& name);
  /// The name that is still free: "rain", "rain 2", ...
  std::string free_name(const std::string& wanted) const;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  StyleEntry change(const std::string& name, std::string StyleEntry::*field, const std::string& value);

  std::filesystem::path folder_;
};

/// What "--style TEXT" means: a file of this name or, where there is none, the picture of the user's style of this name; otherwise the text as it is.
std::string resolve_style(const std::string& text);
/// The same for every text in the input "style" of a job that has one.
void resolve_styles(Json& job);

}  // namespace attelier
