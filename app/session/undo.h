// Taking back and doing again: a linear history of commands on a document.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace attelier {

struct Document;

/// One step of a person's work. apply() and revert() are each other's inverse on the document that the other one left.
class Command {
 public:
  virtual ~Command() = default;
  virtual std::string label() const = 0;
  virtual void apply(Document& document) const = 0;
  virtual void revert(Document& document) const = 0;
  /// Takes in a command that follows at once (the next move of the same slider): true if this one now does both.
  virtual bool try_merge(const Command& next);
  virtual size_t byte_size() const = 0;
};

/// Several commands that are one step; reverted in reverse order.
class CommandGroup : public Command {
 public:
  CommandGroup(std::string label, std::vector<std::unique_ptr<Command>> commands) : label_(std::move(label)), commands_(std::move(commands)) {}
  std::string label() const override { return label_; }
  void apply(Document& document) const override;
  void revert(Document& document) const override;
  size_t byte_size() const override;

 private:
  std::string label_;
  std::vector<std::unique_ptr<Command>> commands_;
};

/// Commands merge when they follow each other within half a second. Beyond the budget the oldest steps are forgotten, never the newest one.
class UndoStack {
 public:
  static constexpr double kMergePause = 0.5;  // seconds
  static constexpr size_t kBudget = size_t{512} << 20;
  /// `clock` gives seconds; empty = the steady clock.
  explicit UndoStack(std::function<double()> clock = {}, size_t budget = kBudget);

  /// Applies the command and keeps it; what was taken back before is forgotten.
  void push(Document& document, std::unique_ptr<Command> command);
  /// False if there is nothing to take back or to do again.
  bool undo(Document& document);
  bool redo(Document& document);
  /// What they would take back or do again, "" for nothing.
  std::string undo_label() const;
  std::string redo_label() const;
  /// Ends merging: the slider was let go, the field lost its focus.
  void seal() { open_ = false; }
  void clear();
  size_t steps() const { return done_.size(); }
  /// What the commands hold.
  size_t byte_size() const { return bytes_; }

 private:
  struct Step {
    std::unique_ptr<Command> command;
    size_t bytes = 0;
  };
  void forget_oldest();

  std::function<double()> clock_;
  size_t budget_;
  std::deque<Step> done_;
  std::vector<Step> undone_;
  size_t bytes_ = 0;  // of all steps; each is measured once, when it comes or grows
  double last_push_ = 0;
  bool open_ = false;
};

}  // namespace attelier
