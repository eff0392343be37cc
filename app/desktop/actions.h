// Every action of the app in one table, from which menus, shortcuts, the command palette, tooltips and the help sheet are made.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/desktop/input.h"
#include "core/base/parameters.h"

namespace attelier::desktop {

struct Action {
  std::string id;     // "job.run", stable: settings name it
  std::string label;  // "Run"
  std::string menu;   // the menu it stands in, "" = palette alone
  Chord chord;
  std::function<void()> run;
  std::function<bool()> enabled = [] { return true; };
  bool while_typing = false;  // its chord works in text fields too
  Chord default_chord = {};   // set by Actions::add()
};

class Actions {
 public:
  void add(Action action) {
    action.default_chord = action.chord;
    all_.push_back(std::move(action));
  }
  const std::vector<Action>& all() const { return all_; }
  const Action* find(const std::string& id) const;

  /// Chords of the user's settings: {"job.run": "Ctrl+Enter", ...}; returns complaints about unknown ids and unreadable or doubled chords.
  std::vector<std::string> rebind(const Json& chords);
  /// Gives an action a shortcut, which whoever had it loses.
  void bind(const std::string& id, const Chord& chord);
  /// All have their built-in shortcuts again.
  void reset();
  /// Who has this shortcut, null if nobody.
  const Action* holder(const Chord& chord) const;
  /// What rebind() would need to make the present shortcuts out of the built-in ones.
  Json changes() const;
  /// Runs the action of this chord. False: there is none, or it is not enabled, or the user types and it does not work then.
  bool dispatch(const Chord& chord, bool typing) const;
  void run(const std::string& id) const;
  /// Actions whose label, menu or id holds the letters of `words` in this order, the best first.
  std::vector<const Action*> search(const std::string& words) const;

 private:
  std::vector<Action> all_;
};

}  // namespace attelier::desktop
