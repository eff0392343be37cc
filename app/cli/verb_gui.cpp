// attelier gui [FILES]: the desktop app.
#include <cstdlib>

#include "app/cli/console.h"
#ifdef ATTELIER_DESKTOP
#include "app/desktop/desktop.h"
#endif

namespace attelier {
#ifdef ATTELIER_DESKTOP
namespace {

bool is_stopped() { return Invocation::signal_received() != 0; }

}  // namespace
#endif

bool open_desktop() {
#ifdef ATTELIER_DESKTOP
  const auto is_set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && value[0] != 0;
  };
  if (!is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY")) return false;
  desktop::DesktopOptions options;
  options.is_stopped = is_stopped;
  desktop::run_desktop(options);
  return true;
#else
  return false;
#endif
}

void add_gui_verb(CLI::App& app, Invocation&) {
#ifdef ATTELIER_DESKTOP
  auto options = std::make_shared<desktop::DesktopOptions>();
  CLI::App* verb = app.add_subcommand("gui", "Open the desktop app");
  verb->add_option("files", options->files, "Pictures, jobs or checkpoints to open")->type_name("FILE");
  verb->add_option("--scale", options->scale, "Size of the interface, 0 = as the screen asks")->check(CLI::Range(0.0, 4.0))->capture_default_str();
  verb->add_option("--width", options->width, "Width of the window in pixels")->check(CLI::Range(640, 16384))->capture_default_str();
  verb->add_option("--height", options->height, "Height of the window in pixels")->check(CLI::Range(400, 16384))->capture_default_str();
  verb->add_option("--screenshot", options->screenshot, "Save a picture of the window once everything is loaded, and close")->type_name("PNG");
  verb->add_option("--frame-times", options->frame_times, "For tests: write how long frames took")->group("");
  verb->add_option("--landmarks", options->landmarks, "For tests: write where controls are")->group("");
  verb->add_option("--slow-frames", options->slow_frames, "For tests: milliseconds that every frame sleeps")->group("");
  verb->footer("Examples:\n  attelier gui\n  attelier gui photograph.jpg");
  verb->callback([options] {
    options->is_stopped = is_stopped;
    options->close_after_screenshot = !options->screenshot.empty();
    desktop::run_desktop(*options);
  });
#else
  CLI::App* verb = app.add_subcommand("gui", "Open the desktop app (not in this build)");
  verb->callback([] { fail(ExitCode::kUsage, "this build has no desktop app: install libglfw3-dev, libimgui-dev, libepoxy-dev and libfreetype-dev, then build again"); });
#endif
}

}  // namespace attelier
