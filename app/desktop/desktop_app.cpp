#include "app/desktop/desktop_app.h"

#include <fmt/format.h>
#include <imgui.h>
#include <imgui_internal.h>

#include <algorithm>
#include <cstdlib>

#include "app/desktop/landmarks.h"
#include "app/desktop/widgets.h"
#include "core/base/files.h"

namespace attelier::desktop {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr double kLively = 1.0;         // seconds after input in which frames follow each other
constexpr double kWhileJobRuns = 0.1;   // between frames when only a job runs
constexpr double kWhileWorking = 0.02;  // when a difference comes from another thread
constexpr double kIdle = 0.5;
constexpr size_t kRecentOffered = 4;    // where nothing is shown
constexpr double kShortLife = 20;       // of a window that lost its graphics, in seconds
constexpr int kMostFailedFrames = 10;   // one after the other

double seconds_since(Clock::time_point then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

}  // namespace

void run_desktop(const DesktopOptions& options) {
  DesktopOptions next = options;
  for (Clock::time_point opened = Clock::now();; opened = Clock::now()) {
    try {
      DesktopApp app(next);
      return app.run();
    } catch (const GraphicsLost&) {
      // A new window takes up the form and the queue, which are on the disk. If it does not last, the driver will not recover by itself.
      if (seconds_since(opened) < kShortLife) throw;
      next.files.clear();
    }
  }
}

DesktopApp::DesktopApp(const DesktopOptions& options)
    : options_(options), window_({options.width, options.height, "Attelier"}), journal_(Journal::default_file()), queue_(journal_, [this] { window_.wake(); }, {.niceness = 5}),
      loader_([this] { window_.wake(); }), browser_(loader_), shelf_(loader_, [this] { window_.wake(); }), queue_view_(journal_, queue_, loader_), recovery_(journal_, queue_, loader_),
      model_(editor_, browser_, toasts_, [this] { window_.wake(); }),
      known_models_([this] { window_.wake(); }),
      painter_(editor_, loader_, browser_, toasts_), timeline_([this] { window_.wake(); }, browser_, toasts_), inspector_([this] { window_.wake(); }), start_(Clock::now()) {
  write_landmarks_to(options.landmarks);
  load_settings();
  add_actions();
  if (!journal_.warning().empty()) toasts_.error(journal_.warning());
  tell_trouble();
  // Counting tokens wants CLIP's vocabulary, half a second's work that nobody waits for.
  tokenizer_thread_ = std::jthread([this] {
    try {
      auto tokenizer = Tokenizer::from_clip_merges(cache_folder() / "deps/clip/bpe_simple_vocab_16e6.txt.gz");
      const std::lock_guard lock(tokenizer_mutex_);
      tokenizer_ = std::move(tokenizer);
      window_.wake();
    } catch (const Error&) {  // prompts are then not counted
    }
  });
  for (const fs::path& file : options.files) open_file(file);
  queue_view_.refresh();
  if (options.screenshot.empty()) recovery_.offer(editor_.recovered());
  if (options.files.empty() && !queue_view_.made().empty()) show_entry(queue_view_.made().id(0));
}

DesktopApp::~DesktopApp() {
  take_jobs(true);
  save_settings();
  if (options_.frame_times.empty()) return;
  try {
    write_file_atomically(options_.frame_times, frame_times_.to_json().dump(2) + "\n");
  } catch (const Error&) {  // a test finds no file
  }
}

void DesktopApp::tell_trouble() {
  const std::array<std::string, 2> troubles = {editor_.trouble(), queue_.trouble()};
  const std::array<const char*, 2> what = {"The form cannot be saved; it is tried again.", "The queue cannot be saved, and rests."};
  for (size_t i = 0; i < troubles.size(); ++i) {
    if (!troubles[i].empty() && !told_troubles_[i]) toasts_.error(what[i], troubles[i]);
    told_troubles_[i] = !troubles[i].empty();
  }
}

double DesktopApp::now() const { return seconds_since(start_); }

double DesktopApp::wait_seconds() const {
  if (window_.has_input() || (last_input_ && seconds_since(*last_input_) < kLively)) return 0;
  if (canvas_.is_busy() || comparison_.is_busy() || painter_.is_busy() || !exports_.empty() || !jobs_.empty()) return kWhileWorking;
  const double next_frame = timeline_.seconds_to_next(now());
  if (!queue_.is_idle()) return std::min(kWhileJobRuns, next_frame);
  return std::min({kIdle, next_frame, toasts_.next_change(now())});
}

void DesktopApp::run() {
  bool first = true;
  int frames_until_screenshot = options_.screenshot.empty() ? -1 : 3;
  while (!window_.wants_to_close() && !wants_to_quit_) {
    const double seconds = first ? 0 : wait_seconds();
    const bool something = window_.wait(seconds);
    editor_.autosave_if_due();  // also of a window that draws nothing
    tell_trouble();
    if (options_.is_stopped && options_.is_stopped()) break;
    const bool due = frames_until_screenshot >= 0 || timeline_.seconds_to_next(now()) < kIdle || toasts_.next_change(now()) <= 0 || ImGui::GetIO().WantTextInput;
    if (!something && !first && seconds >= kIdle && !due) continue;  // an idle window draws nothing
    if (something && window_.has_input()) last_input_ = Clock::now();
    first = false;
    const double scale = (options_.scale > 0 ? options_.scale : window_.content_scale()) * user_scale_;
    const bool new_letters = has_new_letters();
    if (new_letters) theme_.need_east_asian();
    if (scale != applied_scale_ || look_ != applied_look_ || new_letters) {
      theme_.apply(look_, scale);
      if ((applied_scale_ == 0 || new_letters) && !theme_.warning().empty()) toasts_.info(theme_.warning());
      applied_scale_ = scale;
      applied_look_ = look_;
    }
    const auto began = Clock::now();
    try {
      window_.frame([this](const InputEvent& event) { return take_event(event); }, [this] { frame(); });
      failed_frames_ = 0;
      write_landmarks();
    } catch (const GraphicsLost&) {
      throw;
    } catch (const std::exception& error) {
      toasts_.error("This view could not be drawn.", error.what());
      if (++failed_frames_ > kMostFailedFrames) throw;
    }
    if (!options_.frame_times.empty()) frame_times_.add(seconds_since(began), !queue_.is_idle());
    if (options_.slow_frames > 0) std::this_thread::sleep_for(std::chrono::milliseconds(options_.slow_frames));
    if (frames_until_screenshot > 0 && awaited_.empty() && !loader_.is_busy() && queue_.is_idle() && --frames_until_screenshot == 0) window_.request_screenshot();
    if (const auto picture = window_.take_screenshot()) {
      if (options_.screenshot.empty()) save_window_picture(*picture);
      else save_image(options_.screenshot, *picture);
      if (options_.close_after_screenshot) break;
    }
  }
}

bool DesktopApp::has_new_letters() {
  const Json prompt = editor_.parameter("prompt");
  const JournalEntry* const entry = queue_view_.selected_entry();
  return (prompt.is_string() && theme_.lacks(prompt.get_ref<const std::string&>())) || (entry != nullptr && theme_.lacks(entry->title)) || (shown_ && theme_.lacks(shown_->name));
}

bool DesktopApp::take_event(const InputEvent& event) {
  last_input_ = Clock::now();
  if (event.kind == InputEvent::Kind::kDrop) {
    drop(event.files, event.x, event.y);
    return true;
  }
  if (event.kind != InputEvent::Kind::kKey) return false;
  if (shortcuts_.is_listening()) {
    if (event.action == InputEvent::Action::kPress) shortcuts_.press(actions_, {event.modifiers, event.key});
    return true;
  }
  // A field that Enter has just closed still wants text until the next frame: what follows is no text any more.
  const bool typing = ImGui::GetIO().WantTextInput && ImGui::GetActiveID() != 0, asks = recovery_.is_open() && Chord{event.modifiers, event.key} != parse_chord("Ctrl+Q");
  const bool modal = (browser_.is_open() || palette_.is_open() || shelf_.is_open() || asks) && event.key != "F12";
  canvas_.holds_reference = !typing && (event.key == "Shift" ? event.action != InputEvent::Action::kRelease : canvas_.holds_reference);
  if (event.action == InputEvent::Action::kRelease || modal) return false;
  if (typing && event.key == "Escape") {  // leaves the field with what was typed; Dear ImGui would take it back
    ImGui::ClearActiveID();
    return true;
  }
  return actions_.dispatch({event.modifiers, event.key}, typing);
}

void DesktopApp::frame() {
  // Another program may have put right what was wrong with the form.
  if (const bool focused = window_.is_focused(); std::exchange(was_focused_, focused) != focused && focused) editor_.look_again();
  take_previews();
  take_exports();
  take_jobs();
  queue_view_.refresh();
  if (!awaited_.empty()) {
    if (const SharedPicture picture = loader_.picture(awaited_)) {
      shown_ = picture;
      preview_.reset();
      if (picture->carries_job && awaited_ == opened_) restore_from(opened_);
      awaited_.clear();
      opened_.clear();
    } else if (const std::string problem = loader_.problem(awaited_); !problem.empty()) {
      toasts_.error(fmt::format("{} cannot be shown.", awaited_.filename().string()), problem);
      awaited_.clear();
    }
  }
  if (!awaited_reference_.empty()) {
    if (const SharedPicture picture = loader_.picture(awaited_reference_)) {
      reference_ = picture;
      if (canvas_.compare() == Compare::kOff) canvas_.set_compare(Compare::kWipe);
      awaited_reference_.clear();
    } else if (!loader_.problem(awaited_reference_).empty()) {
      toasts_.error(fmt::format("{} cannot be shown.", awaited_reference_.filename().string()), loader_.problem(awaited_reference_));
      awaited_reference_.clear();
    }
  }
  if (timeline_.is_shown())
    if (const SharedPicture picture = timeline_.picture(now())) shown_ = picture;
  draw_menu();
  const ImVec2 screen = ImGui::GetIO().DisplaySize;
  const float top = ImGui::GetFrameHeight(), status = theme_.px(28), scale = theme_.px(1);
  const bool shows_right = shows_right_ || painter_.is_on();  // its tools
  // In a small window the canvas keeps its share.
  const float left = shows_left_ ? std::min(left_width_ * scale, 0.4f * screen.x) : 0, right = shows_right ? std::min(right_width_ * scale, 0.25f * screen.x) : 0;
  const float bottom = shows_bottom_ ? std::min(bottom_height_ * scale, 0.5f * screen.y) : 0;
  const float height = screen.y - top - status - bottom;
  if (shows_left_) draw_left({0, top}, {left, screen.y - top - status});
  draw_centre({left, top}, {screen.x - left - right, height});
  if (shows_right) draw_right({screen.x - right, top}, {right, height});
  if (shows_bottom_) draw_bottom({left, top + height}, {screen.x - left, bottom});
  draw_status({0, screen.y - status}, {screen.x, status});
  browser_.draw(theme_);
  shelf_.draw(theme_, shelf_commands());
  recovery_.draw(theme_, {.start_over = [this] { editor_.start_over(); }, .failed = [this](const std::string& problem) { toasts_.error(problem); }});
  palette_.draw(actions_, theme_);
  shortcuts_.draw(actions_, theme_, [this] { save_settings(); });
  toasts_.draw(theme_, now());
}

void DesktopApp::draw_menu() {
  if (!ImGui::BeginMainMenuBar()) return;
  const Scope bar(ImGui::EndMainMenuBar);
  for (const char* menu : {"File", "Edit", "Mask", "View", "Time", "Job", "Help"}) {
    if (!ImGui::BeginMenu(menu)) continue;
    const Scope open(ImGui::EndMenu);
    for (const Action& action : actions_.all()) {
      if (action.menu != menu) continue;
      std::string label = action.label;
      if (action.id == "edit.undo" && editor_.can_undo()) label += ": " + editor_.undo_label();
      if (action.id == "edit.redo" && editor_.can_redo()) label += ": " + editor_.redo_label();
      if (ImGui::MenuItem((label + "###" + action.id).c_str(), action.chord.empty() ? nullptr : to_string(action.chord).c_str(), false, action.enabled())) action.run();
      if (action.id == "file.open") draw_recent_menu();
    }
  }
  const char* const names[] = {"Create", "Compare", "Inspect", "Queue"};
  float width = 0;
  for (const char* name : names) width += ImGui::CalcTextSize(name).x + 2 * ImGui::GetStyle().ItemSpacing.x;
  ImGui::SetCursorPosX(ImGui::GetWindowWidth() - width - theme_.px(12));
  for (int i = 0; i < 4; ++i) {
    const bool chosen = static_cast<int>(layout_) == i;
    const ImVec2 text = ImGui::CalcTextSize(names[i]);
    const ImVec2 corner = ImGui::GetCursorScreenPos();
    ImGui::PushID(i);
    if (ImGui::InvisibleButton("layout", {text.x + ImGui::GetStyle().ItemSpacing.x, ImGui::GetFrameHeight()})) set_layout(static_cast<Layout>(i));
    tooltip(fmt::format("Layout {} (Ctrl+{})", names[i], i + 1));
    const ImU32 colour = chosen || ImGui::IsItemHovered() ? theme_.palette().text : theme_.palette().faint;
    ImDrawList& list = *ImGui::GetWindowDrawList();
    list.AddText({corner.x, corner.y + ImGui::GetStyle().FramePadding.y}, colour, names[i]);
    if (chosen) list.AddRectFilled({corner.x, corner.y + ImGui::GetFrameHeight() - theme_.px(2)}, {corner.x + text.x, corner.y + ImGui::GetFrameHeight()}, theme_.palette().accent);
    ImGui::PopID();
  }
}

void DesktopApp::draw_recent_menu() {
  if (!ImGui::BeginMenu("Open recent", !recent_.empty())) return;
  const Scope menu(ImGui::EndMenu);
  fs::path chosen;
  for (const fs::path& file : recent_) {
    if (ImGui::MenuItem(fmt::format("{}###{}", file.filename().string(), file.string()).c_str())) chosen = file;
    tooltip(file.string());
  }
  ImGui::Separator();
  if (ImGui::MenuItem("Forget these")) recent_.clear();
  if (!chosen.empty()) open_file(chosen);
}

void DesktopApp::draw_model_choice() {
  const float presets = theme_.px(84);
  model_.draw(ImGui::GetContentRegionAvail().x - presets - ImGui::GetStyle().ItemInnerSpacing.x);
  ImGui::SameLine(0, ImGui::GetStyle().ItemInnerSpacing.x);
  presets_.draw(editor_.method().name, presets, theme_, {.apply = [this](const std::string& name) { editor_.apply_preset(name); },
                                                         .save = [this](const std::string& name) { editor_.save_preset(name); },
                                                         .failed = [this](const std::string& problem) { toasts_.error(problem); }});
  model_.draw_problem(theme_);
}

void DesktopApp::draw_left(ImVec2 position, ImVec2 size) {
  const Scope window = panel("left", position, size, ImGuiWindowFlags_NoScrollbar);
  splitter("split left", true, {position.x + size.x - theme_.px(3), position.y}, {theme_.px(3), size.y}, left_width_, 300, 640, 1 / theme_.px(1));
  ImGui::SetCursorPos(ImGui::GetStyle().WindowPadding);
  ImGui::SetNextItemWidth(-FLT_MIN);
  ImGui::PushFont(theme_.fonts().title);
  const auto title = [](std::string name) {
    if (!name.empty()) name[0] = static_cast<char>(std::toupper(name[0]));
    return name;
  };
  if (ImGui::BeginCombo("##method", title(editor_.method().name).c_str())) {
    ImGui::PushFont(theme_.fonts().body);
    for (const Method* method : methods()) {
      if (ImGui::Selectable(title(method->name).c_str(), method == &editor_.method())) editor_.set_method(method->name);
      tooltip(method->summary);
    }
    ImGui::PopFont();
    ImGui::EndCombo();
  }
  ImGui::PopFont();
  draw_model_choice();
  const float button = theme_.px(40), foot = button + ImGui::GetStyle().ItemSpacing.y + theme_.px(4);
  editor_.find_problems();
  ImGui::BeginChild("form", {0, -foot});
  {
    const Scope child(ImGui::EndChild);
    form_.draw(editor_.method(), form_values(), output_and_device(), theme_);
  }
  const std::string problem = editor_.first_problem();
  const bool running = !queue_.is_idle();
  ImGui::BeginDisabled(!problem.empty());
  const float width = ImGui::GetContentRegionAvail().x, stop = running ? theme_.px(84) : 0;
  if (primary_button(running ? "Queue###run" : "Run###run", {width - (running ? stop + ImGui::GetStyle().ItemSpacing.x : 0), button}, theme_)) run_job(false);
  ImGui::EndDisabled();
  tooltip(problem.empty() ? "Ctrl+Enter; Ctrl+Shift+Enter puts it first" : problem);
  if (running) {
    ImGui::SameLine();
    if (ImGui::Button("Stop", {stop, button})) stop_job();
    tooltip("Stops the running job (Ctrl+.)");
  }
}

FormValues DesktopApp::form_values() {
  FormValues values;
  values.parameter = [this](const std::string& name) { return editor_.parameter(name); };
  values.change = [this](const ParameterDescription& description, const Json& value) { editor_.change(description, value); };
  values.input = [this](const std::string& name) { return editor_.input(name); };
  values.change_input = [this](const InputDescription& input, const std::vector<fs::path>& files) { editor_.change_input(input.name, files); };
  values.problem = [this](const std::string& name) { return editor_.problem(name); };
  values.browse = [this](const std::string& name, bool is_input) { choose_input(name, is_input); };
  values.look_for_models = [this] { known_models_.look(); };
  values.known_models = [this](const std::vector<std::string>& families) { return known_models_.of(families); };
  values.token_text = [this](const std::string& text) { return token_text(text); };
  values.thumbnail = [this](const fs::path& file) -> Texture* {
    const SharedPicture picture = loader_.thumbnail(file);
    return picture ? &picture->on_screen() : nullptr;
  };
  values.change_together = [this](const auto& all) { editor_.change(all); };
  values.reorder = [this](const InputDescription& input, const std::vector<size_t>& order) { editor_.reorder_input(input.name, order); };
  values.painted = [this](const std::string&, size_t index) { return painter_.summary(index); };
  values.paint = [this](const std::string&, size_t index) { painter_.start(MaskTool::kBrush, index); };
  if (style_input() != nullptr) values.open_library = [this](const InputDescription&, ImVec2 corner) { shelf_.open(corner); };
  values.keep = [this](const fs::path& file) { shelf_.keep(file); };
  values.is_painting = [this](const std::string&, size_t index) { return painter_.active() == index; };
  return values;
}

FormGroup DesktopApp::output_and_device() {
  FormGroup group{"Device and output", editor_.common_parameters(), form_values()};
  group.values.parameter = [this](const std::string& name) { return editor_.common(name); };
  group.values.change = [this](const ParameterDescription& description, const Json& value) { editor_.change_common(description.name, value); };
  group.values.browse = [this](const std::string& name, bool) {
    browser_.open({.title = "Choose a folder", .extensions = {}, .folders = true, .name = {}, .chosen = [this, name](const fs::path& chosen) {
      std::error_code error;
      editor_.change_common(name, (fs::is_directory(chosen, error) ? chosen : chosen.parent_path()).string());
    }});
  };
  return group;
}

std::string DesktopApp::token_text(const std::string& text) {
  const std::lock_guard lock(tokenizer_mutex_);
  if (!tokenizer_) return "";
  const size_t tokens = tokenizer_->encode(text).size() + 2, room = static_cast<size_t>(tokenizer_->options().length);
  return tokens <= room ? fmt::format("{} of {} tokens", tokens, room) : fmt::format("{} of {} tokens: the end is cut", tokens, room);
}

void DesktopApp::draw_toolbar() {
  const char* const names[] = {"Picture", "Wipe", "Side by side", "Flip", "Difference"};
  float wanted = theme_.px(canvas_.compare() == Compare::kDifference ? 270 : 150);
  for (const char* name : names) wanted += ImGui::CalcTextSize(name).x + 2 * ImGui::GetStyle().FramePadding.x + ImGui::GetStyle().ItemSpacing.x;
  const bool is_narrow = wanted > ImGui::GetContentRegionAvail().x;
  if (is_narrow) {  // one menu instead of five buttons
    ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, {ImGui::GetStyle().FramePadding.x, 0});
    ImGui::SetNextItemWidth(theme_.px(130));
    if (ImGui::BeginCombo("##compare", names[static_cast<int>(canvas_.compare())])) {
      const Scope combo(ImGui::EndCombo);
      for (int i = 0; i < 5; ++i)
        if (ImGui::Selectable(names[i], static_cast<int>(canvas_.compare()) == i, i > 0 && !reference_ ? ImGuiSelectableFlags_Disabled : 0)) canvas_.set_compare(static_cast<Compare>(i));
    }
    ImGui::PopStyleVar();
    ImGui::SameLine();
  }
  for (int i = 0; i < 5 && !is_narrow; ++i) {
    const bool chosen = static_cast<int>(canvas_.compare()) == i;
    ImGui::BeginDisabled(i > 0 && !reference_);
    if (chosen) ImGui::PushStyleColor(ImGuiCol_Button, ImGui::GetStyle().Colors[ImGuiCol_ButtonActive]);
    if (ImGui::SmallButton(names[i])) canvas_.set_compare(static_cast<Compare>(i));
    if (chosen) ImGui::PopStyleColor();
    ImGui::EndDisabled();
    if (i > 0) tooltip(reference_ ? (i == 3 ? "Hold Shift to see the other picture" : "Compares with " + reference_->name) : "Right-click a picture in the history and choose Compare");
    ImGui::SameLine();
  }
  if (canvas_.compare() == Compare::kDifference) {
    for (const int gain : {1, 4, 16}) {
      if (ImGui::SmallButton(fmt::format("{}x", gain).c_str())) canvas_.difference_gain = gain;
      ImGui::SameLine();
    }
  }
  const float right = ImGui::GetWindowPos().x + ImGui::GetWindowContentRegionMax().x - theme_.px(150);
  ImGui::SetCursorScreenPos({std::max(ImGui::GetCursorScreenPos().x, right), ImGui::GetCursorScreenPos().y});
  if (ImGui::SmallButton("Fit")) canvas_.fit();
  tooltip("F");
  ImGui::SameLine();
  if (ImGui::SmallButton("100 %")) canvas_.zoom_to(1);
  tooltip("Ctrl+0");
  ImGui::SameLine();
  faint(theme_, fmt::format("{:.0f} %", canvas_.scale() * 100));
}

