#include "core/weights/zip.h"

#include <gtest/gtest.h>

#include "tests/core/weights/weights_testing.h"
#include "tests/core/weights/zip_building.h"

namespace attelier {
namespace {

std::string error_of(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder.write("x.zip", bytes);
  return message_of(ExitCode::kModel, [&] { StoredZip(ReadOnlyFile::open(path)); });
}

TEST(StoredZip, FindsItsEntries) {
  const TemporaryFolder folder;
  for (const bool is_64 : {false, true}) {
    const std::string bytes =
        zip_of({{.name = "a/b", .data = "hello"}, {.name = "empty"}, {.name = "c", .data = "!"}}, {.is_64 = is_64, .comment = "a comment"});
    const StoredZip zip(ReadOnlyFile::open(folder.write("x.zip", bytes)));
    ASSERT_EQ(zip.entries().size(), 3u);
    const auto entry = zip.entries().at("a/b");
    EXPECT_EQ(zip.file().bytes(entry.offset, entry.size), "hello");
    EXPECT_EQ(zip.entries().at("empty").size, 0u);
  }
}

TEST(StoredZip, FindsNoEntriesInAnEmptyArchive) {
  const TemporaryFolder folder;
  EXPECT_TRUE(StoredZip(ReadOnlyFile::open(folder.write("x.zip", zip_of({})))).entries().empty());
}

TEST(StoredZip, RefusesContradictoryArchives) {
  const ZipEntry first{.name = "first", .data = "12345678"}, second{.name = "second", .data = "abc"};
  const auto with = [&](const std::function<void(ZipEntry&)>& change) {
    ZipEntry changed = second;
    change(changed);
    return zip_of({first, changed});
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "truncated"},
      {std::string(100, 'x'), "no end record"},
      {zip_of({first}, {.junk_after = "x"}), "no end record"},
      {zip_of({first}, {.disk = 1}), "several parts"},
      {zip_of({first}, {.count = 1}), "too short for 2 entries"},
      {zip_of({first, second}, {.count = -1}), "bytes too many"},
      {zip_of({first}, {.offset = 1}), "misplaced"},
      {zip_of({first}, {.size = 1}), "misplaced"},
      {zip_of({first}, {.offset = -1, .size = 1}), "damaged"},
      {zip_of({first}, {.is_64 = true, .count_64 = 1}), "contradict each other"},
      {zip_of({first}, {.size = 1, .is_64 = true}), "misplaced"},
      {zip_of({first, first}), "\"first\" twice"},
      {with([](ZipEntry& entry) { entry.flags = 1; }), "encrypted"},
      {with([](ZipEntry& entry) { entry.flags = 0x2000; }), "encrypted"},
      {with([](ZipEntry& entry) { entry.method = 8; }), "is compressed"},
      {with([](ZipEntry& entry) { entry.local_name = "other!"; }), "contradicts the central directory"},
      {with([](ZipEntry& entry) { entry.local_size = 2; }), "contradicts the central directory"},
      {with([](ZipEntry& entry) { entry.central_size = 2; }), "3 bytes instead of 2"},
      {with([](ZipEntry& entry) { entry.stored_size = 2; }), "2 bytes instead of 3"},
      {with([](ZipEntry& entry) { entry.moved = 1; }), "no local header"},
      {with([](ZipEntry& entry) { entry.moved = 1 << 20; }), "outside the archive"},
      {with([](ZipEntry& entry) { entry.central_size = entry.stored_size = 0xFFFFFFFF; }), "zip64 sizes are damaged"},
      {with([](ZipEntry& entry) {
         entry.central_size = entry.stored_size = 0xFFFFFFFF;
         entry.extra = packed(uint16_t{1}, uint16_t{8}, uint64_t{3});
       }),
       "zip64 sizes are damaged"},
      {with([](ZipEntry& entry) {
         entry.central_size = entry.stored_size = entry.local_size = 0xFFFFFFFF;
         entry.extra = packed(uint16_t{1}, uint16_t{16}, ~uint64_t{0}, ~uint64_t{0});
       }),
       "outside the archive"},
      {with([](ZipEntry& entry) {
         entry.central_size = entry.stored_size = 0xFFFFFFFF;
         entry.extra = packed(uint16_t{7}, uint16_t{60000});
       }),
       "zip64 sizes are damaged"},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_TRUE(contains(error_of(cases[i].first), cases[i].second));
  }
}

TEST(StoredZip, ReadsSizesFromTheWideField) {
  const TemporaryFolder folder;
  ZipEntry entry{.name = "a", .data = "abc"};
  entry.central_size = entry.stored_size = 0xFFFFFFFF;
  entry.extra = packed(uint16_t{9}, uint16_t{1}) + "x" + packed(uint16_t{1}, uint16_t{16}, uint64_t{3}, uint64_t{3});
  EXPECT_EQ(StoredZip(ReadOnlyFile::open(folder.write("x.zip", zip_of({entry})))).entries().at("a").size, 3u);
}

TEST(StoredZip, RefusesOverlappingEntries) {
  // The data of the outer entry is itself a whole entry, and both are listed.
  const ZipEntry inner{.name = "inner", .data = "abc"};
  const std::string whole = zip_of({inner});
  const std::string hidden = whole.substr(0, 30 + 5 + 3);
  const ZipEntry outer{.name = "outer", .data = hidden};
  ZipEntry listed = inner;
  listed.moved = -static_cast<int64_t>(hidden.size());
  EXPECT_TRUE(contains(error_of(zip_of({outer, listed})), "overlap"));
}

}  // namespace
}  // namespace attelier
