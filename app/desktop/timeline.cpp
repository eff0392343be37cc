#include "app/desktop/timeline.h"

#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "app/desktop/landmarks.h"
#include "app/desktop/widgets.h"
#include "core/base/error.h"

namespace attelier::desktop {
namespace {

constexpr size_t kMostPreviews = 1000;
constexpr double kPreviewsPerSecond = 8;
constexpr double kNever = 1e9;

/// "1:02.48", of a frame.
std::string time_text(double seconds) {
  const auto minutes = static_cast<int64_t>(seconds / 60);
  return fmt::format("{}:{:05.2f}", minutes, seconds - 60 * static_cast<double>(minutes));
}

}  // namespace

void Timeline::open(const std::filesystem::path& video) {
  auto opened = std::make_unique<VideoFrames>(video, wake_);
  video_ = std::move(opened);
  set_aside_.clear();
  previews_.clear();
  small_.clear();
  job_ = 0;
  playhead_.set_length(video_->count(), video_->frames_per_second());
  playhead_.rewind();
  picture_.reset();
  picture_index_ = -1;
  shown_ = wants_front_ = true;
}

void Timeline::open_again() {
  try {
    open(std::filesystem::path(set_aside_));
  } catch (const Error& error) {
    toasts_.error(fmt::format("{} cannot be shown.", set_aside_.filename().string()), error.what());
    set_aside_.clear();
  }
}

void Timeline::add_preview(int64_t job, int64_t step, Image image, int64_t scale) {
  if (job != job_) {
    if (shown_) return;  // somebody looks at what is here
    if (video_) set_aside_ = video_->path();
    video_.reset();
    previews_.clear();
    small_.clear();
    picture_index_ = -1;
    playhead_.rewind();
    job_ = job;
  }
  scale_ = scale;
  if (previews_.size() == kMostPreviews) {  // every second one stays
    for (size_t i = 0; 2 * i < previews_.size(); ++i) previews_[i] = std::move(previews_[2 * i]);
    previews_.resize(previews_.size() / 2);
    small_.clear();
    picture_index_ = -1;
  }
  previews_.push_back({step, std::move(image)});
  playhead_.set_length(static_cast<int64_t>(previews_.size()), kPreviewsPerSecond);
}

void Timeline::leave() {
  shown_ = false;
  playhead_.pause();
}

void Timeline::show(int64_t index) {
  playhead_.go(index);
  shown_ = !is_empty();
}

SharedPicture Timeline::picture(double now) {
  now_ = now;
  if (saving_ && saving_->is_over) {
    if (!saving_->failed.empty()) toasts_.error("The video could not be saved.", saving_->failed);
    else if (!saving_->told.empty()) toasts_.info(saving_->told);
    saving_.reset();
  }
  if (video_) playhead_.set_length(video_->count(), video_->frames_per_second());
  const int64_t index = playhead_.advance(now);
  if (index == picture_index_ || is_empty()) return picture_;
  if (video_) {
    if (const VideoFrames::Frame frame = video_->frame(index)) {
      picture_ = make_picture(*frame, fmt::format("{}, frame {}", video_->path().filename().string(), index));
      picture_index_ = index;
    }
  } else {
    const Preview& preview = previews_[static_cast<size_t>(index)];
    picture_ = make_picture(resize_lanczos(preview.image, preview.image.width * scale_, preview.image.height * scale_), fmt::format("preview, step {}", preview.step + 1));
    picture_index_ = index;
  }
  return picture_;
}

double Timeline::seconds_to_next(double now) const { return playhead_.seconds_to_next(now).value_or(kNever); }

std::string Timeline::label() const { return !video_ ? "Timeline" : fmt::format("Timeline ({})", playhead_.count()); }

std::string Timeline::place() const {
  const int64_t index = playhead_.index();
  if (!video_) return fmt::format("step {} · {} of {} previews", previews_[static_cast<size_t>(index)].step + 1, index + 1, playhead_.count());
  const double rate = video_->frames_per_second();
  return fmt::format("frame {} of {} · {} · {:.4g} frames a second · {} x {}", index, playhead_.count(), time_text(static_cast<double>(index) / rate), rate, video_->width(), video_->height());
}

void Timeline::add_actions(Actions& actions) {
  const auto add = [&](const char* id, const char* label, const char* chord, std::function<void()> run) {
    actions.add({id, label, "Time", parse_chord(chord), std::move(run), [this] { return !is_empty(); }});
  };
  add("time.play", "Play or pause", "P", [this] {
    if (playhead_.is_playing()) return playhead_.pause();
    playhead_.play(now_);
    shown_ = true;
  });
  add("time.back", "One frame back", ",", [this] { show(playhead_.index() - 1); });
  add("time.on", "One frame on", ".", [this] { show(playhead_.index() + 1); });
  add("time.start", "First frame", "Home", [this] { show(playhead_.first()); });
  add("time.end", "Last frame", "End", [this] { show(playhead_.last()); });
  add("time.from_here", "Range begins here", "I", [this] { playhead_.begin_at(playhead_.index()); });
  add("time.to_here", "Range ends here", "O", [this] { playhead_.end_at(playhead_.index()); });
  add("time.whole", "Range: everything", "", [this] { playhead_.clear_range(); });
  add("time.loop", "Loop", "Shift+L", [this] { playhead_.loops = !playhead_.loops; });
  actions.add({"time.save", "Save the range as a video…", "Time", {}, [this] { save_range(); }, [this] { return video_ != nullptr && !saving_; }});
}

void Timeline::save_range() {
  browser_.open({.title = "Save the range as a video", .extensions = {".mp4", ".m4v", ".mov", ".avi", ".mkv"}, .save = true, .name = video_->path().stem().string() + "_cut.mp4",
                 .chosen = [this](const std::filesystem::path& file) {
                   if (!video_) return;
                   saving_ = std::make_unique<Saving>();
                   Saving& saving = *saving_;
                   const int64_t first = playhead_.first(), last = playhead_.last();
                   saving.total = last - first + 1;
                   saving.thread = std::jthread([this, &saving, from = video_->path(), file, first, last](const std::stop_token& stop) {
                     try {
                       save_video_range(from, first, last, file, stop, [&](int64_t done) { saving.done = done, wake_(); });
                       saving.told = "Saved " + file.string();
                     } catch (const Interrupted&) {
                     } catch (const std::exception& error) {
                       saving.failed = error.what();
                     }
                     saving.is_over = true;
                     wake_();
                   });
                 }});
}

void Timeline::draw(const Theme& theme, double now) {
  now_ = now;
  if (is_empty()) {
    faint(theme, "Drop a video here to step through its frames. While a job runs, its previews gather here, from noise to picture.");
    return;
  }
  draw_controls(theme, now);
  draw_strip(theme);
}

void Timeline::draw_controls(const Theme& theme, double now) {
  const float gap = theme.px(12);
  if (ImGui::Button(playhead_.is_playing() ? "Pause###play" : "Play###play", {theme.px(64), 0})) {
    if (playhead_.is_playing()) {
      playhead_.pause();
    } else {
      playhead_.play(now);
      shown_ = true;
    }
  }
  tooltip("P");
  ImGui::SameLine();
  if (ImGui::ArrowButton("back", ImGuiDir_Left)) show(playhead_.index() - 1);
  tooltip("One frame back (,)");
  ImGui::SameLine(0, theme.px(2));
  if (ImGui::ArrowButton("on", ImGuiDir_Right)) show(playhead_.index() + 1);
  tooltip("One frame on (.)");
  ImGui::SameLine(0, gap);
  ImGui::Checkbox("Loop", &playhead_.loops);
  tooltip("Shift+L");
  ImGui::SameLine(0, gap);
  if (ImGui::Button("From here")) playhead_.begin_at(playhead_.index());
  tooltip("The range that plays and is saved begins here (I)");
  ImGui::SameLine();
  if (ImGui::Button("To here")) playhead_.end_at(playhead_.index());
  tooltip("The range ends here (O)");
  if (playhead_.has_range()) {
    ImGui::SameLine();
    if (ImGui::Button("Whole")) playhead_.clear_range();
    tooltip(fmt::format("Now {} to {}", playhead_.first(), playhead_.last()));
  }
  if (video_) {
    ImGui::SameLine(0, gap);
    if (saving_) {
      ImGui::ProgressBar(static_cast<float>(saving_->done) / static_cast<float>(std::max<int64_t>(1, saving_->total)), {theme.px(110), 0}, "saving");
      ImGui::SameLine();
      if (ImGui::Button("Stop")) saving_->thread.request_stop();
    } else if (ImGui::Button("Save range…")) {
      save_range();
    }
  }
  if (!set_aside_.empty()) {
    ImGui::SameLine(0, gap);
    if (ImGui::Button(fmt::format("Back to {}###back to video", fitted(set_aside_.filename().string(), theme.px(140))).c_str())) open_again();
    mark("back to the video");
  }
  ImGui::SameLine(0, gap);
  ImGui::AlignTextToFramePadding();
  if (video_ && !video_->problem().empty()) coloured(theme.palette().bad, fitted(video_->problem(), ImGui::GetContentRegionAvail().x));
  else faint(theme, fitted(place(), ImGui::GetContentRegionAvail().x));
}

std::vector<SharedPicture> Timeline::thumbnails(const std::vector<int64_t>& indices) {
  std::vector<SharedPicture> found;
  if (video_) {
    const std::vector<VideoFrames::Frame> frames = video_->thumbnails(indices);
    for (size_t i = 0; i < indices.size(); ++i) {
      SharedPicture& small = small_[indices[i]];
      if (!small && frames[i]) small = make_picture(*frames[i], "");
      found.push_back(small);
    }
  } else {
    for (const int64_t index : indices) {
      SharedPicture& small = small_[index];
      if (!small) small = make_picture(previews_[static_cast<size_t>(index)].image, "");
      found.push_back(small);
    }
  }
  return found;
}

void Timeline::draw_strip(const Theme& theme) {
  const ImVec2 from = ImGui::GetCursorScreenPos(), area = {ImGui::GetContentRegionAvail().x, std::max(theme.px(40), ImGui::GetContentRegionAvail().y)};
  const ImVec2 to = {from.x + area.x, from.y + area.y};
  ImGui::InvisibleButton("strip", area);
  const int64_t count = playhead_.count();
  if (ImGui::IsItemActive()) {
    const auto index = static_cast<int64_t>((ImGui::GetIO().MousePos.x - from.x) / area.x * static_cast<float>(count));
    if (index != playhead_.index() || !shown_) show(index);
  }
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled(from, to, theme.palette().canvas, theme.px(4));
  // As many pictures as fit at their own shape, each of the frame in the middle of its part.
  const double shape = video_ ? static_cast<double>(video_->width()) / static_cast<double>(std::max<int64_t>(1, video_->height()))
                              : static_cast<double>(previews_[0].image.width) / static_cast<double>(previews_[0].image.height);
  const float height = area.y - theme.px(8);
  const auto places = static_cast<int64_t>(std::clamp(std::floor(area.x / (static_cast<float>(shape) * height + theme.px(2))), 1.0f, static_cast<float>(count)));
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < places; ++i) indices.push_back((2 * i + 1) * count / (2 * places));
  const float pitch = area.x / static_cast<float>(places);
  const std::vector<SharedPicture> pictures = thumbnails(indices);
  for (size_t i = 0; i < pictures.size(); ++i) {
    if (!pictures[i]) continue;
    const float width = std::min(static_cast<float>(shape) * height, pitch - theme.px(2)), tall = width / static_cast<float>(shape);
    const ImVec2 corner = {from.x + (static_cast<float>(i) + 0.5f) * pitch - width / 2, from.y + (area.y - tall) / 2};
    pictures[i]->on_screen().draw(list, corner, {corner.x + width, corner.y + tall}, false);
  }
  const auto x_of = [&](int64_t index) { return from.x + area.x * static_cast<float>(index) / static_cast<float>(count); };
  if (playhead_.has_range()) {
    constexpr ImU32 kShade = IM_COL32(0, 0, 0, 150);
    list.AddRectFilled(from, {x_of(playhead_.first()), to.y}, kShade);
    list.AddRectFilled({x_of(playhead_.last() + 1), from.y}, to, kShade);
  }
  const float x = 0.5f * (x_of(playhead_.index()) + x_of(playhead_.index() + 1));
  list.AddRectFilled({x - theme.px(1), from.y}, {x + theme.px(1), to.y}, shown_ ? theme.palette().accent : theme.palette().faint);
  list.AddTriangleFilled({x - theme.px(5), from.y}, {x + theme.px(5), from.y}, {x, from.y + theme.px(7)}, shown_ ? theme.palette().accent : theme.palette().faint);
}

}  // namespace attelier::desktop