void DesktopApp::draw_centre(ImVec2 position, ImVec2 size) {
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
  const Scope window = panel("centre", position, size, ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse);
  ImGui::PopStyleVar();
  ImGui::SetCursorPos({theme_.px(8), theme_.px(6)});
  draw_toolbar();
  ImGui::SetCursorPos({0, theme_.px(34)});
  const SharedPicture painted = painter_.picture(), picture = painter_.is_on() ? painted : shows_preview() ? preview_ : shown_;
  canvas_.show(picture, painter_.is_on() || shows_preview() ? nullptr : reference_);
  if (painter_.is_on()) canvas_.draw(theme_, [this](ImVec2 at, float scale, bool hovered) { return painter_.draw_over(theme_, at, scale, hovered, window_.pointer_events()); });
  else if (picture && shows_attention())
    canvas_.draw(theme_, [&](ImVec2 at, float scale, bool hovered) { return inspector_.draw_overlay(at, scale, hovered, picture->image.width, picture->image.height, theme_); });
  else canvas_.draw(theme_);
  if (picture) return;
  draw_empty_canvas(position, size);
}

void DesktopApp::draw_empty_canvas(ImVec2 position, ImVec2 size) {
  const auto centred = [&](float width, float line) { return ImVec2(position.x + (size.x - width) / 2, position.y + size.y / 2 + line * ImGui::GetFrameHeightWithSpacing()); };
  if (!awaited_.empty()) {
    const std::string line = fmt::format("Reading {} …", awaited_.filename().string());
    ImGui::GetWindowDrawList()->AddText(centred(ImGui::CalcTextSize(line.c_str()).x, 0), theme_.palette().faint, line.c_str());
    return;
  }
  const char* const line = "Drop a picture here, or write a prompt and press Ctrl+Enter";
  ImGui::GetWindowDrawList()->AddText(centred(ImGui::CalcTextSize(line).x, 0), theme_.palette().faint, line);
  fs::path chosen;
  for (size_t i = 0; i < std::min(recent_.size(), kRecentOffered); ++i) {
    const std::string name = fitted(recent_[i].filename().string(), theme_.px(280));
    ImGui::SetCursorScreenPos(centred(theme_.px(300), 1.5f + static_cast<float>(i)));
    if (ImGui::Button(fmt::format("{}###recent{}", name, i).c_str(), {theme_.px(300), 0})) chosen = recent_[i];
    tooltip(recent_[i].string());
  }
  if (!chosen.empty()) open_file(chosen);
}

