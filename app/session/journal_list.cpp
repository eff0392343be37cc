#include "app/session/journal_list.h"

#include <algorithm>

namespace attelier {
namespace {

constexpr size_t kPage = 64, kMostPages = 64;

}  // namespace

void JournalList::show(std::vector<int64_t> ids) {
  ids_ = std::move(ids);
  pages_.clear();
  read_ = 0;
}

const JournalEntry* JournalList::at(size_t index) {
  const size_t number = index / kPage;
  auto page = pages_.find(number);
  if (page == pages_.end()) {
    if (pages_.size() >= kMostPages) pages_.clear();
    const auto first = ids_.begin() + static_cast<std::ptrdiff_t>(number * kPage);
    const std::vector<int64_t> ids(first, first + static_cast<std::ptrdiff_t>(std::min(kPage, ids_.size() - number * kPage)));
    std::map<int64_t, JournalEntry> entries;
    for (JournalEntry& entry : journal_.brief_entries(ids)) entries.emplace(entry.id, std::move(entry));
    read_ += entries.size();
    page = pages_.emplace(number, std::move(entries)).first;
  }
  const auto entry = page->second.find(ids_[index]);
  return entry == page->second.end() ? nullptr : &entry->second;
}

}  // namespace attelier
