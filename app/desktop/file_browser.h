// Choosing a file: places, folders, pictures with thumbnails, all inside the window.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/desktop/picture_loader.h"
#include "app/desktop/theme.h"

namespace attelier::desktop {

struct FileRequest {
  std::string title;
  std::vector<std::string> extensions;  // ".png", ...; empty = all
  bool folders = false;                 // a folder may be chosen (models)
  bool save = false;                    // a name is typed; an existing file is asked about
  std::string name;                     // proposed, when saving
  std::function<void(const std::filesystem::path& file)> chosen;
};

class FileBrowser {
 public:
  explicit FileBrowser(PictureLoader& loader) : loader_(loader) {}
  void open(FileRequest request);
  bool is_open() const { return open_; }
  /// Every frame.
  void draw(const Theme& theme);

 private:
  struct Item {
    std::filesystem::path path;
    std::string name, key;  // as written, and as it is sorted and filtered by
    bool is_folder = false;
  };
  void enter(const std::filesystem::path& folder);
  void draw_places(const Theme& theme);
  void draw_items(const Theme& theme);
  void choose(const std::filesystem::path& path);
  /// Enters a folder, chooses a file.
  void go_to(const std::filesystem::path& path);
  /// What was typed as the filter, where that is a path: absolute, or below "~".
  std::optional<std::filesystem::path> typed_path() const;
  /// Those that the filter lets through, in order.
  std::vector<const Item*> shown_items() const;
  bool is_wanted(const std::filesystem::path& path) const;

  PictureLoader& loader_;
  FileRequest request_;
  bool open_ = false, asks_ = false, types_ = false;  // types_: what is typed next goes to the filter
  std::filesystem::path folder_, picked_;
  std::string typed_folder_, filter_, name_, problem_;
  std::vector<Item> items_;
};

/// Extensions of pictures that load_image reads.
const std::vector<std::string>& picture_extensions();

}  // namespace attelier::desktop
