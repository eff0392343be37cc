// Painting the mask of the method over its picture: tools, strokes, what is drawn over the canvas, and the panel beside it.
#pragma once

#include <future>
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

enum class MaskTool { kBrush, kEraser, kRectangle, kLasso, kGradient, kFill };
enum class MaskView { kOverlay, kAlone, kMethod };

/// The side of the pictures that a model makes, and how many of their pixels one cell of its latents stands for.
struct ModelGrid {
  int64_t side = 512, cell = 8;
};

class MaskPainter {
 public:
  MaskPainter(Editor& editor, PictureLoader& loader, FileBrowser& browser, Toasts& toasts) : editor_(editor), loader_(loader), browser_(browser), toasts_(toasts) {}
  void add_actions(Actions& actions);

  /// The method repaints part of a picture.
  bool has_mask() const;
  bool is_on() const { return on_; }
  /// Begins with this tool, or says what is missing.
  void start(MaskTool tool);
  void leave();
  /// What is painted on: the method's input picture, null while it is being read. Every frame; ends painting when there is none any more.
  SharedPicture picture();
  /// "painted, 12 %", "" for a blank mask.
  std::string summary();

  /// Over the canvas: `at` and `scale` are the picture's corner and pixel on the screen. Takes this frame's pointer events, every sample of them; true
  /// when the pointer paints and does not pan.
  bool draw_over(const Theme& theme, ImVec2 at, float scale, bool hovered, const std::vector<InputEvent>& events);
  void draw_panel(const Theme& theme);

 private:
  void take(const InputEvent& event, MaskPoint point, bool hovered);
  void begin(MaskPoint point, bool erases, bool goes_on);
  void end(MaskPoint point);
  void drop();
  /// The mask at the size of the picture.
  Mask fitting() const;
  void change(const std::string& label, const std::function<void(Mask&)>& work);
  void draw_tools(const Theme& theme);
  void draw_cursor(const Theme& theme, ImVec2 at, float scale, MaskPoint pointer) const;
  void show_as_method();
  void import_mask();
  void export_mask();
  bool draws_strokes() const { return tool_ == MaskTool::kBrush || tool_ == MaskTool::kEraser; }

  Editor& editor_;
  PictureLoader& loader_;
  FileBrowser& browser_;
  Toasts& toasts_;
  bool on_ = false;
  MaskTool tool_ = MaskTool::kBrush;
  MaskView view_ = MaskView::kOverlay;
  Brush brush_;
  int amount_ = 8;  // pixels for grow, shrink and feather
  SharedPicture picture_;

  // The gesture under way: a stroke, or a shape from its points. `base_` is the mask that it began on.
  std::optional<Stroke> stroke_;
  std::vector<MaskPoint> shape_;
  MaskInk ink_ = MaskInk::kPaint;
  int button_ = -1;
  Mask base_;
  std::optional<MaskPoint> last_end_;  // of the last stroke, where a straight line goes on

  MaskTexture texture_, cells_;
  Mask summed_, seen_;                  // the masks that share_ and cells_ are of
  double share_ = 0;
  std::string seen_with_;               // size and cells of cells_
  ModelGrid grid_;
  std::string grid_of_;                 // the model that grid_ is of or will be
  std::future<ModelGrid> coming_grid_;  // files are read on another thread
};

}  // namespace attelier::desktop
