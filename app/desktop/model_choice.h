// Which model a method uses: one of those that are known and of its kind, or a checkpoint by file.
#pragma once

#include <filesystem>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "app/desktop/editor.h"
#include "app/desktop/file_browser.h"
#include "app/desktop/overlays.h"
#include "app/desktop/theme.h"

namespace attelier::desktop {

class ModelChoice {
 public:
  /// `wake` is called from another thread when the models were looked through.
  ModelChoice(Editor& editor, FileBrowser& browser, Toasts& toasts, std::function<void()> wake) : editor_(editor), browser_(browser), toasts_(toasts), wake_(std::move(wake)) {}

  /// The list and what is wrong with the chosen one; in every frame.
  void draw(float width);
  void draw_problem(const Theme& theme) const;
  /// The form's method uses this checkpoint from now on, or, where that is of another kind, the first method that can, which the form then shows.
  void choose(const std::filesystem::path& path);

  /// Whether a file may be a checkpoint, by its name.
  static bool is_checkpoint_name(const std::filesystem::path& file);

 private:
  void browse();

  Editor& editor_;
  FileBrowser& browser_;
  Toasts& toasts_;
  std::function<void()> wake_;
  std::vector<std::string> names_;                     // of models that the method can use, as they were when the list was opened
  std::future<std::vector<std::string>> coming_names_;
};

}  // namespace attelier::desktop
