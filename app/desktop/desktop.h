// The app in its window: a face over session, which does everything.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace attelier::desktop {

struct DesktopOptions {
  std::vector<std::filesystem::path> files;  // opened as if dropped
  int width = 1600, height = 1000;
  double scale = 0;                    // 0 = as the screen asks
  std::filesystem::path screenshot;    // tests: write the window's picture here once everything is loaded and drawn, then go on
  bool close_after_screenshot = false;
  std::filesystem::path frame_times;   // tests: write here at the end how long frames took
  std::filesystem::path landmarks;     // tests: write here where controls are
  std::function<bool()> is_stopped;    // asked twice a second: the user wants the program to end (a signal)
  int slow_frames = 0;                 // tests: milliseconds that every frame sleeps, as on a machine that is too slow
};

/// Opens the window and returns when it is closed. Throws Error when there is no display.
void run_desktop(const DesktopOptions& options);

}  // namespace attelier::desktop
