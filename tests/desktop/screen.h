// A screen without a monitor (Xvfb) and a hand on its mouse and keyboard (xdotool): the real window with real input events.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace attelier {

class Screen {
 public:
  /// Starts Xvfb on a free display. is_open() is false where it is not installed.
  explicit Screen(int width = 1600, int height = 1000, const std::vector<std::string>& options = {});
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  bool is_open() const { return process_ > 0; }
  std::string display() const { return ":" + number_; }
  /// One xdotool command; its output. Fails the test when xdotool does.
  std::string hand(const std::vector<std::string>& words) const;
  /// Waits for the window and gives it the keyboard; false if it does not come.
  bool focus(const std::string& title, double seconds) const;
  void key(const std::string& chord) const { hand({"key", "--clearmodifiers", chord}); }
  void type(const std::string& text) const { hand({"type", "--delay", "5", text}); }
  void click(int x, int y, int button = 1) const;
  void drag(int x, int y, int to_x, int to_y) const;

 private:
  bool try_hand(const std::vector<std::string>& words, std::string* text) const;

  pid_t process_ = -1;
  std::string number_;
};

/// Asks `done` until it says yes; false after `seconds`.
template <typename Done>
bool wait_until(double seconds, const Done& done);

}  // namespace attelier

#include <unistd.h>

#include <chrono>

template <typename Done>
bool attelier::wait_until(double seconds, const Done& done) {
  const auto start = std::chrono::steady_clock::now();
  while (!done()) {
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > seconds) return false;
    usleep(50'000);
  }
  return true;
}
