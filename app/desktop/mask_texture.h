// A mask on the graphics card, one byte a pixel; only tiles that were painted on since the last frame are sent, and what was never painted takes no memory there. Lives and dies on the
// window's thread.
#pragma once

#include <imgui.h>

#include <cstdint>
#include <vector>

#include "app/session/mask.h"

namespace attelier::desktop {

class MaskTexture {
 public:
  MaskTexture() = default;
  ~MaskTexture();
  MaskTexture(const MaskTexture&) = delete;
  MaskTexture& operator=(const MaskTexture&) = delete;

  /// Makes the texture show this mask; of a large one as much as a frame allows. False = call again.
  bool update(const Mask& mask);
  const Mask& shown() const { return shown_; }
  /// Draws it between two corners in one colour, whose alpha is that of white; `sharp` = whole pixels.
  void draw(ImDrawList& list, ImVec2 from, ImVec2 to, bool sharp, ImU32 colour);

 private:
  struct Block {
    unsigned id;  // 0 = nothing was painted here yet
    int64_t x, y, width, height;
  };
  void make(int64_t width, int64_t height);
  void clear();

  std::vector<Block> blocks_;
  Mask shown_;  // shares its tiles with what was drawn last, so that others are known by being others
};

}  // namespace attelier::desktop
