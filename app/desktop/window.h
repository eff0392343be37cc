// The one window: GLFW, an OpenGL 3.3 context, Dear ImGui's frame, and the input queue between them.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/desktop/input.h"
#include "core/base/error.h"
#include "core/media/image.h"

struct GLFWwindow;

namespace attelier::desktop {

struct WindowOptions {
  int width = 1600, height = 1000;
  std::string title = "Attelier";
};

/// The graphics driver was reset and took the window's textures and programs with it: the window must be opened anew.
class GraphicsLost : public Error {
 public:
  GraphicsLost() : Error(ExitCode::kUnexpected, "the graphics driver was reset and the window lost what it had drawn with; start Attelier again: the form, the queue and the history are saved") {}
};

class Window {
 public:
  /// Throws Error(kUnexpected) that names DISPLAY and the command line when there is no display or no OpenGL 3.3.
  explicit Window(const WindowOptions& options);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  /// Waits for something to happen, at most `seconds`; 0 = only looks. True if something did (input, wake, resize).
  bool wait(double seconds);
  /// Makes wait() return; from any thread.
  void wake();

  /// One frame: hands the next events to `shortcut` (true = taken) or to Dear ImGui, then draws what `draw` says. What `draw` throws is passed on after
  /// the frame was closed properly, so that the program may go on. Throws GraphicsLost.
  void frame(const std::function<bool(const InputEvent&)>& shortcut, const std::function<void()>& draw);
  /// True while events wait that did not fit into the frames so far.
  bool has_input() const { return !input_.empty(); }
  /// The events of the current frame that concern pointer and buttons, in order: what a brush paints with.
  const std::vector<InputEvent>& pointer_events() const { return pointer_events_; }

  bool wants_to_close() const;
  void keep_open();
  void set_title(const std::string& title);
  void set_full_screen(bool full_screen);
  bool is_full_screen() const;
  bool is_focused() const;
  double content_scale() const;
  std::string clipboard() const;
  void set_clipboard(const std::string& text);
  /// The next frame keeps its picture for take_screenshot().
  void request_screenshot() { wants_screenshot_ = true; }
  std::optional<Image> take_screenshot() { return std::exchange(screenshot_, std::nullopt); }

 private:
  struct Callbacks;
  void forward(const InputEvent& event);
  Image read_back_buffer() const;
  bool graphics_are_lost() const;

  GLFWwindow* window_ = nullptr;
  InputQueue input_;
  std::vector<InputEvent> pointer_events_;
  double heard_x_ = -1e6, heard_y_ = -1e6;      // the pointer of the newest event that was queued
  double pointer_x_ = -1e6, pointer_y_ = -1e6;  // and of the newest one that was handed on
  bool buttons_[5] = {};
  std::atomic<bool> changed_ = true;
  bool tells_of_resets_ = false;                // the driver does, if it was reset
  int windowed_[4] = {};
  bool wants_screenshot_ = false;
  std::optional<Image> screenshot_;
};

}  // namespace attelier::desktop
