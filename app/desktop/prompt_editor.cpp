#include "app/desktop/prompt_editor.h"

#include <fmt/format.h>
#include <imgui_stdlib.h>

#include <algorithm>
#include <utility>

#include "app/desktop/widgets.h"
#include "app/session/prompt_edit.h"
#include "core/text/tokenizer.h"

namespace attelier::desktop {
namespace {

constexpr int64_t kMostLines = 8;

/// The change of weight in a field that Dear ImGui holds.
int change_in_field(ImGuiInputTextCallbackData* data) {
  double& step = *static_cast<double*>(data->UserData);
  if (step == 0) return 0;
  const auto place = [&](int at) { return static_cast<size_t>(std::clamp(at, 0, data->BufTextLen)); };
  const bool selects = data->HasSelection();
  const size_t begin = place(selects ? std::min(data->SelectionStart, data->SelectionEnd) : data->CursorPos);
  const size_t end = place(selects ? std::max(data->SelectionStart, data->SelectionEnd) : data->CursorPos);
  const PromptEdit edit = change_weight({data->Buf, static_cast<size_t>(data->BufTextLen)}, begin, end, std::exchange(step, 0.0));
  data->DeleteChars(0, data->BufTextLen);
  data->InsertChars(0, edit.text.c_str());
  data->SelectionStart = static_cast<int>(edit.begin);
  data->SelectionEnd = data->CursorPos = static_cast<int>(edit.end);
  return 0;
}

}  // namespace

bool PromptEditor::draw(std::string& text, int lines, std::optional<bool>& reads_weights, const std::function<std::string(const std::string& text)>& token_text, const Theme& theme) {
  const auto shown = std::clamp<int64_t>(std::count(text.begin(), text.end(), '\n') + lines, 2, kMostLines);
  const float height = ImGui::GetTextLineHeight() * static_cast<float>(shown) + theme.px(10);
  if (std::exchange(focuses_, false)) ImGui::SetKeyboardFocusHere();
  if (!reads_weights) weight_step_ = 0;
  const bool had_step = weight_step_ != 0;
  const bool edited = ImGui::InputTextMultiline("##text", &text, {-FLT_MIN, height}, ImGuiInputTextFlags_NoHorizontalScroll | ImGuiInputTextFlags_CallbackAlways, change_in_field, &weight_step_);
  if (ImGui::IsItemActive()) active_ = true;
  if (edited && had_step && weight_step_ == 0 && reads_weights) reads_weights = true;
  if (text.empty()) return edited;
  ImGui::PushFont(theme.fonts().small);
  draw_weights(text, reads_weights, theme);
  if (const std::string tokens = token_text(text); !tokens.empty()) {
    ImGui::SetCursorPosX(ImGui::GetContentRegionMax().x - ImGui::CalcTextSize(tokens.c_str()).x);
    faint(theme, tokens);
  }
  ImGui::PopFont();
  return edited;
}

void PromptEditor::draw_weights(const std::string& text, std::optional<bool>& reads_weights, const Theme& theme) {
  std::vector<WeightedText> pieces = parse_prompt_weights(text);
  if (!reads_weights.value_or(false)) {
    if (reads_weights && text.find_first_of("([") != std::string::npos) {
      faint(theme, "Brackets are plain text.");
      ImGui::SameLine();
      if (ImGui::SmallButton("Read them as weights")) reads_weights = true;
    }
    pieces = {{text, 1}};
  }
  const bool weighted = std::any_of(pieces.begin(), pieces.end(), [](const WeightedText& piece) { return piece.weight != 1; });
  // The field does not wrap: what does not fit in it is shown below, too.
  if (!weighted && ImGui::CalcTextSize(text.c_str()).x <= ImGui::GetContentRegionAvail().x) return;
  const ImVec2 start = ImGui::GetCursorScreenPos();
  const float right = start.x + ImGui::GetContentRegionAvail().x, line = ImGui::GetTextLineHeight() + theme.px(2), space = ImGui::CalcTextSize(" ").x;
  ImVec2 at = start;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const auto put = [&](const std::string& word, ImU32 colour) {
    const float width = ImGui::CalcTextSize(word.c_str()).x;
    if (at.x > start.x && at.x + width > right) at = {start.x, at.y + line};
    list.AddText(at, colour, word.c_str());
    at.x += width;
  };
  for (const WeightedText& piece : pieces) {
    const ImU32 colour = piece.weight > 1 ? theme.palette().accent : piece.weight < 1 ? theme.palette().warn : theme.palette().faint;
    std::string word;
    for (const char c : piece.text + "\n") {
      const bool ends = c == ' ' || c == '\n' || c == '\r' || c == '\t';
      if (!ends) {
        word += c;
        continue;
      }
      if (!word.empty()) put(std::exchange(word, ""), colour);
      if (c == ' ') at.x += space;
    }
    if (piece.weight != 1 && piece.text.find_first_not_of(' ') != std::string::npos) put(fmt::format("×{:.4g}", piece.weight), theme.palette().faint);
  }
  ImGui::Dummy({0, at.y + line - start.y});
  if (weighted) tooltip("How strongly each word is heard: (word) is 1.1 times, [word] 1 / 1.1, (word:1.3) 1.3 times. The encoded words are multiplied and the whole brought back to its mean, as AUTOMATIC1111 does. Ctrl+Up and Ctrl+Down change the word at the caret.");
}

}  // namespace attelier::desktop
