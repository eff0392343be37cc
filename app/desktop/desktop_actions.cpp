// What the user can do, and what it does.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "app/desktop/desktop_app.h"
#include "app/session/queued_job.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/media/video_file.h"
#include "core/text/byte_pairs.h"

namespace attelier::desktop {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostRecent = 12;
constexpr const char* kSettingsFile = "desktop.json";
constexpr int64_t kPixelsPerLatent = 8;  // of every Stable Diffusion autoencoder

bool is_picture(const fs::path& file) {
  std::string extension = file.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(c));
  const auto& all = picture_extensions();
  return std::find(all.begin(), all.end(), extension) != all.end();
}

}  // namespace

void DesktopApp::add_actions() {
  const auto add = [&](const char* id, const char* label, const char* menu, const char* chord, std::function<void()> run, std::function<bool()> enabled = [] { return true; }, bool while_typing = false) {
    actions_.add({id, label, menu, parse_chord(chord), std::move(run), std::move(enabled), while_typing});
  };
  const auto has_picture = [this] { return shown_ != nullptr; };
  const auto runs = [this] { return !queue_.is_idle(); };
  add("file.open", "Open…", "File", "Ctrl+O", [this] {
    browser_.open({.title = "Open a picture, a video or a job", .extensions = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".json"}, .name = {}, .chosen = [this](const fs::path& file) { open_file(file); }});
  }, [] { return true; }, true);
  add("file.export", "Export picture…", "File", "Ctrl+E", [this] { export_picture(); }, has_picture, true);
  const auto has_job = [this] { return editor_.first_problem().empty(); };
  const auto to_text = [](const Job& job) { return dump(with_absolute_paths(job).to_json(), 2) + "\n"; };
  add("file.save_job", "Save the job…", "File", "Ctrl+S", [this, to_text] {
    browser_.open({.title = "Save the job", .extensions = {".json"}, .save = true, .name = "job.json", .chosen = [this, to_text](const fs::path& file) {
      use_job([this, to_text, file](const Job& job) {
        write_file_atomically(file, to_text(job));
        toasts_.info(fmt::format("Saved {}; attelier run {} runs it.", file.string(), file.filename().string()));
      });
    }});
  }, has_job, true);
  add("file.copy_job", "Copy the job as JSON", "File", "Ctrl+Shift+C", [this, to_text] {
    use_job([this, to_text](const Job& job) {
      ImGui::SetClipboardText(to_text(job).c_str());
      toasts_.info("The job is on the clipboard.");
    });
  }, has_job);
  add("file.quit", "Quit", "File", "Ctrl+Q", [this] { wants_to_quit_ = true; }, [] { return true; }, true);
  add("edit.undo", "Undo", "Edit", "Ctrl+Z", [this] { editor_.undo(); }, [this] { return editor_.can_undo(); });
  add("edit.redo", "Redo", "Edit", "Ctrl+Shift+Z", [this] { editor_.redo(); }, [this] { return editor_.can_redo(); });
  add("edit.redo_again", "Redo again", "", "Ctrl+Y", [this] { editor_.redo(); }, [this] { return editor_.can_redo(); });
  add("edit.prompt", "Edit the prompt", "Edit", "Ctrl+L", [this] {
    set_layout(Layout::kCreate);
    form_.focus_prompt();
  }, [] { return true; }, true);
  const auto in_prompt = [this] { return form_.prompt_editor().is_active(); };
  add("edit.heavier", "More weight to this word of the prompt", "Edit", "Ctrl+Up", [this] { form_.prompt_editor().change_weight(0.1); }, in_prompt, true);
  add("edit.lighter", "Less weight to this word of the prompt", "Edit", "Ctrl+Down", [this] { form_.prompt_editor().change_weight(-0.1); }, in_prompt, true);
  add("edit.presets", "Presets…", "Edit", "", [this] {
    if (!shows_left_) set_layout(Layout::kCreate);
    presets_.open();
  });
  add("edit.new_seed", "New seed", "Edit", "R", [this] {
    for (const ParameterDescription& d : editor_.method().parameters)
      if (d.name == "seed") editor_.change(d, new_seed());
  });
  add("job.run", "Run", "Job", "Ctrl+Enter", [this] { run_job(false); }, [] { return true; }, true);
  add("job.run_next", "Run as next", "Job", "Ctrl+Shift+Enter", [this] { run_job(true); }, [] { return true; }, true);
  add("job.stop", "Stop the running job", "Job", "Ctrl+.", [this] { stop_job(); }, runs, true);
  add("job.stop_after", "Stop after this picture", "Job", "", [this] { stop_job(StopVerb::kAfterPicture); }, runs, true);
  add("job.follow", "Watch the running job", "Job", "", [this] { follow(); }, [this] { return queue_.report().id != 0 && !shows_preview(); });
  add("job.pause", "Pause or resume the queue", "Job", "", [this] { queue_.pause(!queue_.is_paused()); });
  add("job.inspect", "Run and look into attention", "Job", "Ctrl+K", [this] {
    set_layout(Layout::kInspect);
    run_job(false, true);
  }, [] { return true; }, true);
  add("view.fit", "Fit", "View", "F", [this] { canvas_.fit(); }, has_picture);
  add("view.full_size", "100 %", "View", "Ctrl+0", [this] { canvas_.zoom_to(1); }, has_picture);
  add("view.zoom_in", "Zoom in", "View", "Ctrl++", [this] { canvas_.zoom_by(1.4142135623730951); }, has_picture);
  add("view.zoom_out", "Zoom out", "View", "Ctrl+-", [this] { canvas_.zoom_by(1 / 1.4142135623730951); }, has_picture);
  add("view.styles", "Style library…", "View", "Ctrl+Shift+L", [this] { shelf_.open({left_width_ * theme_.px(1), theme_.px(90)}); }, [] { return true; }, true);
  painter_.add_actions(actions_);
  timeline_.add_actions(actions_);
  const char* const compares[] = {"Picture alone", "Compare: wipe", "Compare: side by side", "Compare: flip", "Compare: difference"};
  for (int i = 0; i < 5; ++i)
    add(fmt::format("view.compare_{}", i).c_str(), compares[i], "View", i == 1 ? "V" : "", [this, i] { canvas_.set_compare(canvas_.compare() == static_cast<Compare>(i) ? Compare::kOff : static_cast<Compare>(i)); },
        [this, i] { return i == 0 || reference_ != nullptr; });
  add("view.false_colours", "False colours", "View", "C", [this] { canvas_.false_colours = !canvas_.false_colours; }, has_picture);
  add("view.set_reference", "Compare later pictures with this one", "View", "", [this] { reference_ = shown_; }, has_picture);
  const char* const layouts[] = {"Layout: create", "Layout: compare", "Layout: inspect", "Layout: queue"};
  for (int i = 0; i < 4; ++i) add(fmt::format("view.layout_{}", i + 1).c_str(), layouts[i], "View", fmt::format("Ctrl+{}", i + 1).c_str(), [this, i] { set_layout(static_cast<Layout>(i)); });
  add("view.panels", "Hide or show panels", "View", "Tab", [this] {
    const bool any = shows_left_ || shows_right_ || shows_bottom_;
    shows_left_ = shows_right_ = shows_bottom_ = !any;
  });
  add("view.full_screen", "Full screen", "View", "F11", [this] { window_.set_full_screen(!window_.is_full_screen()); }, [] { return true; }, true);
  add("view.look", "Light or dark", "View", "", [this] { look_ = look_ == Look::kDark ? Look::kLight : Look::kDark; });
  add("view.contrast", "High contrast", "View", "", [this] { look_ = look_ == Look::kContrast ? Look::kDark : Look::kContrast; });
  add("view.larger", "Larger interface", "View", "Ctrl+Alt++", [this] { user_scale_ = std::min(3.0, user_scale_ + 0.25); });
  add("view.smaller", "Smaller interface", "View", "Ctrl+Alt+-", [this] { user_scale_ = std::max(0.75, user_scale_ - 0.25); });
  add("help.palette", "All actions…", "Help", "Ctrl+P", [this] { palette_.open(); }, [] { return true; }, true);
  add("help.shortcuts", "Shortcuts", "Help", "F1", [this] { shortcuts_.toggle(); }, [] { return true; }, true);
  add("help.screenshot", "Save a picture of the window", "Help", "F12", [this] { window_.request_screenshot(); }, [] { return true; }, true);
  for (const Method* method : methods()) add(("method." + method->name).c_str(), ("Method: " + method->name).c_str(), "", "", [this, method] { editor_.set_method(method->name); });
  const fs::path file = config_folder() / kSettingsFile;
  std::error_code error;
  if (!fs::exists(file, error)) return;
  const Json settings = Json::parse(read_file(file), nullptr, false);
  if (settings.is_object())
    for (const std::string& complaint : actions_.rebind(settings.value("shortcuts", Json::object()))) toasts_.error(fmt::format("{}: {}", file.string(), complaint));
}

