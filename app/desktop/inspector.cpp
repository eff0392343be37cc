#include "app/desktop/inspector.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/desktop/landmarks.h"
#include "app/desktop/widgets.h"
#include "core/attention/attention_edit.h"
#include "core/base/error.h"
#include "pipelines/attention_watch.h"

namespace attelier::desktop {
namespace {

/// Buttons side by side of which one is chosen.
template <size_t N>
bool segmented(const std::array<const char*, N>& labels, const std::array<const char*, N>& tips, int& chosen) {
  bool changed = false;
  const float gap = 1, width = (ImGui::GetContentRegionAvail().x - gap * (N - 1)) / N;
  for (size_t i = 0; i < N; ++i) {
    const bool is_chosen = chosen == static_cast<int>(i);
    if (i > 0) ImGui::SameLine(0, gap);
    if (is_chosen) ImGui::PushStyleColor(ImGuiCol_Button, ImGui::GetStyle().Colors[ImGuiCol_ButtonActive]);
    if (ImGui::Button(labels[i], {width, 0})) {
      chosen = static_cast<int>(i);
      changed = true;
    }
    if (is_chosen) ImGui::PopStyleColor();
    tooltip(tips[i]);
  }
  return changed;
}

ImU32 packed(const std::array<uint8_t, 3>& colour) { return IM_COL32(colour[0], colour[1], colour[2], 255); }

ImVec2 on_screen(ImVec2 origin, float scale, double x, double y, int64_t width, int64_t height) {
  return {origin.x + static_cast<float>(x * static_cast<double>(width)) * scale, origin.y + static_cast<float>(y * static_cast<double>(height)) * scale};
}

}  // namespace

void Inspector::watch(int64_t job, std::shared_ptr<AttentionWatch> watch) {
  watch_ = std::move(watch);
  job_ = job;
  words_.clear();
  layers_.clear();
  steps_.clear();
  chosen_.clear();
  compared_.reset();
  sources_.clear();
  source_textures_.clear();
  source_ = -1;
  result_ = {};
  texture_ = {};
  head_textures_.clear();
  layer_ = 0;
  step_ = head_ = -1;
  refresh();
}

void Inspector::job_ended() {
  refresh();
  if (watch_ && captured_steps(*watch_).empty()) watch(0, nullptr);
}

MapRequest Inspector::request() const {
  MapRequest request;
  request.kind = kind_;
  for (const size_t word : chosen_)
    for (int64_t i = 0; word < words_.size() && i < words_[word].count; ++i) request.tokens.push_back(words_[word].first + i);
  if (compared_ && *compared_ < words_.size() && kind_ == MapKind::kWords)
    for (int64_t i = 0; i < words_[*compared_].count; ++i) request.other_tokens.push_back(words_[*compared_].first + i);
  const std::array<double, 2> place = kind_ == MapKind::kPlace || !pointer_ ? place_ : *pointer_;
  request.x = place[0];
  request.y = place[1];
  if (layer_ > 0) request.site = site_of(layers_[static_cast<size_t>(layer_) - 1], kind_);
  if (step_ >= 0) request.step = steps_[static_cast<size_t>(step_)];
  if (head_ >= 0) request.head = head_;
  request.wants_heads = layer_ > 0;
  if (source_ >= 0 && kind_ != MapKind::kWords) request.source = source_;
  return request;
}

void Inspector::take_results() {
  if (!watch_) return;
  if (!asked_) {
    words_ = watch_->words();
    layers_ = captured_layers(*watch_);
    steps_ = captured_steps(*watch_);
    if (step_ >= static_cast<int>(steps_.size())) step_ = -1;
    if (sources_.empty() && !steps_.empty()) {
      sources_ = watch_->sources();
      for (const Image& picture : sources_) source_textures_.emplace_back(picture);
      if (!sources_.empty()) source_ = 0;  // what such a method is about
    }
    if (words_.empty() && !steps_.empty() && kind_ == MapKind::kWords) kind_ = MapKind::kPlace;
    if (chosen_.empty() && !words_.empty()) {
      // The first word that is likely to be seen: the longest.
      const auto longest = std::max_element(words_.begin(), words_.end(), [](const PromptWord& a, const PromptWord& b) { return a.text.size() < b.text.size(); });
      chosen_.insert(static_cast<size_t>(longest - words_.begin()));
    }
  }
  if (steps_.empty()) {
    refresh();
    return;
  }
  if (const MapRequest wanted = request(); !asked_ || wanted != *asked_) {
    worker_.ask(watch_, wanted);
    asked_ = wanted;
  }
  std::optional<MapResult> result = worker_.take();
  const bool is_new = result.has_value();
  if (is_new) result_ = std::move(*result);
  const HeatRange now = range(), other = range_of(result_.other);
  const auto same = [](HeatRange a, HeatRange b) { return a.low == b.low && a.high == b.high; };
  if (!is_new && same(drawn_with_, now) && same(other_drawn_with_, other)) return;
  drawn_with_ = now;
  other_drawn_with_ = other;
  // A flat map has nothing to show: the picture stays as it is.
  const HeatRange whole = whole_range(result_.map);
  texture_ = result_.map.empty() || whole.low == whole.high ? Texture() : Texture(compares_words() ? two_heats_image(result_.map, now, result_.other, other) : heat_image(result_.map, now));
  if (is_new) {
    head_textures_.clear();
    for (const HeatMap& map : result_.heads) head_textures_.emplace_back(heat_image(map, whole_range(map)));
  }
}

HeatRange Inspector::range_of(const HeatMap& map) const {
  if (range_ == Range::kWhole) return whole_range(map);
  if (range_ == Range::kInner) return inner_range(map, 0.01);
  return fixed_;
}

std::string Inspector::chosen_text() const {
  std::string text;
  for (const size_t word : chosen_)
    if (word < words_.size()) text += (text.empty() ? "" : " ") + words_[word].text;
  return text;
}

void Inspector::draw_words(const Theme& theme) {
  const float right = ImGui::GetWindowPos().x + ImGui::GetWindowContentRegionMax().x, pad = theme.px(7);
  double most = 1e-9;
  std::vector<double> shares(words_.size(), 0);
  for (size_t w = 0; w < words_.size(); ++w) {
    for (int64_t i = 0; i < words_[w].count; ++i) {
      const auto token = static_cast<size_t>(words_[w].first + i);
      if (token < result_.shares.size()) shares[w] += result_.shares[token];
    }
    most = std::max(most, shares[w]);
  }
  ImDrawList& list = *ImGui::GetWindowDrawList();
  for (size_t w = 0; w < words_.size(); ++w) {
    const ImVec2 text = ImGui::CalcTextSize(words_[w].text.c_str()), size = {text.x + 2 * pad, ImGui::GetFrameHeight()};
    if (w > 0) {
      ImGui::SameLine(0, theme.px(4));
      if (ImGui::GetCursorScreenPos().x + size.x > right) ImGui::NewLine();
    }
    const ImVec2 corner = ImGui::GetCursorScreenPos(), end = {corner.x + size.x, corner.y + size.y};
    ImGui::PushID(static_cast<int>(w));
    if (ImGui::InvisibleButton("word", size)) {
      if (ImGui::GetIO().KeyShift) {
        if (compared_ == w || chosen_.contains(w)) compared_.reset();
        else compared_ = w;
      } else {
        compared_.reset();
        if (!ImGui::GetIO().KeyCtrl) chosen_.clear();
        if (!chosen_.insert(w).second && chosen_.size() > 1) chosen_.erase(w);
      }
      kind_ = MapKind::kWords;
    }
    const bool hovered = ImGui::IsItemHovered();
    mark("word " + words_[w].text);
    ImGui::PopID();
    const bool chosen = chosen_.contains(w) && kind_ == MapKind::kWords;
    const bool is_other = compared_ == w && kind_ == MapKind::kWords;
    const ImU32 accent = compared_ && chosen ? packed(kFirstColour) : is_other ? packed(kSecondColour) : theme.palette().accent;
    const auto with_alpha = [](ImU32 colour, int alpha) { return (colour & ~IM_COL32_A_MASK) | (static_cast<ImU32>(alpha) << IM_COL32_A_SHIFT); };
    list.AddRectFilled(corner, end, ImGui::GetColorU32(hovered ? ImGuiCol_ButtonHovered : ImGuiCol_Button), theme.px(4));
    // The bar below tells how much of the attention at the pointer, or at the pinned place, the word gets.
    const float width = static_cast<float>(shares[w] / most) * (size.x - theme.px(8));
    list.AddRectFilled({corner.x + theme.px(4), end.y - theme.px(4)}, {corner.x + theme.px(4) + width, end.y - theme.px(2)}, with_alpha(accent, 220), theme.px(1));
    if (chosen || is_other) list.AddRect(corner, end, accent, theme.px(4), 0, theme.px(1.5));
    list.AddText({corner.x + pad, corner.y + (size.y - text.y) / 2 - theme.px(1)}, chosen || is_other ? accent : theme.palette().text, words_[w].text.c_str());
    if (hovered) tooltip(fmt::format("{}: {:.1f} % of the attention {}\nClick to see where the picture looks at it, Shift-click to compare it with the chosen word, Ctrl-click to add it.", words_[w].text, 100 * shares[w], pointer_ ? "at the pointer" : "at the marked place"));
  }
}

void Inspector::draw_pictures(const Theme& theme) {
  if (sources_.empty()) return;
  section("LOOKS INTO", theme);
  const float gap = theme.px(6), columns = 4, side = (ImGui::GetContentRegionAvail().x - (columns - 1) * gap) / columns;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const int count = static_cast<int>(sources_.size());
  for (int s = -1; s < count; ++s) {
    if (s >= 0) ImGui::SameLine(0, gap);
    ImGui::PushID(s);
    ImGui::BeginGroup();
    const ImVec2 corner = ImGui::GetCursorScreenPos(), end = {corner.x + side, corner.y + side};
    if (ImGui::InvisibleButton("picture", {side, side})) source_ = s;
    mark(s < 0 ? "looks into itself" : fmt::format("looks into {}", s + 1));
    const bool hovered = ImGui::IsItemHovered();
    tooltip(s < 0 ? "The picture itself: where its places look at each other" : "Where in this picture the marked place finds its style");
    list.AddRectFilled(corner, end, ImGui::GetColorU32(hovered ? ImGuiCol_ButtonHovered : ImGuiCol_Button), theme.px(4));
    if (s >= 0) {
      source_textures_[static_cast<size_t>(s)].draw_within(list, corner, side);
    } else {
      const char* const text = "itself";
      const ImVec2 size = ImGui::CalcTextSize(text);
      list.AddText({corner.x + (side - size.x) / 2, corner.y + (side - size.y) / 2}, theme.palette().faint, text);
    }
    if (s == source_) list.AddRect(corner, end, theme.palette().accent, theme.px(4), 0, theme.px(2));
    ImGui::PushFont(theme.fonts().small);
    const double share = s >= 0 && static_cast<size_t>(s) < result_.source_shares.size() ? result_.source_shares[static_cast<size_t>(s)] : 0;
    if (s >= 0) faint(theme, fmt::format("{:.0f} %", 100 * share));
    ImGui::PopFont();
    if (s >= 0) tooltip("Its share of the marked place's attention, in the layers that look at styles");
    ImGui::EndGroup();
    ImGui::PopID();
  }
  if (source_ < 0) {
    if (result_.map.empty()) wrapped(theme.palette().faint, "Nothing there: these layers look at the styles alone.");
    return;
  }
  const auto index = static_cast<size_t>(source_);
  const float wide = ImGui::GetContentRegionAvail().x, high = wide * static_cast<float>(sources_[index].height) / static_cast<float>(sources_[index].width);
  const ImVec2 corner = ImGui::GetCursorScreenPos(), end = {corner.x + wide, corner.y + high};
  ImGui::Dummy({wide, high});
  source_textures_[index].draw(list, corner, end, false);
  if (shown_ && !texture_.empty()) texture_.draw(list, corner, end, !smooth_, IM_COL32(255, 255, 255, static_cast<int>(density_ * 255)));
  if (result_.map.empty()) wrapped(theme.palette().faint, "Nothing there: this layer looks at the picture itself.");
}

void Inspector::draw_source(const Theme& theme) {
  const float width = ImGui::GetContentRegionAvail().x, label = theme.px(56);
  const auto row = [&](const char* name) {
    ImGui::AlignTextToFramePadding();
    faint(theme, name);
    ImGui::SameLine(label);
    ImGui::SetNextItemWidth(width - label + ImGui::GetStyle().WindowPadding.x);
  };
  row("Layer");
  const std::string shown = layer_ == 0 ? fmt::format("all {}, averaged", layers_.size()) : layers_[static_cast<size_t>(layer_) - 1].label;
  if (ImGui::BeginCombo("##layer", shown.c_str())) {
    const Scope combo(ImGui::EndCombo);
    for (int i = 0; i <= static_cast<int>(layers_.size()); ++i)
      if (ImGui::Selectable(i == 0 ? "all, averaged" : layers_[static_cast<size_t>(i) - 1].label.c_str(), i == layer_)) {
        layer_ = i;
        head_ = -1;
      }
  }
  row("Step");
  bar_slider("##step", step_, -1, static_cast<int>(steps_.size()) - 1, step_ < 0 ? "all, averaged" : fmt::format("{}", steps_[static_cast<size_t>(step_)] + 1).c_str(), theme);
  tooltip("Drag through the steps of the run; far left is the mean of all.");
  const int64_t heads = layer_ > 0 ? layers_[static_cast<size_t>(layer_) - 1].heads : 0;
  if (heads > 0) draw_heads(theme);
}

void Inspector::draw_heads(const Theme& theme) {
  faint(theme, head_ < 0 ? "Heads: the mean; click one to see it alone" : fmt::format("Head {}; click it again for the mean", head_));
  const float gap = theme.px(4), columns = 4, side = (ImGui::GetContentRegionAvail().x - (columns - 1) * gap) / columns;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  for (size_t h = 0; h < head_textures_.size(); ++h) {
    if (h % static_cast<size_t>(columns) != 0) ImGui::SameLine(0, gap);
    const ImVec2 corner = ImGui::GetCursorScreenPos(), end = {corner.x + side, corner.y + side};
    ImGui::PushID(static_cast<int>(h));
    if (ImGui::InvisibleButton("head", {side, side})) head_ = head_ == static_cast<int>(h) ? -1 : static_cast<int>(h);
    tooltip(fmt::format("Head {}", h));
    ImGui::PopID();
    head_textures_[h].draw(list, corner, end, !smooth_);
    if (head_ == static_cast<int>(h)) list.AddRect(corner, end, theme.palette().accent, 0, 0, theme.px(2));
  }
}

void Inspector::draw_scale(const Theme& theme) {
  int range = static_cast<int>(range_);
  if (segmented<3>({"Own range", "1-99 %", "Held"}, {"From this map's smallest to its largest number", "Without the lowest and the highest hundredth",
                                                    "The present range for all further maps, so that they can be compared"}, range)) {
    if (static_cast<Range>(range) == Range::kFixed) fixed_ = this->range();
    range_ = static_cast<Range>(range);
  }
  const HeatRange now = this->range();
  static const HeatMap rising = [] {
    HeatMap map{64, 1, std::vector<float>(64)};
    for (size_t i = 0; i < 64; ++i) map.values[i] = static_cast<float>(i);
    return map;
  }();
  static const HeatMap none{64, 1, std::vector<float>(64)};
  static const Image ramp = heat_image(rising, {0, 63}), first = two_heats_image(rising, {0, 63}, none, {0, 1}), second = two_heats_image(none, {0, 1}, rising, {0, 63});
  const auto draw_ramp = [&](const Image& colours) {
    const ImVec2 corner = ImGui::GetCursorScreenPos(), size = {ImGui::GetContentRegionAvail().x, theme.px(10)};
    ImDrawList& list = *ImGui::GetWindowDrawList();
    for (int i = 0; i < 64; ++i) {
      const uint8_t* const c = colours.pixels.data() + 3 * i;
      list.AddRectFilled({corner.x + size.x * static_cast<float>(i) / 64, corner.y}, {corner.x + size.x * static_cast<float>(i + 1) / 64 + 0.5f, corner.y + size.y}, IM_COL32(c[0], c[1], c[2], 255));
    }
    ImGui::Dummy(size);
  };
  const char* const unit = kind_ == MapKind::kEntropy ? " bits" : kind_ == MapKind::kWords ? "" : " x mean";
  ImGui::PushFont(theme.fonts().mono);
  const auto draw_bar = [&](const Image& colours, HeatRange bounds, const std::string& name) {
    draw_ramp(colours);
    const std::string low = fmt::format("{:.3g}", bounds.low), high = fmt::format("{:.3g}{}", bounds.high, unit);
    faint(theme, low);
    if (!name.empty()) {
      ImGui::SameLine((ImGui::GetWindowContentRegionMax().x - ImGui::CalcTextSize(name.c_str()).x) / 2);
      ImGui::TextUnformatted(name.c_str());
    }
    ImGui::SameLine(ImGui::GetWindowContentRegionMax().x - ImGui::CalcTextSize(high.c_str()).x);
    faint(theme, high);
  };
  if (compares_words()) {
    draw_bar(first, now, chosen_text());
    draw_bar(second, range_of(result_.other), words_[*compared_].text);
  } else {
    draw_bar(ramp, now, "");
  }
  if (source_ < 0 && pointer_ && !result_.map.empty()) {
    const HeatMap& map = result_.map;
    const auto cell = [](double share, int64_t cells) { return std::clamp<int64_t>(static_cast<int64_t>(share * static_cast<double>(cells)), 0, cells - 1); };
    const int64_t x = cell((*pointer_)[0], map.width), y = cell((*pointer_)[1], map.height);
    const std::string other = compares_words() ? fmt::format(" | {:.4g}", result_.other.at(x, y)) : "";
    ImGui::TextUnformatted(fmt::format("{}, {} of {} x {}: {:.4g}{}{}", x, y, map.width, map.height, map.at(x, y), other, unit).c_str());
  } else if (source_ < 0) {
    faint(theme, "point at the picture to read it");
  }
  ImGui::PopFont();
  ImGui::SetNextItemWidth(-FLT_MIN);
  double percent = 100.0 * density_;
  if (bar_slider("##density", percent, 0, 100, "map %.0f %%", theme)) density_ = static_cast<float>(percent / 100);
  ImGui::Checkbox("Smooth", &smooth_);
  tooltip("Off: every token as one cell");
  ImGui::SameLine();
  ImGui::Checkbox("Show the map", &shown_);
}

std::vector<std::string> Inspector::edit_texts() const {
  AttentionEdit edit;
  if (kind_ == MapKind::kWords) edit.phrase = chosen_text();
  edit.gain = std::round(static_cast<double>(gain_) * 100) / 100;
  if (limits_steps_) {
    edit.first_step = edit_steps_[0];
    edit.last_step = edit_steps_[1];
  }
  if (limits_head_ && layer_ > 0) {
    edit.site = layers_[static_cast<size_t>(layer_) - 1].site + "*";
    if (head_ >= 0) edit.heads = {head_};
  }
  if (box_) {
    edit.within = *box_;
    for (double& share : *edit.within) share = std::round(share * 1000) / 1000;
  }
  std::vector<std::string> texts = {to_string(edit)};
  if (other_words_ && !edit.phrase.empty() && !edit.within && edit.site == "*") {
    AttentionEdit text;
    text.phrase = edit.phrase;
    text.gain = edit.gain;
    text.site = "text_encoder*:*";
    texts.push_back(to_string(text));
  }
  return texts;
}

void Inspector::draw_edits(const Theme& theme, const InspectorActions& actions) {
  const Json edits = actions.edits();
  if (edits.is_null()) {
    faint(theme, "This method has no attention edits.");
    return;
  }
  const bool has_words = kind_ == MapKind::kWords && !chosen_.empty();
  std::string subject;
  if (has_words) subject = chosen_text();
  else subject = box_ ? "the marked place" : limits_head_ && head_ >= 0 ? fmt::format("head {}", head_) : "";
  if (subject.empty()) {
    faint(theme, "Choose a word, a head, or mark a place.");
  } else {
    ImGui::TextUnformatted(fitted("Hear " + subject, ImGui::GetContentRegionAvail().x).c_str());
    for (const auto& [label, gain] : {std::pair<const char*, float>{"Mute", 0.0f}, {"x 0.5", 0.5f}, {"x 2", 2.0f}, {"x 4", 4.0f}}) {
      if (ImGui::Button(label)) gain_ = gain;
      ImGui::SameLine(0, theme.px(4));
    }
    ImGui::SetNextItemWidth(-FLT_MIN);
    double gain = gain_;
    if (bar_slider("##gain", gain, 0, 8, gain_ == 0 ? "muted" : "x %.2f", theme, {.logarithmic = true})) gain_ = static_cast<float>(gain);
  }
  if (ImGui::Checkbox("Marked place", &marks_) && !marks_) box_.reset();
  tooltip("Drag a rectangle on the picture. With a word: its effect is kept to this place. Without: other places look less or more at this one.");
  ImGui::SameLine();
  ImGui::BeginDisabled(layer_ == 0);
  ImGui::Checkbox(head_ >= 0 ? "This head" : "This layer", &limits_head_);
  ImGui::EndDisabled();
  tooltip("Only in the layer (and head) chosen above");
  ImGui::BeginDisabled(!has_words || box_ || limits_head_);
  ImGui::Checkbox("Other words too", &other_words_);
  ImGui::EndDisabled();
  tooltip("The other words of the prompt hear the word as much or as little (in the text encoder); without this they carry it into the picture.");
  ImGui::SameLine();
  if (ImGui::Checkbox("Some steps", &limits_steps_) && limits_steps_) edit_steps_ = {0, std::max(0, static_cast<int>(actions.steps()) - 1)};
  if (limits_steps_) {
    ImGui::SetNextItemWidth(-FLT_MIN);
    ImGui::DragIntRange2("##steps", &edit_steps_[0], &edit_steps_[1], 0.1f, 0, std::max(0, static_cast<int>(actions.steps()) - 1), "from %d", "to %d", ImGuiSliderFlags_AlwaysClamp);
  }
  Json changed = edits;
  ImGui::BeginDisabled(subject.empty());
  if (ImGui::Button("Add this edit", {-FLT_MIN, 0}))
    for (const std::string& text : edit_texts()) changed.push_back(text);
  ImGui::EndDisabled();
  if (!subject.empty()) tooltip(fmt::format("{}", fmt::join(edit_texts(), "\n")));
  for (size_t i = 0; i < edits.size(); ++i) {
    ImGui::PushID(static_cast<int>(i));
    if (ImGui::SmallButton("x")) changed.erase(i);
    tooltip("Takes this edit back");
    ImGui::PopID();
    ImGui::SameLine();
    ImGui::PushFont(theme.fonts().mono);
    ImGui::TextUnformatted(fitted(edits[i].get<std::string>(), ImGui::GetContentRegionAvail().x).c_str());
    ImGui::PopFont();
    tooltip(edits[i].get<std::string>());
  }
  if (changed != edits) actions.change_edits(changed);
  if (primary_button("Run beside this picture", {-FLT_MIN, 0}, theme)) actions.run(true);
  tooltip("The same job and seed with these edits; both pictures are shown side by side.");
}

void Inspector::draw_export(const InspectorActions& actions, const Image* picture) {
  ImGui::BeginDisabled(result_.map.empty() || picture == nullptr);
  if (ImGui::Button("Export the map…", {-FLT_MIN, 0}))
    actions.choose_file([this, actions, shown = source_ >= 0 ? sources_[static_cast<size_t>(source_)] : *picture](const std::filesystem::path& file) {
      try {
        save_map(file, result_.map, shown, range(), static_cast<double>(density_), smooth_);
        actions.tell("Saved " + file.string());
      } catch (const Error& error) {
        actions.failed(error.what());
      }
    });
  ImGui::EndDisabled();
  tooltip(".png: the picture under its map; .npy and .csv: its numbers");
}

void Inspector::draw_panel(const Theme& theme, const InspectorActions& actions, const Image* picture) {
  take_results();
  section("ATTENTION", theme);
  if (!watch_) {
    wrapped(theme.palette().faint, "See where each word of the prompt acts, and where each place of the picture looks, in it and in its styles. The job is run with its queries and keys kept.");
    if (primary_button("Run and look inside", {-FLT_MIN, theme.px(34)}, theme)) actions.run(false);
    return;
  }
  if (steps_.empty()) {
    faint(theme, "Waiting for the first step…");
    return;
  }
  const AttentionRecorder& recorder = watch_->recorder;
  faint(theme, fmt::format("{} steps kept{}, {:.0f} MB of 1024", steps_.size(), recorder.stride() > 1 ? fmt::format(" (one in {})", recorder.stride()) : "", static_cast<double>(recorder.bytes()) / 1048576));
  if (recorder.is_incomplete()) wrapped(theme.palette().warn, "One step alone is more than may be kept: some layers are missing.");
  if (ImGui::Button("Run and look inside again", {-FLT_MIN, 0})) actions.run(false);
  section("LOOK AT", theme);
  int kind = static_cast<int>(kind_);
  if (words_.empty()) {
    --kind;
    segmented<3>({"Place", "Received", "Spread"}, {"What the place that you click looks at (self-attention)", "How much each place is looked at by all others, in multiples of the mean",
                                                   "How widely each place looks: the entropy of its self-attention in bits"}, kind);
    ++kind;
  } else {
    segmented<4>({"Words", "Place", "Received", "Spread"},
                 {"Where the picture looks at the chosen words (cross-attention)", "What the place that you click looks at (self-attention)", "How much each place is looked at by all others, in multiples of the mean",
                  "How widely each place looks: the entropy of its self-attention in bits"}, kind);
  }
  kind_ = static_cast<MapKind>(kind);
  if (!words_.empty()) draw_words(theme);
  else wrapped(theme.palette().faint, sources_.empty() ? "The prompt has no words." : "This method reads no words: its places look at each other, and at the styles.");
  if (kind_ == MapKind::kPlace) faint(theme, "Click the picture to choose the place.");
  draw_pictures(theme);
  draw_source(theme);
  section("SCALE", theme);
  draw_scale(theme);
  section("EDIT", theme);
  draw_edits(theme, actions);
  section("EXPORT", theme);
  draw_export(actions, picture);
  ImGui::PushFont(theme.fonts().small);
  wrapped(theme.palette().faint, "Attention weights tell where information was read. They are not by themselves an explanation of why the picture looks as it does.");
  ImGui::PopFont();
}

bool Inspector::draw_overlay(ImVec2 origin, float scale, bool hovered, int64_t width, int64_t height, const Theme& theme) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImVec2 end = on_screen(origin, scale, 1, 1, width, height), mouse = ImGui::GetIO().MousePos;
  if (shown_ && source_ < 0 && !texture_.empty() && density_ > 0) texture_.draw(list, origin, end, !smooth_, IM_COL32(255, 255, 255, static_cast<int>(density_ * 255)));
  const std::array<double, 2> at = {(mouse.x - origin.x) / (end.x - origin.x), (mouse.y - origin.y) / (end.y - origin.y)};
  const bool inside = hovered && at[0] >= 0 && at[0] < 1 && at[1] >= 0 && at[1] < 1;
  pointer_ = inside ? std::optional(at) : std::nullopt;
  if (marks_ && hovered && ImGui::IsMouseClicked(ImGuiMouseButton_Left)) box_from_ = at;
  if (box_from_) {
    if (std::abs(at[0] - (*box_from_)[0]) * static_cast<double>(width) > 2 && std::abs(at[1] - (*box_from_)[1]) * static_cast<double>(height) > 2)
      box_ = std::array<double, 4>{std::clamp(std::min(at[0], (*box_from_)[0]), 0.0, 1.0), std::clamp(std::min(at[1], (*box_from_)[1]), 0.0, 1.0),
                                   std::clamp(std::max(at[0], (*box_from_)[0]), 0.0, 1.0), std::clamp(std::max(at[1], (*box_from_)[1]), 0.0, 1.0)};
    if (box_ && ((*box_)[2] - (*box_)[0] < 1e-3 || (*box_)[3] - (*box_)[1] < 1e-3)) box_.reset();  // outside the picture
    if (!ImGui::IsMouseDown(ImGuiMouseButton_Left)) box_from_.reset();
  } else if (!marks_ && inside && ImGui::IsMouseReleased(ImGuiMouseButton_Left)) {
    const ImVec2 moved = ImGui::GetMouseDragDelta(ImGuiMouseButton_Left, 0);
    if (std::abs(moved.x) + std::abs(moved.y) < theme.px(4)) {  // a click, not a pan
      place_ = at;
      kind_ = MapKind::kPlace;
    }
  }
  if (box_) {
    const ImVec2 a = on_screen(origin, scale, (*box_)[0], (*box_)[1], width, height), b = on_screen(origin, scale, (*box_)[2], (*box_)[3], width, height);
    list.AddRect({a.x - 1, a.y - 1}, {b.x + 1, b.y + 1}, IM_COL32(0, 0, 0, 160), 0, 0, theme.px(3));
    list.AddRect(a, b, theme.palette().accent, 0, 0, theme.px(1.5));
  }
  if (kind_ == MapKind::kPlace || source_ >= 0) {
    const ImVec2 centre = on_screen(origin, scale, place_[0], place_[1], width, height);
    list.AddCircle(centre, theme.px(6), IM_COL32(0, 0, 0, 200), 0, theme.px(3.5));
    list.AddCircle(centre, theme.px(6), IM_COL32_WHITE, 0, theme.px(1.5));
  }
  return marks_;
}

}  // namespace attelier::desktop
