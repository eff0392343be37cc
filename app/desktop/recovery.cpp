#include "app/desktop/recovery.h"

#include <fmt/format.h>
#include <GLFW/glfw3.h>
#include <imgui.h>

#include <algorithm>

#include "app/desktop/queue_view.h"
#include "app/desktop/widgets.h"
#include "app/session/queued_job.h"

namespace attelier::desktop {
namespace {

constexpr size_t kRowsShown = 5;

/// A picture that a job begins from, "" if it has none.
std::filesystem::path first_input(const Json& job) {
  const Json inputs = job.value("inputs", Json::object());
  for (const char* name : {"image", "content"})
    if (inputs.is_object() && inputs.contains(name)) {
      const Json& paths = inputs[name];
      const Json& path = paths.is_array() && !paths.empty() ? paths[0] : paths;
      if (path.is_string()) return path.get<std::string>();
    }
  return {};
}

void carry_out(const RecoveryCommands& commands, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    commands.failed(error.what());
  }
}

}  // namespace

void RecoveryDialog::offer(std::optional<int64_t> form_saved) {
  form_saved_ = form_saved;
  jobs_.clear();
  if (journal_.owns_queue())  // else they are another window's
    for (JournalEntry& entry : journal_.queue())
      if (entry.state == JobState::kInterrupted) jobs_.push_back(std::move(entry));
  open_ = form_saved_.has_value() || !jobs_.empty();
}

void RecoveryDialog::again(const JournalEntry& entry, const RecoveryCommands& commands) {
  carry_out(commands, [&] { journal_.requeue(entry.id); });
}

void RecoveryDialog::discard(const JournalEntry& entry, const RecoveryCommands& commands) {
  carry_out(commands, [&] { queue_.cancel(entry.id); });
}

void RecoveryDialog::draw_job(const JournalEntry& entry, const Theme& theme, const RecoveryCommands& commands) {
  ImGui::PushID(static_cast<int>(entry.id));
  const float side = theme.px(48), buttons = theme.px(176);
  const ImVec2 corner = ImGui::GetCursorScreenPos();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled(corner, {corner.x + side, corner.y + side}, ImGui::GetColorU32(ImGuiCol_FrameBg), theme.px(4));
  SharedPicture picture = loader_.from_bytes(fmt::format("interrupted {}", entry.id), [this, id = entry.id] { return journal_.thumbnail(id); });
  if (const auto input = first_input(entry.job); !picture && !input.empty()) picture = loader_.thumbnail(input);
  if (picture) picture->on_screen().draw_within(list, corner, side);
  ImGui::Dummy({side, side});
  ImGui::SameLine();
  ImGui::BeginGroup();
  ImGui::TextUnformatted(fitted(entry.title, ImGui::GetContentRegionAvail().x - buttons).c_str());
  ImGui::PushFont(theme.fonts().small);
  const std::string finished = entry.files.empty() ? "" : fmt::format(" · {} of {} finished", entry.files.size(), pictures_of(entry.job.value("params", Json::object())));
  faint(theme, fmt::format("{} · {} · {}{}", entry.method, entry.model, date_text(entry.started > 0 ? entry.started : entry.created), finished));
  ImGui::PopFont();
  ImGui::EndGroup();
  ImGui::SameLine(ImGui::GetContentRegionMax().x - buttons);
  ImGui::SetCursorPosY(ImGui::GetCursorPosY() + theme.px(10));
  const bool runs = ImGui::Button(entry.files.empty() ? "Run again###run" : "Go on###run", {theme.px(92), 0});
  ImGui::SameLine();
  const bool goes = ImGui::Button("Discard", {theme.px(76), 0});
  ImGui::PopID();
  if (runs) again(entry, commands);
  if (goes) discard(entry, commands);
  if (runs || goes) std::erase_if(jobs_, [id = entry.id](const JournalEntry& one) { return one.id == id; });
}

void RecoveryDialog::draw(const Theme& theme, const RecoveryCommands& commands) {
  if (!open_) return;
  constexpr const char* kTitle = "Welcome back###recovery";
  if (!ImGui::IsPopupOpen(kTitle)) ImGui::OpenPopup(kTitle);
  const ImVec2 screen = ImGui::GetIO().DisplaySize;
  ImGui::SetNextWindowPos({screen.x / 2, screen.y / 2}, ImGuiCond_Always, {0.5f, 0.5f});
  ImGui::SetNextWindowSize({std::min(theme.px(640), screen.x * 0.9f), 0});
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(theme.px(20), theme.px(16)));
  const bool shown = ImGui::BeginPopupModal(kTitle, nullptr, ImGuiWindowFlags_NoTitleBar | ImGuiWindowFlags_NoResize | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings);
  ImGui::PopStyleVar();
  if (!shown) return;
  const Scope popup(ImGui::EndPopup);
  ImGui::PushFont(theme.fonts().title);
  ImGui::TextUnformatted("Welcome back");
  ImGui::PopFont();
  if (form_saved_) {
    wrapped(theme.palette().text, fmt::format("The app ended without being closed. The form and its mask are back (saved {}).", date_text(*form_saved_)));
    if (ImGui::Button("Start with an empty form instead")) {
      commands.start_over();
      form_saved_.reset();
    }
  }
  if (!jobs_.empty()) {
    section("INTERRUPTED", theme);
    wrapped(theme.palette().faint, "These jobs ran when the app ended. Pictures that they had finished are kept, and not made again when a job goes on.");
    const float row = theme.px(48) + ImGui::GetStyle().ItemSpacing.y;
    ImGui::BeginChild("jobs", {0, row * static_cast<float>(std::min(jobs_.size(), kRowsShown)) + theme.px(12)});
    const Scope child(ImGui::EndChild);
    for (const JournalEntry& entry : std::vector(jobs_)) draw_job(entry, theme, commands);
  }
  ImGui::Dummy({0, theme.px(4)});
  bool done = (!form_saved_ && jobs_.empty()) || ImGui::IsKeyPressed(GLFW_KEY_ESCAPE);
  const float high = theme.px(34), gap = ImGui::GetStyle().ItemSpacing.x;
  if (jobs_.size() > 1) {
    if (ImGui::Button("Run all again", {theme.px(130), high})) {
      for (const JournalEntry& entry : jobs_) again(entry, commands);
      done = true;
    }
    ImGui::SameLine(0, gap);
    if (ImGui::Button("Discard all", {theme.px(120), high})) {
      for (const JournalEntry& entry : jobs_) discard(entry, commands);
      done = true;
    }
    ImGui::SameLine();
  }
  ImGui::SetCursorPosX(ImGui::GetContentRegionMax().x - theme.px(130));
  if (primary_button(jobs_.empty() ? "Go on" : "Later", {theme.px(130), high}, theme)) done = true;
  if (!jobs_.empty()) tooltip("They wait in the queue");
  if (!done) return;
  open_ = false;
  ImGui::CloseCurrentPopup();
}

}  // namespace attelier::desktop