void DesktopApp::load_settings() {
  const fs::path file = config_folder() / kSettingsFile;
  std::error_code error;
  if (!fs::exists(file, error)) return;
  try {
    const Json settings = Json::parse(read_file(file));
    look_ = look_of(settings.value("look", std::string("dark")));
    user_scale_ = std::clamp(settings.value("scale", 1.0), 0.75, 3.0);
    left_width_ = std::clamp(settings.value("left_width", left_width_), 300.0f, 640.0f);
    right_width_ = std::clamp(settings.value("right_width", right_width_), 220.0f, 640.0f);
    bottom_height_ = std::clamp(settings.value("bottom_height", bottom_height_), 120.0f, 600.0f);
    set_layout(static_cast<Layout>(std::clamp(settings.value("layout", 0), 0, 3)));
    for (const std::string& file : settings.value("recent", std::vector<std::string>()))
      if (recent_.size() < kMostRecent) recent_.emplace_back(file);
  } catch (const std::exception& problem) {
    toasts_.error(file.string() + " cannot be read; the built-in settings are used.", problem.what());
  }
}

void DesktopApp::save_settings() const {
  const fs::path file = config_folder() / kSettingsFile;
  try {
    std::error_code error;
    Json settings = fs::exists(file, error) ? Json::parse(read_file(file), nullptr, false) : Json::object();
    if (!settings.is_object()) settings = Json::object();
    Json recent = Json::array();
    for (const fs::path& one : recent_)
      if (text::valid_utf8(one.string()) == one.string()) recent.push_back(one.string());  // JSON knows no other names
    settings.update({{"look", name_of(look_)}, {"scale", user_scale_}, {"left_width", left_width_}, {"right_width", right_width_},
                     {"bottom_height", bottom_height_}, {"layout", static_cast<int>(layout_)}, {"shortcuts", actions_.changes()}, {"recent", recent}});
    fs::create_directories(file.parent_path(), error);
    write_file_atomically(file, settings.dump(2) + "\n");
  } catch (const std::exception&) {  // the app closes all the same
  }
}

