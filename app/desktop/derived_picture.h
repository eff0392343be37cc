// Pictures that are worked out of others on another thread: what two differ in, and brightness as colours.
#pragma once

#include <future>

#include "app/desktop/picture.h"

namespace attelier::desktop {

/// What a derived picture is of.
struct Derivation {
  SharedPicture a, b;       // b: the difference to this one, null = a itself
  int gain = 1;             // of a difference
  bool in_colours = false;  // its brightness in false colours
  bool operator==(const Derivation&) const = default;
};

class DerivedPicture {
 public:
  /// The wanted picture, or an older one of the same two, or `wanted.a` until it is there. Small ones are there at once.
  SharedPicture get(const Derivation& wanted);
  /// Forgets the picture, which may be large, unless it is being worked out.
  void clear();
  bool is_coming() const { return coming_.valid(); }
  /// There was no memory for it: what get() gives is `wanted.a` and stays so.
  bool has_failed() const { return !coming_.valid() && of_.a && !picture_; }

 private:
  // Held as long as it is worked out: pictures that have textures must not die on another thread.
  Derivation of_, coming_of_;
  SharedPicture picture_;
  std::future<SharedPicture> coming_;
};

}  // namespace attelier::desktop
