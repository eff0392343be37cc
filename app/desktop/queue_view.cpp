#include "app/desktop/queue_view.h"

#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "app/desktop/widgets.h"

namespace attelier::desktop {
namespace {

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
  const int64_t version = journal_.version();
  if (version == version_ && search_.words == searched_) return;
  version_ = version;
  searched_ = search_.words;
  waiting_ = journal_.queue();
  made_ = journal_.history(search_);
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
  if (!ImGui::BeginTabBar("bottom", ImGuiTabBarFlags_NoTooltip)) return;
  const Scope bar(ImGui::EndTabBar);
  const auto tab = [&](const std::string& label, auto&& draw_tab) {
    if (!ImGui::BeginTabItem(label.c_str())) return;
    const Scope item(ImGui::EndTabItem);
    draw_tab();
  };
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
  ImGui::Separator();
  if (ImGui::MenuItem("Make again")) guarded(commands, [&] { queue_.duplicate(entry.id); });
  if (ImGui::MenuItem("Make again with another seed"))
    guarded(commands, [&] {
      const Json& params = entry.job.value("params", Json::object());
      queue_.duplicate(entry.id, params.contains("seed") && params["seed"].is_number() ? params["seed"].get<int64_t>() + 1 : 1);
    });
  if (!waits && !runs && entry.state != JobState::kDone && ImGui::MenuItem("Try again")) guarded(commands, [&] { journal_.requeue(entry.id); });
  if ((waits || runs || entry.state == JobState::kInterrupted) && ImGui::MenuItem(runs ? "Stop" : "Take out of the queue")) guarded(commands, [&] { queue_.cancel(entry.id); });
  if (waits && ImGui::MenuItem("Run next")) {
    const auto first = std::find_if(waiting_.begin(), waiting_.end(), [](const JournalEntry& one) { return one.state == JobState::kQueued; });
    if (first != waiting_.end() && first->id != entry.id) guarded(commands, [&] { journal_.move(entry.id, first->id); });
  }
  ImGui::Separator();
  if (ImGui::MenuItem("Copy job")) ImGui::SetClipboardText(entry.job.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
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
      const JournalEntry& entry = waiting_[static_cast<size_t>(i)];
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
        if (ImGui::SmallButton("Run again")) guarded(commands, [&] { journal_.requeue(entry.id); });
        ImGui::SameLine();
      }
      if (ImGui::SmallButton(entry.state == JobState::kRunning ? "Stop" : "Remove")) guarded(commands, [&] { queue_.cancel(entry.id); });
      ImGui::PopID();
    }
  clipper.End();
}

void QueueView::draw_made(const Theme& theme, const QueueCommands& commands) {
  ImGui::SetNextItemWidth(theme.px(240));
  input_text("##search", search_.words, "Search");
  ImGui::SameLine();
  faint(theme, "click shows · double-click uses the settings · right-click for more");
  ImGui::BeginChild("made", {0, 0}, false, ImGuiWindowFlags_HorizontalScrollbar);
  const Scope child(ImGui::EndChild);
  if (made_.empty()) {
    faint(theme, search_.words.empty() ? "Nothing was made yet." : "Nothing fits these words.");
    return;
  }
  const float side = std::max(theme.px(48), ImGui::GetContentRegionAvail().y - theme.px(14));
  const ImVec2 start = ImGui::GetCursorScreenPos();
  // A strip as long as the history, of which only what is seen is drawn.
  const float pitch = side + theme.px(8), scroll = ImGui::GetScrollX(), width = ImGui::GetWindowWidth();
  const auto first = static_cast<size_t>(std::max(0.0f, scroll / pitch)), last = std::min(made_.size(), static_cast<size_t>((scroll + width) / pitch) + 1);
  ImDrawList& list = *ImGui::GetWindowDrawList();
  for (size_t i = first; i < last; ++i) {
    const JournalEntry& entry = made_[i];
    ImGui::PushID(static_cast<int>(entry.id));
    const ImVec2 from = {start.x + static_cast<float>(i) * pitch, start.y}, to = {from.x + side, from.y + side};
    ImGui::SetCursorScreenPos(from);
    if (ImGui::InvisibleButton("picture", {side, side})) {
      selected_ = entry.id;
      if (!entry.files.empty()) commands.show(entry.id);
    }
    if (ImGui::IsItemHovered() && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) commands.use(entry.id);
    const bool hovered = ImGui::IsItemHovered();
    menu(entry, theme, commands);
    std::string about = fmt::format("{}\n{} · {}", entry.title, entry.method, state_word(entry.state));
    if (entry.finished > 0) about += " · " + date_text(entry.finished);
    if (entry.finished > 0 && entry.started > 0) about += fmt::format(" · {}", duration_text(static_cast<double>(entry.finished - entry.started)));
    if (!entry.error.empty()) about += "\n" + entry.error;
    if (hovered) {
      ImGui::BeginTooltip();
      ImGui::PushTextWrapPos(ImGui::GetFontSize() * 28);
      ImGui::TextUnformatted(about.c_str());
      ImGui::PopTextWrapPos();
      ImGui::EndTooltip();
    }
    list.AddRectFilled(from, to, theme.palette().panel, theme.px(4));
    const int64_t id = entry.id;
    const SharedPicture picture = loader_.from_bytes(fmt::format("entry {} {}", id, entry.finished), [&] { return journal_.thumbnail(id); });
    if (picture) {
      Texture& texture = picture->on_screen();
      const float longest = static_cast<float>(std::max(texture.width(), texture.height()));
      const float w = side * static_cast<float>(texture.width()) / longest / 2, h = side * static_cast<float>(texture.height()) / longest / 2;
      const ImVec2 middle = {(from.x + to.x) / 2, (from.y + to.y) / 2};
      texture.draw(list, {middle.x - w, middle.y - h}, {middle.x + w, middle.y + h}, false);
    } else {
      list.AddText({from.x + theme.px(8), from.y + theme.px(8)}, state_colour(entry.state, theme.palette()), state_word(entry.state));
    }
    if (entry.rating > 0) list.AddText({from.x + theme.px(6), to.y - theme.px(20)}, theme.palette().warn, std::string(static_cast<size_t>(entry.rating), '*').c_str());
    if (entry.id == selected_ || hovered) list.AddRect(from, to, entry.id == selected_ ? theme.palette().accent : theme.palette().faint, theme.px(4), 0, theme.px(2));
    ImGui::PopID();
  }
  ImGui::SetCursorScreenPos({start.x + static_cast<float>(made_.size()) * pitch, start.y});
  ImGui::Dummy({1, side});
}

}  // namespace attelier::desktop
