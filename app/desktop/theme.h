// How the app looks: fonts, colours, spacing, all scaled from one number.
#pragma once

#include <imgui.h>

#include <string>

namespace attelier::desktop {

enum class Look { kDark, kLight };

/// Colours beyond Dear ImGui's own.
struct Palette {
  ImU32 text, faint, accent, good, bad, warn, canvas, checker, panel, line, ring;
};

struct Fonts {
  ImFont *body = nullptr, *small = nullptr, *title = nullptr, *mono = nullptr;
};

/// Fonts come from Debian's packages; where none is found Dear ImGui's bitmap font serves and `warning` says what to install.
class Theme {
 public:
  /// `scale` 0.75 to 3, times what the screen asks for. Before the first frame, and between frames afterwards.
  void apply(Look look, double scale);
  Look look() const { return look_; }
  const Palette& palette() const { return palette_; }
  const Fonts& fonts() const { return fonts_; }
  const std::string& warning() const { return warning_; }
  /// `pixels` of the design at the present scale.
  float px(double pixels) const { return static_cast<float>(pixels * scale_); }

 private:
  void load_fonts();
  Look look_ = Look::kDark;
  double scale_ = 0;
  Palette palette_{};
  Fonts fonts_;
  std::string warning_;
};

}  // namespace attelier::desktop