void DesktopApp::draw_right(ImVec2 position, ImVec2 size) {
  const Scope window = panel("right", position, size);
  // Shorter than the panel by its padding, or the panel would scroll.
  splitter("split right", true, position, {theme_.px(3), size.y - 2 * ImGui::GetStyle().WindowPadding.y}, right_width_, 220, 640, -1 / theme_.px(1));
  ImGui::SetCursorPos(ImGui::GetStyle().WindowPadding);
  if (painter_.is_on()) return painter_.draw_panel(theme_);
  if (layout_ == Layout::kInspect) return inspector_.draw_panel(theme_, inspector_actions(), shown_ ? &shown_->image : nullptr);
  const SharedPicture picture = shows_preview() ? preview_ : shown_;
  section("PICTURE", theme_);
  if (!picture) {
    faint(theme_, "none");
    return;
  }
  ImGui::TextUnformatted(fitted(picture->name, ImGui::GetContentRegionAvail().x).c_str());
  faint(theme_, fmt::format("{} x {} px, {}", picture->image.width, picture->image.height, picture->image.channels == 1 ? "grey" : picture->image.channels == 4 ? "with alpha" : "RGB"));
  section("HISTOGRAM", theme_);
  const ImVec2 corner = ImGui::GetCursorScreenPos(), area = {ImGui::GetContentRegionAvail().x, theme_.px(72)};
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled(corner, {corner.x + area.x, corner.y + area.y}, theme_.palette().canvas, theme_.px(4));
  const Histogram& histogram = picture->histogram;
  const float highest = std::max(1.0f, *std::max_element(histogram.begin(), histogram.end()));
  const ImU32 colours[] = {IM_COL32(230, 90, 90, 140), IM_COL32(90, 190, 110, 140), IM_COL32(90, 130, 240, 140)};
  for (size_t c = 0; c < 3; ++c)
    for (size_t i = 0; i < 64; ++i) {
      const float height = area.y * std::sqrt(histogram[c * 64 + i] / highest), x = corner.x + area.x * static_cast<float>(i) / 64;
      list.AddRectFilled({x, corner.y + area.y - height}, {x + area.x / 64, corner.y + area.y}, colours[c]);
    }
  ImGui::Dummy(area);
  ImGui::Checkbox("False colours", &canvas_.false_colours);
  tooltip("Brightness as colours, from the darkest to the brightest value: for depth, masks and what lies in the dark (C)");
  if (const auto reading = canvas_.reading()) {
    const Image& image = picture->image;
    const uint8_t* value = image.pixels.data() + (reading->y * image.width + reading->x) * image.channels;
    std::string numbers;
    for (int64_t c = 0; c < image.channels; ++c) numbers += fmt::format("{:4d}", value[c]);
    ImGui::PushFont(theme_.fonts().mono);
    faint(theme_, fmt::format("{}, {}  {}", reading->x, reading->y, numbers));
    ImGui::PopFont();
  } else {
    faint(theme_, "point at a pixel to read it");
  }
  if (reference_ && reference_ != picture && !shows_preview()) comparison_.draw(picture, reference_, theme_);
  const JournalEntry* const entry = queue_view_.selected_entry();
  if (entry == nullptr) return;
  section("JOB", theme_);
  wrapped(theme_.palette().text, entry->title);
  faint(theme_, entry->method + " · " + entry->model);
  const Json& params = entry->job.value("params", Json::object());
  for (const char* name : {"seed", "steps", "guidance_scale", "strength", "sampler"})
    if (params.contains(name) && !params[name].is_null()) {
      const auto& all = editor_.method().parameters;
      const auto known = std::find_if(all.begin(), all.end(), [&](const ParameterDescription& d) { return d.name == name; });
      faint(theme_, known == all.end() ? name : known->label);
      ImGui::SameLine(theme_.px(100));
      ImGui::TextUnformatted((params[name].is_string() ? params[name].get<std::string>() : params[name].dump()).c_str());
    }
  int rating = static_cast<int>(entry->rating);
  if (rating_stars("rating", rating, theme_)) journal_.rate(entry->id, rating);
  if (ImGui::Button("Use these settings", {-FLT_MIN, 0})) use_entry(entry->id);
}

