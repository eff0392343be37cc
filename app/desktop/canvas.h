// The picture in the middle: zoom to the pixel, pan, and two pictures compared in five ways.
#pragma once

#include <imgui.h>

#include <functional>
#include <optional>
#include <string>

#include "app/desktop/derived_picture.h"
#include "app/desktop/picture.h"
#include "app/desktop/theme.h"
#include "app/desktop/tile_cache.h"

namespace attelier::desktop {

enum class Compare { kOff, kWipe, kSideBySide, kFlip, kDifference };

/// What the pointer is on.
struct PixelReading {
  int64_t x = 0, y = 0;
};

class Canvas {
 public:
  /// `b` is what `a` is compared with; either may be null.
  void show(SharedPicture a, SharedPicture b);
  const SharedPicture& shown() const { return a_; }

  /// Fills the rest of the current window. `overlay` draws over picture A and gets the corner and the size of a pixel on the screen; it takes the pointer
  /// when it returns true (painting).
  void draw(const Theme& theme, const std::function<bool(ImVec2 origin, float scale, bool hovered)>& overlay = {});

  void fit();
  void zoom_to(double scale);  // about the middle
  void zoom_by(double factor);
  double scale() const { return scale_; }
  Compare compare() const { return compare_; }
  void set_compare(Compare mode) { compare_ = mode; }
  bool holds_reference = false;   // kFlip: B is shown while this is true
  int difference_gain = 4;        // kDifference: 1, 4 or 16
  bool false_colours = false;     // brightness as colours; values are still those of the picture
  std::optional<PixelReading> reading() const { return reading_; }
  /// True while a difference or false colours are worked out on another thread, or tiles of a large picture wait for their upload: another frame will show them.
  bool is_busy() const { return difference_.is_coming() || coloured_a_.is_coming() || coloured_b_.is_coming() || !tiles_.is_complete(); }

 private:
  struct View {
    ImVec2 from, to;
  };
  void handle_pointer(const View& view, bool takes_drag);
  /// `values`: the picture whose numbers are written into large pixels.
  void draw_picture(const SharedPicture& picture, const Picture& values, const View& view, ImVec2 origin, const Theme& theme);
  void draw_pixel_values(const Picture& ground, const Picture& values, const View& view, ImVec2 origin, const Theme& theme) const;
  ImVec2 origin(const View& view) const;
  SharedPicture seen(const SharedPicture& picture, DerivedPicture& coloured);

  SharedPicture a_, b_;
  DerivedPicture difference_, coloured_a_, coloured_b_;
  Compare compare_ = Compare::kOff;
  double scale_ = 1, centre_x_ = 0.5, centre_y_ = 0.5;  // screen pixels per picture pixel; the middle of the view, in shares of the picture
  bool wants_fit_ = true, is_fitted_ = true;  // nobody has zoomed or moved it since it was fitted: it stays so when the view changes
  ImVec2 fitted_size_{};
  float wipe_ = 0.5f;
  bool drags_wipe_ = false;
  TileCache tiles_;
  std::optional<PixelReading> reading_;
};

}  // namespace attelier::desktop