void DesktopApp::set_layout(Layout layout) {
  layout_ = layout;
  shows_left_ = layout == Layout::kCreate || layout == Layout::kInspect;
  shows_right_ = layout != Layout::kQueue;
  shows_bottom_ = layout != Layout::kInspect;
  bottom_height_ = layout == Layout::kQueue ? std::max(bottom_height_, 420.0f) : std::min(bottom_height_, 260.0f);
}

void DesktopApp::use_job(std::function<void(const Job&)> use) {
  if (auto job = editor_.job(); job.valid()) {
    jobs_.push_back({std::move(job), std::move(use)});
    take_jobs();
  } else {
    toasts_.error(editor_.first_problem());
  }
}

void DesktopApp::take_jobs(bool all) {
  while (!jobs_.empty() && (all || jobs_.front().job.wait_for(std::chrono::seconds(0)) != std::future_status::timeout)) {
    ComingJob next = std::move(jobs_.front());
    jobs_.pop_front();
    try {
      next.use(next.job.get());
    } catch (const std::exception& error) {  // no memory for a large mask either; the window may be closing
      toasts_.error(error.what());
    }
  }
}

void DesktopApp::run_job(bool first, bool watched) {
  editor_.look_again();
  use_job([this, first, watched](const Job& job) {
    const auto watch = watched ? std::make_shared<AttentionWatch>() : nullptr;
    const int64_t id = queue_.add(job, first, watch);
    unfinished_.push_back(id);
    follows_ = true;
    if (watch) inspector_.watch(id, watch);
    painter_.leave();
    timeline_.leave();
  });
}