void DesktopApp::draw_bottom(ImVec2 position, ImVec2 size) {
  const Scope window = panel("bottom", position, size);
  splitter("split bottom", false, position, {size.x, theme_.px(3)}, bottom_height_, 120, 600, -1 / theme_.px(1));
  ImGui::SetCursorPos(ImGui::GetStyle().WindowPadding);
  if (!ImGui::BeginTabBar("bottom", ImGuiTabBarFlags_NoTooltip)) return;
  const Scope bar(ImGui::EndTabBar);
  queue_view_.draw(theme_, {.show = [this](int64_t id) { painter_.leave(), look_elsewhere(), show_entry(id); },
                            .use = [this](int64_t id) { use_entry(id); },
                            .compare = [this](int64_t id) { compare_entry(id); },
                            .use_as = [this](int64_t id, const Method& method, const InputDescription& input) { use_entry_as(id, method, input); },
                            .keep = [this](int64_t id) { keep_entry(id); },
                            .failed = [this](const std::string& problem) { toasts_.error(problem); }});
  tab(timeline_.label() + "###timeline", [this] { timeline_.draw(theme_, now()); }, timeline_.wants_front());
}

void DesktopApp::draw_status(ImVec2 position, ImVec2 size) {
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(theme_.px(12), theme_.px(5)));
  ImGui::PushStyleColor(ImGuiCol_WindowBg, theme_.palette().panel);
  {
    const Scope window = panel("status", position, size, ImGuiWindowFlags_NoScrollbar);
    ImGui::PushFont(theme_.fonts().small);
    const JobReport report = queue_.report();
    if (report.id != 0) {
      ImGui::ProgressBar(report.total > 0 ? static_cast<float>(report.done) / static_cast<float>(report.total) : 0, {theme_.px(160), theme_.px(14)}, "");
      ImGui::SameLine();
      ImGui::TextUnformatted(queue_view_.progress_line().c_str());
      if (!follows_) {
        ImGui::SameLine(0, theme_.px(12));
        if (ImGui::SmallButton("Watch")) follow();
        tooltip("Shows the running job again");
      }
    } else if (const std::string problem = editor_.first_problem(); !problem.empty()) {
      coloured(theme_.palette().warn, fitted(problem, size.x - theme_.px(360)));
    } else {
      faint(theme_, awaited_.empty() ? "Ready" : fmt::format("Reading {} …", awaited_.filename().string()));
    }
    const std::string keys = "Ctrl+Enter run · Ctrl+P actions · F1 help";
    ImGui::SameLine(size.x - ImGui::CalcTextSize(keys.c_str()).x - theme_.px(12));
    faint(theme_, keys);
    ImGui::PopFont();
  }
  ImGui::PopStyleColor();
  ImGui::PopStyleVar();
}

}  // namespace attelier::desktop
