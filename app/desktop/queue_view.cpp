#include "app/desktop/queue_view.h"

#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>

#include "app/desktop/editor.h"
#include "app/desktop/landmarks.h"
#include "app/desktop/widgets.h"

namespace attelier::desktop {
namespace {

constexpr double kGallerySide = 148;  // pixels of the design

const char* state_word(JobState state) {
  switch (state) {
    case JobState::kQueued: return "waits";
    case JobState::kRunning: return "runs";
    case JobState::kDone: return "done";
    case JobState::kFailed: return "failed";
    case JobState::kCancelled: return "cancelled";
    case JobState::kInterrupted: return "interrupted";
  }
  return "";
}

ImU32 state_colour(JobState state, const Palette& palette) {
  switch (state) {
    case JobState::kRunning: return palette.accent;
    case JobState::kDone: return palette.good;
    case JobState::kFailed: return palette.bad;
    case JobState::kInterrupted: return palette.warn;
    default: return palette.faint;
  }
}

}  // namespace

std::string date_text(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  char text[32] = "";
  if (localtime_r(&time, &parts) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts);
  return text;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::ceil(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

void QueueView::refresh() {
  search_.limit = std::numeric_limits<int64_t>::max();
  const int64_t version = journal_.version();
  if (version == version_ && search_.words == searched_) return;
  version_ = version;
  searched_ = search_.words;
  waiting_.show(journal_.queue_ids());
  made_.show(journal_.history_ids(search_));
}

const JournalEntry* QueueView::selected_entry() {
  if (selected_version_ != version_ || !selected_entry_ || selected_entry_->id != selected_) {
    selected_version_ = version_;
    selected_entry_.reset();
    try {
      if (selected_ != 0) selected_entry_ = journal_.entry(selected_);
    } catch (const Error&) {  // it was forgotten
    }
  }
  return selected_entry_ ? &*selected_entry_ : nullptr;
}

std::string QueueView::progress_line() const {
  const JobReport report = queue_.report();
  if (report.id == 0) return "";
  std::string text = report.stage;
  if (report.total > 0) text += fmt::format(" {} of {}", report.done, report.total);
  if (report.remaining_seconds) text += fmt::format(" · {} left", duration_text(*report.remaining_seconds));
  else text += fmt::format(" · {}", duration_text(report.elapsed_seconds));
  if (report.memory_bytes > 0) text += fmt::format(" · {:.1f} GB", static_cast<double>(report.memory_bytes) / 1e9);
  return text;
}

void QueueView::guarded(const QueueCommands& commands, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    commands.failed(error.what());
  }
}

void QueueView::draw(const Theme& theme, const QueueCommands& commands) {
  tab(fmt::format("History ({})###history", made_.size()), [&] { draw_made(theme, commands); });
  tab(fmt::format("Queue ({})###queue", waiting_.size()), [&] { draw_waiting(theme, commands); });
}

void QueueView::menu(const JournalEntry& entry, const Theme&, const QueueCommands& commands) {
  if (!ImGui::BeginPopupContextItem("menu")) return;
  const Scope popup(ImGui::EndPopup);
  const bool waits = entry.state == JobState::kQueued, runs = entry.state == JobState::kRunning;
  if (!entry.files.empty() && ImGui::MenuItem("Show")) commands.show(entry.id);
  if (!entry.files.empty() && ImGui::MenuItem("Compare with what is shown")) commands.compare(entry.id);
  if (ImGui::MenuItem("Use these settings")) commands.use(entry.id);
  if (!entry.files.empty() && ImGui::BeginMenu("Use the picture as")) {
    const Scope open(ImGui::EndMenu);
    for (const Method* method : methods())
      for (const InputDescription& input : method->inputs)
        if (input.one_per.empty() && ImGui::MenuItem(fmt::format("{} of {}", input.name, method->name).c_str())) commands.use_as(entry.id, *method, input);
  }
  if (!entry.files.empty() && ImGui::MenuItem("Keep in the style library")) commands.keep(entry.id);
  ImGui::Separator();
  if (ImGui::MenuItem("Make again")) guarded(commands, [&] { queue_.duplicate(entry.id); });
  if (ImGui::MenuItem("Make again with another seed"))
    guarded(commands, [&] { queue_.duplicate(entry.id, new_seed()); });
  if (!waits && !runs && entry.state != JobState::kDone && ImGui::MenuItem(entry.files.empty() ? "Try again" : "Make the rest")) guarded(commands, [&] { journal_.requeue(entry.id); });
  if ((waits || runs || entry.state == JobState::kInterrupted) && ImGui::MenuItem(runs ? "Stop" : "Take out of the queue")) guarded(commands, [&] { queue_.cancel(entry.id); });
  if (waits && ImGui::MenuItem("Run next"))
    guarded(commands, [&, id = entry.id] {
      for (size_t i = 0; i < waiting_.size(); ++i)
        if (const JournalEntry* const first = waiting_.at(i); first != nullptr && first->state == JobState::kQueued) {
          if (first->id != id) journal_.move(id, first->id);
          return;
        }
    });
  ImGui::Separator();
  if (ImGui::MenuItem("Copy job")) guarded(commands, [&] { ImGui::SetClipboardText(journal_.entry(entry.id).job.dump(2, ' ', false, Json::error_handler_t::replace).c_str()); });
  if (!entry.files.empty() && ImGui::MenuItem("Copy file path")) ImGui::SetClipboardText(entry.files.front().string().c_str());
  if (!entry.error.empty() && ImGui::MenuItem("Copy error")) ImGui::SetClipboardText(entry.error.c_str());
  if (!waits && !runs && ImGui::MenuItem("Forget (the picture stays)")) guarded(commands, [&] { journal_.remove(entry.id); });
}

void QueueView::draw_waiting(const Theme& theme, const QueueCommands& commands) {
  bool paused = queue_.is_paused();
  if (ImGui::Checkbox("Pause after the running job", &paused)) queue_.pause(paused);
  ImGui::BeginChild("waiting");
  const Scope child(ImGui::EndChild);
  if (waiting_.empty()) {
    faint(theme, "Nothing waits. Ctrl+Enter puts what the form says into the queue.");
    return;
  }
  const JobReport report = queue_.report();
  ImGuiListClipper clipper;
  clipper.Begin(static_cast<int>(waiting_.size()));
  while (clipper.Step())
    for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
      const JournalEntry* const found = waiting_.at(static_cast<size_t>(i));
      if (found == nullptr) {  // another process took it out meanwhile
        ImGui::Dummy({0, ImGui::GetFrameHeight()});
        continue;
      }
      const JournalEntry& entry = *found;
      ImGui::PushID(static_cast<int>(entry.id));
      const float buttons = theme.px(150);
      if (ImGui::Selectable("##row", selected_ == entry.id, ImGuiSelectableFlags_AllowItemOverlap, {0, ImGui::GetFrameHeight()})) selected_ = entry.id;
      menu(entry, theme, commands);
      if (ImGui::BeginDragDropSource()) {
        ImGui::SetDragDropPayload("entry", &entry.id, sizeof entry.id);
        ImGui::TextUnformatted(entry.title.c_str());
        ImGui::EndDragDropSource();
      }
      if (ImGui::BeginDragDropTarget()) {
        if (const ImGuiPayload* payload = ImGui::AcceptDragDropPayload("entry")) {
          const int64_t moved = *static_cast<const int64_t*>(payload->Data), before = entry.id;
          guarded(commands, [&] { journal_.move(moved, before); });
        }
        ImGui::EndDragDropTarget();
      }
      ImGui::SameLine(theme.px(4));
      ImGui::AlignTextToFramePadding();
      coloured(state_colour(entry.state, theme.palette()), state_word(entry.state));
      ImGui::SameLine(theme.px(96));
      ImGui::TextUnformatted(fitted(fmt::format("{} · {}", entry.method, entry.title), ImGui::GetContentRegionAvail().x - buttons - theme.px(200)).c_str());
      if (entry.id == report.id) {
        ImGui::SameLine(ImGui::GetContentRegionMax().x - buttons - theme.px(180));
        ImGui::ProgressBar(report.total > 0 ? static_cast<float>(report.done) / static_cast<float>(report.total) : 0, {theme.px(170), 0}, report.stage.c_str());
      }
      ImGui::SameLine(ImGui::GetContentRegionMax().x - buttons);
      if (entry.state == JobState::kInterrupted) {
        if (ImGui::SmallButton(entry.files.empty() ? "Run again" : "Go on")) guarded(commands, [&] { journal_.requeue(entry.id); });
        ImGui::SameLine();
      }
      if (ImGui::SmallButton(entry.state == JobState::kRunning ? "Stop" : "Remove")) guarded(commands, [&] { queue_.cancel(entry.id); });
      ImGui::PopID();
    }
  clipper.End();
}

void QueueView::draw_picture(const JournalEntry& entry, ImVec2 from, float side, const Theme& theme, const QueueCommands& commands) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  ImGui::PushID(static_cast<int>(entry.id));
  const ImVec2 to = {from.x + side, from.y + side};
  ImGui::SetCursorScreenPos(from);
  if (ImGui::InvisibleButton("picture", {side, side})) {
    selected_ = entry.id;
    if (!entry.files.empty()) commands.show(entry.id);
  }
  mark(fmt::format("entry {}", entry.id));
  if (ImGui::IsItemHovered() && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) commands.use(entry.id);
  const bool hovered = ImGui::IsItemHovered();
  menu(entry, theme, commands);
  if (hovered) {
    std::string about = fmt::format("{}\n{} · {}", entry.title, entry.method, state_word(entry.state));
    if (entry.finished > 0) about += " · " + date_text(entry.finished);
    if (entry.finished > 0 && entry.started > 0) about += fmt::format(" · {}", duration_text(static_cast<double>(entry.finished - entry.started)));
    if (!entry.error.empty()) about += "\n" + entry.error;
    ImGui::BeginTooltip();
    ImGui::PushTextWrapPos(ImGui::GetFontSize() * 28);
    ImGui::TextUnformatted(about.c_str());
    ImGui::PopTextWrapPos();
    ImGui::EndTooltip();
  }
  list.AddRectFilled(from, to, theme.palette().panel, theme.px(4));
  const SharedPicture picture = loader_.from_bytes(fmt::format("entry {} {}", entry.id, entry.finished), [this, id = entry.id] { return journal_.thumbnail(id); });
  if (picture) {
    picture->on_screen().draw_within(list, from, side);
  } else if (entry.state != JobState::kDone) {
    list.AddText({from.x + theme.px(8), from.y + theme.px(8)}, state_colour(entry.state, theme.palette()), state_word(entry.state));
  }
  if (entry.rating > 0) {
    const auto stars = static_cast<float>(entry.rating);
    const ImVec2 corner = {from.x + theme.px(4), to.y - theme.px(20)};
    list.AddRectFilled(corner, {corner.x + (stars * 13 + 4) * theme.px(1), corner.y + theme.px(16)}, IM_COL32(0, 0, 0, 150), theme.px(4));
    for (float i = 0; i < stars; ++i) star(list, {corner.x + (i * 13 + 8.5f) * theme.px(1), corner.y + theme.px(8)}, theme.px(5.5), IM_COL32(240, 190, 90, 255));
  }
  if (entry.id == selected_ || hovered) list.AddRect(from, to, entry.id == selected_ ? theme.palette().accent : theme.palette().faint, theme.px(4), 0, theme.px(2));
  ImGui::PopID();
}

