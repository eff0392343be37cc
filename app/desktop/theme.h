// How the app looks: fonts, colours, spacing, all scaled from one number.
#pragma once

#include <imgui.h>

#include <string>

namespace attelier::desktop {

enum class Look { kDark, kLight, kContrast };
/// "dark", "light", "contrast"; kDark for other words.
const char* name_of(Look look);
Look look_of(const std::string& name);

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
  /// True where the text has letters of Chinese, Japanese or Korean that the fonts lack so far; then need_east_asian() and apply() bring them. They cost a
  /// tenth of a second and a large texture, which most people never need.
  bool lacks(const std::string& text) const;
  void need_east_asian() { wants_east_asian_ = true; }
  Look look() const { return look_; }
  const Palette& palette() const { return palette_; }
  const Fonts& fonts() const { return fonts_; }
  const std::string& warning() const { return warning_; }
  /// `pixels` of the design at the present scale.
  float px(double pixels) const { return static_cast<float>(pixels * scale_); }

 private:
  void load_fonts();
  bool wants_east_asian_ = false, has_east_asian_ = false;
  Look look_ = Look::kDark;
  double scale_ = 0;
  Palette palette_{};
  Fonts fonts_;
  std::string warning_;
};

}  // namespace attelier::desktop
