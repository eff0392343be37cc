// The numbers of a comparison, worked out beside the window.
#pragma once

#include <future>
#include <optional>

#include "app/desktop/picture.h"
#include "app/desktop/theme.h"
#include "app/session/picture_difference.h"

namespace attelier::desktop {

class Comparison {
 public:
  /// A section of a panel about `a` and what it is compared with.
  void draw(const SharedPicture& a, const SharedPicture& b, const Theme& theme);
  /// True while numbers are worked out: another frame will show them.
  bool is_busy() const { return coming_.valid(); }

 private:
  SharedPicture a_, b_;                // whose numbers are known, or come; held so that pictures do not die on another thread
  std::future<std::optional<PictureDifference>> coming_;
  std::optional<PictureDifference> known_;
};

}  // namespace attelier::desktop