void QueueView::draw_made(const Theme& theme, const QueueCommands& commands) {
  ImGui::SetNextItemWidth(theme.px(240));
  input_text("##search", search_.words, "Search");
  mark("history search");
  ImGui::SameLine();
  faint(theme, fitted("click shows · double-click uses the settings · right-click for more", ImGui::GetContentRegionAvail().x));
  const float gap = theme.px(8), room = ImGui::GetContentRegionAvail().y;
  // A low panel is a strip that scrolls sideways, a high one a gallery that scrolls down.
  const bool is_strip = room < 2 * theme.px(kGallerySide) + gap;
  ImGui::BeginChild("made", {0, 0}, false, is_strip ? ImGuiWindowFlags_HorizontalScrollbar | ImGuiWindowFlags_NoScrollWithMouse : ImGuiWindowFlags_AlwaysVerticalScrollbar);
  const Scope child(ImGui::EndChild);
  if (made_.empty()) {
    faint(theme, search_.words.empty() ? "Nothing was made yet. Ctrl+Enter makes the first picture." : "Nothing fits these words.");
    return;
  }
  if (std::exchange(shown_words_, search_.words) != search_.words) {
    ImGui::SetScrollX(0);
    ImGui::SetScrollY(0);
  }
  if (is_strip && ImGui::IsWindowHovered() && ImGui::GetIO().MouseWheel != 0) ImGui::SetScrollX(ImGui::GetScrollX() - ImGui::GetIO().MouseWheel * theme.px(160));
  const ImVec2 start = ImGui::GetCursorScreenPos(), area = ImGui::GetContentRegionAvail();
  const size_t count = made_.size(), columns = is_strip ? count : static_cast<size_t>(std::max(1.0f, (area.x + gap) / (theme.px(kGallerySide) + gap)));
  const float side = is_strip ? std::max(theme.px(48), area.y - theme.px(14)) : std::floor((area.x + gap) / static_cast<float>(columns)) - gap, pitch = side + gap;
  // As long as the history; only what is seen is read and drawn.
  const float scroll = is_strip ? ImGui::GetScrollX() : ImGui::GetScrollY(), length = is_strip ? ImGui::GetWindowWidth() : ImGui::GetWindowHeight();
  const size_t lines = (count + columns - 1) / columns, line = is_strip ? 1 : columns;
  const auto first = static_cast<size_t>(std::max(0.0f, scroll / pitch)), last = std::min(is_strip ? count : lines, static_cast<size_t>((scroll + length) / pitch) + 1);
  for (size_t i = first * line; i < std::min(count, last * line); ++i) {
    const auto x = static_cast<float>(i % columns), y = static_cast<float>(i / columns);
    if (const JournalEntry* const entry = made_.at(i)) draw_picture(*entry, {start.x + x * pitch, start.y + y * pitch}, side, theme, commands);
  }
  ImGui::SetCursorScreenPos({start.x + (is_strip ? static_cast<float>(count) * pitch : 0), start.y + (is_strip ? 0 : static_cast<float>(lines) * pitch)});
  ImGui::Dummy({1, is_strip ? side : 1});
}

}  // namespace attelier::desktop
