// The app in its window: a face over session, which does everything.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace attelier::desktop {

struct DesktopOptions {
  std::vector<std::filesystem::path> files;  // opened as if dropped
  int width = 1600, height = 1000;
  double scale = 0;                    // 0 = as the screen asks
  std::filesystem::path screenshot;    // tests: write the window's picture here once everything is loaded and drawn, then go on
  bool close_after_screenshot = false;
};

/// Opens the window and returns when it is closed. Throws Error when there is no display.
void run_desktop(const DesktopOptions& options);

}  // namespace attelier::desktop
