// What the parts of the window share, and the frame that puts them together.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "app/desktop/actions.h"
#include "app/desktop/canvas.h"
#include "app/desktop/comparison.h"
#include "app/desktop/desktop.h"
#include "app/desktop/editor.h"
#include "app/desktop/file_browser.h"
#include "app/desktop/inspector.h"
#include "app/desktop/frame_times.h"
#include "app/desktop/mask_painter.h"
#include "app/desktop/method_form.h"
#include "app/desktop/known_models.h"
#include "app/desktop/model_choice.h"
#include "app/desktop/overlays.h"
#include "app/desktop/picture_loader.h"
#include "app/desktop/preset_menu.h"
#include "app/desktop/queue_view.h"
#include "app/desktop/recovery.h"
#include "app/desktop/shortcut_sheet.h"
#include "app/desktop/style_shelf.h"
#include "app/desktop/theme.h"
#include "app/desktop/timeline.h"
#include "app/desktop/window.h"
#include "app/session/job_queue.h"
#include "app/session/journal.h"
#include "core/text/tokenizer.h"

namespace attelier::desktop {

enum class Layout { kCreate, kCompare, kInspect, kQueue };

class DesktopApp {
 public:
  explicit DesktopApp(const DesktopOptions& options);
  ~DesktopApp();
  void run();

 private:
  void add_actions();
  bool take_event(const InputEvent& event);
  void drop(const std::vector<std::filesystem::path>& files, double x, double y);
  double wait_seconds() const;
  /// Something is written here in letters that the fonts do not have yet.
  bool has_new_letters();
  double now() const;

  void frame();
  void draw_menu();
  void draw_left(ImVec2 position, ImVec2 size);
  void draw_centre(ImVec2 position, ImVec2 size);
  void draw_empty_canvas(ImVec2 position, ImVec2 size);
  void draw_right(ImVec2 position, ImVec2 size);
  void draw_bottom(ImVec2 position, ImVec2 size);
  void draw_toolbar();
  void draw_status(ImVec2 position, ImVec2 size);
  void draw_model_choice();
  FormValues form_values();
  FormGroup output_and_device();

  void run_job(bool first, bool watched = false);
  /// What is to be done with the job of the form as it is now, as soon as there is one; toasts where the form is wrong.
  void use_job(std::function<void(const Job&)> use);
  /// Every frame; `all` waits for those that are not there yet.
  void take_jobs(bool all = false);
  InspectorActions inspector_actions();
  bool shows_attention() const;  // of the picture on the canvas
  bool shows_preview() const { return preview_ && follows_ && !timeline_.is_shown(); }
  void stop_job(StopVerb verb = StopVerb::kNow);
  void follow();
  /// What a person wants to see now; the running job no longer pushes it aside.
  void look_elsewhere() { follows_ = queue_.is_idle(); }
  void end_of_job(const JournalEntry& entry);
  void tell_trouble();
  void show_entry(int64_t id);
  void compare_entry(int64_t id);
  void use_entry(int64_t id);
  void keep_entry(int64_t id);
  ShelfCommands shelf_commands();
  /// The input for which styles are taken from the library; null where the method has none.
  const InputDescription* style_input() const;
  void use_entry_as(int64_t id, const Method& method, const InputDescription& input);
  void open_file(const std::filesystem::path& file);
  void remember_file(const std::filesystem::path& file);
  void draw_recent_menu();
  void open_video(const std::filesystem::path& file);
  void restore_from(const std::filesystem::path& file);
  void choose_input(const std::string& name, bool is_input);
  /// The file becomes the input, or one more of its list.
  void add_input(const InputDescription& input, const std::filesystem::path& file);
  void export_picture();
  void take_exports();
  void save_window_picture(const Image& picture);
  void take_previews();
  void set_layout(Layout layout);
  void load_settings();
  void save_settings() const;
  std::string token_text(const std::string& text);

  DesktopOptions options_;
  Window window_;
  Theme theme_;
  Look look_ = Look::kDark;
  double user_scale_ = 1, applied_scale_ = 0;
  Look applied_look_ = Look::kDark;
  Actions actions_;
  Toasts toasts_;
  CommandPalette palette_;
  ShortcutSheet shortcuts_;
  PresetMenu presets_;
  Journal journal_;
  JobQueue queue_;
  PictureLoader loader_;  // after the journal, which it reads
  FileBrowser browser_;
  StyleShelf shelf_;
  QueueView queue_view_;
  RecoveryDialog recovery_;
  Editor editor_;
  ModelChoice model_;
  KnownModels known_models_;
  MaskPainter painter_;
  Timeline timeline_;
  MethodForm form_;
  Canvas canvas_;
  Comparison comparison_;
  Inspector inspector_;
  Layout layout_ = Layout::kCreate;
  float left_width_ = 380, right_width_ = 300, bottom_height_ = 190;
  bool shows_left_ = true, shows_right_ = true, shows_bottom_ = true, wants_to_quit_ = false;

  SharedPicture shown_, reference_, preview_;
  std::filesystem::path awaited_, awaited_reference_;  // files whose pictures come to the canvas when they are read
  std::vector<std::filesystem::path> recent_;          // files that were opened, the newest first
  std::filesystem::path opened_;                       // awaited, and if it carries a job, the form takes it
  std::vector<int64_t> unfinished_;                    // jobs whose end a person is told of
  int64_t previewed_ = 0, seen_version_ = -1;          // the job of preview_; of the journal
  bool was_focused_ = true;
  bool follows_ = true;                                // previews and results come to the canvas: until a person looks at something else while jobs run
  std::array<bool, 2> told_troubles_{};
  struct Export {
    SharedPicture picture;
    std::filesystem::path file;
    std::future<void> saving;
  };
  std::vector<Export> exports_;  // that are being written
  struct ComingJob {
    std::future<Job> job;
    std::function<void(const Job&)> use;
  };
  std::deque<ComingJob> jobs_;  // whose masks are being written, in the order in which they were asked for
  std::optional<std::chrono::steady_clock::time_point> last_input_;
  std::chrono::steady_clock::time_point start_;
  int failed_frames_ = 0;
  FrameTimes frame_times_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::mutex tokenizer_mutex_;
  std::jthread tokenizer_thread_;
};

}  // namespace attelier::desktop