bool DesktopApp::shows_attention() const {
  if (timeline_.is_shown()) return false;
  if (layout_ != Layout::kInspect || inspector_.job() == 0) return false;
  return shows_preview() ? previewed_ == inspector_.job() : queue_view_.selected() == inspector_.job();
}

InspectorActions DesktopApp::inspector_actions() {
  const auto description = [this] {
    const auto& all = editor_.method().parameters;
    const auto found = std::find_if(all.begin(), all.end(), [](const ParameterDescription& d) { return d.name == "attention"; });
    return found == all.end() ? nullptr : &*found;
  };
  return {.run = [this](bool beside) {
            if (beside && shown_) {
              reference_ = shown_;
              canvas_.set_compare(Compare::kSideBySide);
            }
            run_job(false, true);
          },
          .edits = [this, description] {
            const ParameterDescription* const known = description();
            if (known == nullptr) return Json();
            const Json texts = editor_.parameter("attention");
            return texts.is_array() ? texts : Json::array();
          },
          .change_edits = [this, description](const Json& texts) {
            if (const ParameterDescription* const known = description()) editor_.change(*known, texts);
          },
          .steps = [this] {
            const Json steps = editor_.parameter("steps");
            return steps.is_number_integer() ? steps.get<int64_t>() : 30;
          },
          .choose_file = [this](const std::function<void(const fs::path&)>& chosen) {
            browser_.open({.title = "Export the map", .extensions = {".png", ".npy", ".csv"}, .save = true, .name = "attention.png", .chosen = chosen});
          },
          .failed = [this](const std::string& problem) { toasts_.error(problem); },
          .tell = [this](const std::string& text) { toasts_.info(text); }};
}

void DesktopApp::follow() {
  follows_ = true;
  timeline_.leave();
}

void DesktopApp::stop_job(StopVerb verb) {
  if (const int64_t id = queue_.report().id; id != 0) queue_.cancel(id, verb);
}

void DesktopApp::take_previews() {
  if (auto preview = queue_.take_preview()) {
    previewed_ = preview->id;
    // A preview is as small as the latent; it is shown as large as the result will be, so that the view stays where it is.
    preview_ = make_picture(resize_lanczos(preview->image, preview->image.width * kPixelsPerLatent, preview->image.height * kPixelsPerLatent), fmt::format("preview, step {}", preview->step + 1));
    timeline_.add_preview(preview->id, preview->step, std::move(preview->image), kPixelsPerLatent);
    if (previewed_ == inspector_.job()) inspector_.refresh();
  }
  for (const int64_t id : {previewed_, queue_.report().id})
    if (id != 0 && std::find(unfinished_.begin(), unfinished_.end(), id) == unfinished_.end()) {
      unfinished_.push_back(id);
      seen_version_ = -1;
    }
  if (unfinished_.empty()) return;
  const int64_t version = journal_.version();
  if (std::exchange(seen_version_, version) == version) return;
  const std::vector<JournalEntry> entries = journal_.brief_entries(unfinished_);
  unfinished_.clear();
  for (const JournalEntry& entry : entries)
    if (entry.state == JobState::kQueued || entry.state == JobState::kRunning) unfinished_.push_back(entry.id);
    else end_of_job(entry);
  if (std::find(unfinished_.begin(), unfinished_.end(), previewed_) == unfinished_.end()) {  // it ended, or was forgotten
    previewed_ = 0;
    preview_.reset();
  }
}

