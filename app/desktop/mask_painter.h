// Painting the masks of the method over its picture: tools, strokes, what is drawn over the canvas, and the panel beside it. A method has one mask, or one
// for each of its styles: then each has its colour, all are seen, and one of them is painted.
#pragma once

#include <deque>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/desktop/actions.h"
#include "app/desktop/canvas.h"
#include "app/desktop/editor.h"
#include "app/desktop/file_browser.h"
#include "app/desktop/mask_texture.h"
#include "app/desktop/overlays.h"
#include "app/desktop/picture_loader.h"
#include "app/session/mask_brush.h"

namespace attelier::desktop {

enum class MaskTool { kBrush, kEraser, kRectangle, kLasso, kGradient, kFill, kThing };
enum class MaskView { kOverlay, kAlone, kMethod };

/// The side of the pictures that a model makes, and how many of their pixels one cell of its latents stands for.
struct ModelGrid {
  int64_t side = 512, cell = 8;
};

/// The colour of region `index` of several, on both looks.
ImU32 region_colour(size_t index);

class MaskPainter {
 public:
  MaskPainter(Editor& editor, PictureLoader& loader, FileBrowser& browser, Toasts& toasts) : editor_(editor), loader_(loader), browser_(browser), toasts_(toasts) {}
  void add_actions(Actions& actions);

  /// The method's input that can be painted, or null.
  const InputDescription* painted_input() const;
  bool is_on() const { return on_; }
  /// A mask is being changed or written on another thread, or not all of it is on the screen yet.
  bool is_busy() const { return work_.has_value() || !exports_.empty() || (on_ && !all_drawn_); }
  /// Begins with this tool, on mask `index` (the last one, where absent), or says what is missing.
  void start(MaskTool tool, std::optional<size_t> index = std::nullopt);
  void leave();
  /// What is painted on: the method's input picture, null while it is being read. Every frame; ends painting when there is none any more.
  SharedPicture picture();
  /// Which mask is painted, where one is.
  std::optional<size_t> active() const { return on_ ? std::optional(index_) : std::nullopt; }
  /// "painted, 12 %", "" for a blank mask.
  std::string summary(size_t index = 0);

  /// Over the canvas: `at` and `scale` are the picture's corner and pixel on the screen. Takes this frame's pointer events, every sample of them; true
  /// when the pointer paints and does not pan.
  bool draw_over(const Theme& theme, ImVec2 at, float scale, bool hovered, const std::vector<InputEvent>& events);
  void draw_panel(const Theme& theme);

 private:
  void take(const InputEvent& event, MaskPoint point, bool hovered);
  void begin(MaskPoint point, bool erases, bool goes_on);
  void end(MaskPoint point);
  void drop();
  /// The mask that is painted.
  const Mask& mask() const;
  /// There are several regions, of one style each.
  bool has_regions() const;
  std::vector<std::filesystem::path> region_files() const;
  void switch_to(size_t index);
  /// The mask at the size of the picture.
  Mask fitting() const;
  /// One step on the whole mask: at once, or for large ones on another thread, which no stroke interrupts. What `work` throws is told.
  void change(const std::string& label, std::function<void(Mask&)> work);
  void take_work();
  void draw_controls(const Theme& theme);
  void draw_tools(const Theme& theme);
  void draw_regions(const Theme& theme);
  void draw_masks(const Theme& theme, ImVec2 from, ImVec2 to, bool sharp);
  /// The method takes the largest part of the result's shape from the picture's middle; what is outside it does not matter.
  void darken_what_is_cut(ImDrawList& list, ImVec2 from, ImVec2 to) const;
  void draw_cursor(const Theme& theme, ImVec2 at, float scale, MaskPoint pointer) const;
  void show_as_method();
  void import_mask();
  /// The map of things beside the picture or the imported one is there; says what is missing otherwise.
  bool has_things();
  /// The picture that is painted over, "" if there is none.
  std::filesystem::path painted_file() const;
  void export_mask();
  bool draws_strokes() const { return tool_ == MaskTool::kBrush || tool_ == MaskTool::kEraser; }

  Editor& editor_;
  PictureLoader& loader_;
  FileBrowser& browser_;
  Toasts& toasts_;
  bool on_ = false;
  size_t index_ = 0;  // of the mask that is painted
  MaskTool tool_ = MaskTool::kBrush;
  MaskView view_ = MaskView::kOverlay;
  Brush brush_;
  int amount_ = 8;  // pixels for grow, shrink and feather
  SharedPicture picture_;
  std::shared_ptr<const InstanceMap> things_;  // of the picture, once they were asked for
  std::filesystem::path things_of_;            // the picture that they are of

  struct Work {
    std::string label, input;
    size_t index = 0;
    Mask before;
    std::future<Mask> after;
  };
  std::optional<Work> work_;
  std::vector<std::pair<std::filesystem::path, std::future<void>>> exports_;  // that are being written

  // The gesture under way: a stroke, or a shape from its points. `base_` is the mask that it began on.
  std::optional<Stroke> stroke_;
  std::vector<MaskPoint> shape_;
  MaskInk ink_ = MaskInk::kPaint;
  int button_ = -1;
  Mask base_;
  std::optional<MaskPoint> last_end_;  // of the last stroke, where a straight line goes on

  struct Sum {
    Mask of;
    double share = 0;
  };
  std::deque<MaskTexture> textures_;    // of every mask
  bool all_drawn_ = true;               // what textures_ are to show
  std::deque<Sum> sums_;
  MaskTexture cells_;
  Mask seen_;                           // the mask that cells_ are of
  std::string seen_with_;               // size and cells of cells_
  ModelGrid grid_;
  std::string grid_of_;                 // the model that grid_ is of or will be
  std::future<ModelGrid> coming_grid_;  // files are read on another thread
};

}  // namespace attelier::desktop
