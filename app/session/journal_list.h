// A list of the journal's entries as a view scrolls it: how many there are is known, and what is looked at is read, however long the list is.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "app/session/journal.h"

namespace attelier {

class JournalList {
 public:
  explicit JournalList(const Journal& journal) : journal_(journal) {}

  /// Shows these entries from now on; what was read before is read again when it is asked for.
  void show(std::vector<int64_t> ids);
  size_t size() const { return ids_.size(); }
  bool empty() const { return ids_.empty(); }
  int64_t id(size_t index) const { return ids_[index]; }
  /// The entry without its `job` and `record`, read together with its neighbours; null if it has gone meanwhile. Valid until the next call of at() or
  /// show(). Throws Error where the journal cannot be read.
  const JournalEntry* at(size_t index);
  /// How many entries were read since show().
  size_t read() const { return read_; }

 private:
  const Journal& journal_;
  std::vector<int64_t> ids_;
  std::map<size_t, std::map<int64_t, JournalEntry>> pages_;  // by number and id
  size_t read_ = 0;
};

}  // namespace attelier
