#include "app/session/undo.h"

#include <chrono>

namespace attelier {

bool Command::try_merge(const Command& /*next*/) { return false; }

void CommandGroup::apply(Document& document) const {
  for (const auto& command : commands_) command->apply(document);
}

void CommandGroup::revert(Document& document) const {
  for (auto command = commands_.rbegin(); command != commands_.rend(); ++command) (*command)->revert(document);
}

size_t CommandGroup::byte_size() const {
  size_t bytes = sizeof(*this) + label_.size();
  for (const auto& command : commands_) bytes += command->byte_size();
  return bytes;
}

UndoStack::UndoStack(std::function<double()> clock, size_t budget) : clock_(std::move(clock)), budget_(budget) {
  if (!clock_) clock_ = [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
}

void UndoStack::push(Document& document, std::unique_ptr<Command> command) {
  command->apply(document);
  for (const Step& step : undone_) bytes_ -= step.bytes;
  undone_.clear();
  const double now = clock_();
  const bool merged = open_ && !done_.empty() && now - last_push_ < kMergePause && done_.back().command->try_merge(*command);
  if (!merged) done_.push_back({std::move(command)});
  Step& newest = done_.back();
  bytes_ -= newest.bytes;
  newest.bytes = newest.command->byte_size();
  bytes_ += newest.bytes;
  last_push_ = now;
  open_ = true;
  forget_oldest();
}

bool UndoStack::undo(Document& document) {
  if (done_.empty()) return false;
  done_.back().command->revert(document);
  undone_.push_back(std::move(done_.back()));
  done_.pop_back();
  open_ = false;
  return true;
}

bool UndoStack::redo(Document& document) {
  if (undone_.empty()) return false;
  undone_.back().command->apply(document);
  done_.push_back(std::move(undone_.back()));
  undone_.pop_back();
  open_ = false;
  return true;
}

std::string UndoStack::undo_label() const { return done_.empty() ? "" : done_.back().command->label(); }
std::string UndoStack::redo_label() const { return undone_.empty() ? "" : undone_.back().command->label(); }

void UndoStack::clear() {
  done_.clear();
  undone_.clear();
  bytes_ = 0;
  open_ = false;
}

void UndoStack::forget_oldest() {
  for (; bytes_ > budget_ && done_.size() > 1; done_.pop_front()) bytes_ -= done_.front().bytes;
}

}  // namespace attelier
