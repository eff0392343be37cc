// Named sets of a method's parameters: chosen, saved, renamed and deleted in one small menu.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/desktop/theme.h"

namespace attelier::desktop {

struct PresetCommands {
  std::function<void(const std::string& name)> apply;      // "" = the defaults of the settings
  std::function<void(const std::string& name)> save;       // the form's parameters
  std::function<void(const std::string& problem)> failed;  // a command could not be carried out
};

class PresetMenu {
 public:
  /// Opens with the next frame.
  void open() { wants_open_ = true; }
  /// A button and its menu; in every frame.
  void draw(const std::string& method, float width, const Theme& theme, const PresetCommands& commands);

 private:
  void draw_presets(const std::string& method, const Theme& theme, const PresetCommands& commands);
  void draw_name(const std::string& method, const Theme& theme, const PresetCommands& commands);

  bool wants_open_ = false, wants_focus_ = false;
  std::vector<std::string> names_;
  std::string name_, renamed_, doomed_;  // typed; whose name changes; whose deletion waits for a second click
};

}  // namespace attelier::desktop