void DesktopApp::end_of_job(const JournalEntry& entry) {
  if (entry.id == inspector_.job()) inspector_.job_ended();
  editor_.look_again();  // it may have made what the form lacks
  const std::string title = entry.title.empty() ? entry.method : entry.title;
  if (entry.state == JobState::kDone && !entry.files.empty()) {
    if (follows_) show_entry(entry.id);
    else toasts_.info(fmt::format("Finished: {}", title));
  }
  if (entry.state == JobState::kFailed) toasts_.error(fmt::format("{} failed.", title), entry.error);
  if (entry.state == JobState::kCancelled) toasts_.info("Stopped.");
}

void DesktopApp::show_entry(int64_t id) {
  const JournalEntry entry = journal_.entry(id);
  queue_view_.select(id);
  timeline_.leave();
  if (!entry.files.empty()) awaited_ = entry.files.front();
}

void DesktopApp::compare_entry(int64_t id) {
  const JournalEntry entry = journal_.entry(id);
  if (!entry.files.empty()) awaited_reference_ = entry.files.front();
}

void DesktopApp::use_entry(int64_t id) {
  try {
    editor_.restore(journal_.entry(id).job);
    toasts_.info("The form has the settings of this picture. Ctrl+Z goes back.");
  } catch (const Error& error) {
    toasts_.error(error.what());
  }
}

void DesktopApp::use_entry_as(int64_t id, const Method& method, const InputDescription& input) {
  const JournalEntry entry = journal_.entry(id);
  if (entry.files.empty()) return;
  editor_.set_method(method.name);
  add_input(input, entry.files.front());
}

void DesktopApp::keep_entry(int64_t id) {
  const JournalEntry entry = journal_.entry(id);
  if (!entry.files.empty()) shelf_.keep(entry.files.front());
}

const InputDescription* DesktopApp::style_input() const {
  const auto& inputs = editor_.method().inputs;
  const auto found = std::find_if(inputs.begin(), inputs.end(), [](const InputDescription& input) { return input.name == "style"; });
  return found == inputs.end() ? nullptr : &*found;
}

ShelfCommands DesktopApp::shelf_commands() {
  return {.use = [this](const fs::path& picture) {
            if (style_input() == nullptr) editor_.set_method("style");
            if (const InputDescription* const input = style_input()) add_input(*input, picture);
          },
          .add_file = [this] { browser_.open({.title = "Keep a picture as a style", .extensions = picture_extensions(), .name = {}, .chosen = [this](const fs::path& file) { shelf_.keep(file); }}); },
          .failed = [this](const std::string& problem) { toasts_.error(problem); },
          .tell = [this](const std::string& text) { toasts_.info(text); }};
}

void DesktopApp::restore_from(const fs::path& file) {
  try {
    editor_.restore(load_job(file).json);
    toasts_.info(fmt::format("The form has the settings of {}.", file.filename().string()));
  } catch (const Error& error) {
    toasts_.error(error.what());
  }
}

void DesktopApp::open_file(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return toasts_.error(file.string() + " is not there.");
  const std::string extension = file.extension().string();
  if (extension == ".json") return remember_file(file), restore_from(file);
  if (ModelChoice::is_checkpoint_name(file) || fs::is_directory(file, error)) return model_.choose(file);
  if (is_video_name(file)) return open_video(file);
  if (!is_picture(file)) return toasts_.error(fmt::format("{} is no kind of file that is known here; pictures, videos, jobs (.json, or pictures that carry one) and checkpoints are.", file.filename().string()));
  painter_.leave();
  look_elsewhere();
  queue_view_.select(0);
  awaited_ = opened_ = file;
  remember_file(file);
}

void DesktopApp::remember_file(const fs::path& file) {
  const fs::path whole = fs::absolute(file).lexically_normal();
  std::erase(recent_, whole);
  recent_.insert(recent_.begin(), whole);
  if (recent_.size() > kMostRecent) recent_.pop_back();
}

