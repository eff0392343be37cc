// What appears over everything else: toasts and the command palette.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "app/desktop/actions.h"
#include "app/desktop/theme.h"

namespace attelier::desktop {

/// Short messages in the corner. Errors stay until they are closed, and show and copy their details.
class Toasts {
 public:
  void info(const std::string& text) { add(text, "", false); }
  void error(const std::string& text, const std::string& details = "") { add(text, details, true); }
  void draw(const Theme& theme, double now);
  /// Seconds until a frame is due, for one that fades; a large number when none is.
  double next_change(double now) const;

 private:
  struct Toast {
    std::string text, details;
    bool is_error;
    double since = -1;
    bool shows_details = false;
  };
  void add(const std::string& text, const std::string& details, bool is_error);
  std::deque<Toast> toasts_;
};

/// Ctrl+P: type a few letters of an action, Enter runs it.
class CommandPalette {
 public:
  void open();
  bool is_open() const { return open_; }
  void draw(const Actions& actions, const Theme& theme);

 private:
  bool open_ = false, focus_ = false;
  std::string words_;
  int selected_ = 0;
};

}  // namespace attelier::desktop
