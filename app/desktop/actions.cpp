#include "app/desktop/actions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace attelier::desktop {
namespace {

/// How well the letters of `words` fit into `text` in their order: the number of gaps, or -1 if they do not fit.
int gaps(const std::string& words, const std::string& text) {
  int count = 0;
  size_t at = 0;
  for (const char wanted : words) {
    if (wanted == ' ') continue;
    const auto same = [&](char c) { return std::tolower(static_cast<unsigned char>(c)) == std::tolower(static_cast<unsigned char>(wanted)); };
    const auto found = std::find_if(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), same);
    if (found == text.end()) return -1;
    const auto place = static_cast<size_t>(found - text.begin());
    if (place != at) count += at == 0 ? 2 : 1;
    at = place + 1;
  }
  return count;
}

}  // namespace

const Action* Actions::find(const std::string& id) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const Action& one) { return one.id == id; });
  return found == all_.end() ? nullptr : &*found;
}

std::vector<std::string> Actions::rebind(const Json& chords) {
  std::vector<std::string> complaints;
  if (!chords.is_object()) return complaints;
  std::vector<std::pair<Action*, Chord>> wanted;
  for (const auto& [id, text] : chords.items()) {
    const auto action = std::find_if(all_.begin(), all_.end(), [&id = id](const Action& one) { return one.id == id; });
    if (action == all_.end()) {
      complaints.push_back(fmt::format("there is no action \"{}\"", id));
      continue;
    }
    const Chord chord = text.is_string() ? parse_chord(text.get<std::string>()) : Chord{};
    if (chord.empty() && text != "") {
      complaints.push_back(fmt::format("the shortcut of {} is {}; allowed are \"\" and texts like \"Ctrl+Shift+Z\"", id, text.dump(-1, ' ', false, Json::error_handler_t::replace)));
      continue;
    }
    wanted.emplace_back(&*action, chord);
  }
  // Those that get another one give theirs up first: an exchange is no conflict.
  for (const auto& [action, chord] : wanted) action->chord = {};
  for (const auto& [action, chord] : wanted) {
    if (const Action* const other = holder(chord)) complaints.push_back(fmt::format("{} takes {} from {}", action->id, to_string(chord), other->id));
    bind(action->id, chord);
  }
  return complaints;
}

const Action* Actions::holder(const Chord& chord) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const Action& one) { return !chord.empty() && one.chord == chord; });
  return found == all_.end() ? nullptr : &*found;
}

void Actions::bind(const std::string& id, const Chord& chord) {
  for (Action& one : all_) {
    if (one.id == id) one.chord = chord;
    else if (one.chord == chord) one.chord = {};
  }
}

void Actions::reset() {
  for (Action& one : all_) one.chord = one.default_chord;
}

Json Actions::changes() const {
  Json chords = Json::object();
  for (const Action& one : all_)
    if (one.chord != one.default_chord) chords[one.id] = one.chord.empty() ? "" : to_string(one.chord);
  return chords;
}

bool Actions::dispatch(const Chord& chord, bool typing) const {
  for (const Action& one : all_) {
    if (one.chord.empty() || one.chord != chord || (typing && !one.while_typing)) continue;
    if (!one.enabled()) return false;
    one.run();
    return true;
  }
  return false;
}

void Actions::run(const std::string& id) const {
  if (const Action* action = find(id); action != nullptr && action->enabled()) action->run();
}

std::vector<const Action*> Actions::search(const std::string& words) const {
  std::vector<std::pair<int, const Action*>> ranked;
  for (const Action& one : all_) {
    const int label = gaps(words, one.label), whole = gaps(words, one.menu + " " + one.label);
    if (label >= 0) ranked.emplace_back(label, &one);
    else if (whole >= 0) ranked.emplace_back(100 + whole, &one);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<const Action*> found;
  for (const auto& [rank, action] : ranked) found.push_back(action);
  return found;
}

}  // namespace attelier::desktop