void DesktopApp::open_video(const fs::path& file) {
  try {
    timeline_.open(file);
    painter_.leave();
    queue_view_.select(0);
    shows_bottom_ = true;
  } catch (const Error& error) {
    toasts_.error(fmt::format("{} cannot be shown.", file.filename().string()), error.what());
  }
}

void DesktopApp::drop(const std::vector<fs::path>& files, double x, double y) {
  // Onto the form: an input. Anywhere else: opened.
  const bool on_form = shows_left_ && x < std::min(left_width_ * theme_.px(1), 0.4f * ImGui::GetIO().DisplaySize.x);
  for (const fs::path& file : files) {
    if (!on_form || !is_picture(file) || editor_.method().inputs.empty()) {
      open_file(file);
      continue;
    }
    // The input it was dropped on, else the first that still has room, else the first.
    const auto& inputs = editor_.method().inputs;
    const std::string hit = form_.input_at(x, y);
    const auto of = [&](const auto& wanted) { return std::find_if(inputs.begin(), inputs.end(), wanted); };
    auto found = of([&](const InputDescription& input) { return input.name == hit; });
    if (found == inputs.end()) found = of([&](const InputDescription& input) { return input.one_per.empty() && editor_.input(input.name).empty(); });
    add_input(found == inputs.end() ? inputs.front() : *found, fs::absolute(file));
  }
  if (!on_form && std::count_if(files.begin(), files.end(), is_picture) > 1) toasts_.info("The last picture is shown. File, Open recent has the others.");
}

void DesktopApp::add_input(const InputDescription& input, const fs::path& file) {
  std::vector<fs::path> all = input.several ? editor_.input(input.name) : std::vector<fs::path>();
  if (input.most > 0 && all.size() >= input.most) return toasts_.info(fmt::format("{} takes {} pictures at most; take one away first.", input.name, input.most));
  all.push_back(file);
  editor_.change_input(input.name, all);
  toasts_.info(fmt::format("{} is {} {} now.", file.filename().string(), all.size() > 1 ? "another" : "the", input.name));
}

void DesktopApp::choose_input(const std::string& name, bool is_input) {
  if (is_input)
    return browser_.open({.title = "Choose a picture: " + name, .extensions = picture_extensions(), .name = {}, .chosen = [this, name](const fs::path& file) {
      for (const InputDescription& input : editor_.method().inputs)
        if (input.name == name) add_input(input, file);
    }});
  browser_.open({.title = "Choose a file: " + name, .extensions = {}, .folders = true, .name = {}, .chosen = [this, name](const fs::path& file) {
    for (const ParameterDescription& d : editor_.method().parameters)
      if (d.name == name) editor_.change(d, d.type == ParameterType::kModels ? Json::array({file.string()}) : Json(file.string()));
  }});
}

void DesktopApp::save_window_picture(const Image& picture) {
  const fs::path folder = editor_.pictures_folder();
  try {
    fs::create_directories(folder);
    fs::path file;
    for (int n = 0; n == 0 || fs::exists(file); ++n) file = folder / fmt::format("window_{}.png", n);
    save_image(file, picture);
    toasts_.info("Saved " + file.string());
  } catch (const std::exception& error) {
    toasts_.error(error.what());
  }
}

void DesktopApp::export_picture() {
  browser_.open({.title = "Export picture", .extensions = picture_extensions(), .save = true, .name = fs::path(shown_->name).stem().string() + ".png", .chosen = [this, picture = shown_](const fs::path& file) {
    // A large picture takes seconds.
    exports_.push_back({picture, file, std::async(std::launch::async, [image = &picture->image, file] { save_image(file, *image); })});
  }});
}

void DesktopApp::take_exports() {
  std::erase_if(exports_, [this](Export& one) {
    if (one.saving.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return false;
    try {
      one.saving.get();
      toasts_.info("Saved " + one.file.string());
    } catch (const std::exception& error) {
      toasts_.error(fmt::format("{} was not saved.", one.file.string()), error.what());
    }
    return true;
  });
}

}  // namespace attelier::desktop
