// The user's styles as pictures on a shelf: a click uses one, a right click renames it, writes notes, or takes it away.
#pragma once

#include <imgui.h>

#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "app/desktop/picture_loader.h"
#include "app/desktop/theme.h"
#include "app/session/style_library.h"

namespace attelier::desktop {

/// What the shelf asks of the window.
struct ShelfCommands {
  std::function<void(const std::filesystem::path& picture)> use;
  std::function<void()> add_file;  // chooses a picture that is then kept
  std::function<void(const std::string& problem)> failed;
  std::function<void(const std::string& text)> tell;
};

class StyleShelf {
 public:
  StyleShelf(PictureLoader& loader, std::function<void()> wake) : loader_(loader), wake_(std::move(wake)) {}
  /// Opens at this place of the window.
  void open(ImVec2 corner);
  bool is_open() const { return open_; }
  /// Keeps a picture under the name of its file, beside the window.
  void keep(const std::filesystem::path& picture);
  /// Every frame.
  void draw(const Theme& theme, const ShelfCommands& commands);

 private:
  void take_kept(const ShelfCommands& commands);
  void draw_style(const StyleEntry& entry, ImVec2 corner, ImVec2 size, const Theme& theme, const ShelfCommands& commands);
  /// The menu of a style; its texts are `name_` and `notes_` while it is open.
  void draw_menu(const StyleEntry& entry, const Theme& theme, const ShelfCommands& commands);
  void read() { entries_ = library_.list(words_); }

  PictureLoader& loader_;
  std::function<void()> wake_;
  StyleLibrary library_;
  std::vector<StyleEntry> entries_;
  std::string words_, name_, notes_;
  ImVec2 corner_{};
  bool open_ = false, opens_ = false;
  std::vector<std::future<StyleEntry>> keeping_;
};

}  // namespace attelier::desktop
