#include "core/base/files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>

#include "core/base/context.h"
#include "core/base/error.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
 protected:
  Files() : folder_(fs::temp_directory_path() / fmt::format("attelier-files-{}", getpid())) { fs::create_directories(folder_); }
  ~Files() override { fs::remove_all(folder_); }
  int64_t entries() const { return std::distance(fs::directory_iterator(folder_), fs::directory_iterator()); }
  fs::path folder_;
};

TEST_F(Files, WrittenBytesComeBack) {
  const std::string bytes("a\0b\nc", 5);
  write_file_atomically(folder_ / "x", bytes);
  EXPECT_EQ(read_file(folder_ / "x"), bytes);
  EXPECT_EQ(entries(), 1);
}

TEST_F(Files, FailedWriteKeepsTheOldFileAndLeavesNothing) {
  write_file_atomically(folder_ / "x", "old");
  EXPECT_THROW(write_atomically(folder_ / "x", [](const fs::path& temporary) {
                 std::ofstream(temporary) << "half";
                 throw std::runtime_error("disk full");
               }),
               Error);
  EXPECT_EQ(read_file(folder_ / "x"), "old");
  EXPECT_EQ(entries(), 1);
}

TEST_F(Files, TheNextWriteRemovesWhatKilledWritersLeft) {
  const fs::path folder = folder_ / "killed";
  fs::create_directory(folder);
  const int64_t gone = 999'999'999;  // more than any process has
  const auto leave = [&](const std::string& name, std::chrono::hours age) {
    std::ofstream(folder / name) << "half";
    fs::last_write_time(folder / name, fs::file_time_type::clock::now() - age);
  };
  using std::chrono::hours;
  leave(fmt::format("old.png.tmp-{}", gone), hours(2));
  leave(fmt::format("new.png.tmp-{}", gone), hours(0));
  leave(fmt::format("own.png.tmp-{}", getpid()), hours(2));
  leave(fmt::format("notes.tmp-{}a", gone), hours(2));
  leave("notes.tmp-", hours(2));
  leave(fmt::format("film.mp4.tmp-{}.mp4", gone), hours(2));  // of a writer that goes by the name's end
  leave(fmt::format("film.mp4.tmp-{}.png", gone), hours(2));
  for (const char* name : {".attelier", "mine"}) {
    const fs::path inner = folder / fmt::format("{}.tmp-{}", name, gone);
    fs::create_directory(inner);
    std::ofstream(inner / "a.png") << "half";
    fs::last_write_time(inner, fs::file_time_type::clock::now() - hours(2));
  }
  write_file_atomically(folder / "x", "whole");
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  EXPECT_EQ(names, (std::set<std::string>{"x", fmt::format("new.png.tmp-{}", gone), fmt::format("own.png.tmp-{}", getpid()), fmt::format("notes.tmp-{}a", gone), "notes.tmp-",
                                          fmt::format("film.mp4.tmp-{}.png", gone), fmt::format("mine.tmp-{}", gone)}));
}

TEST_F(Files, FullDeviceIsAnErrorWithItsReason) {
  try {
    write_atomically(folder_ / "x", [](const fs::path&) { write_file_atomically("/dev/full/x", "1"); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadInput);
    EXPECT_NE(std::string(error.what()).find("/dev/full/x"), std::string::npos);
  }
  EXPECT_EQ(entries(), 0);
}

TEST_F(Files, MissingFolderTooLargeFileAndFolderAreErrors) {
  EXPECT_THROW(write_file_atomically(folder_ / "none" / "x", "1"), Error);
  EXPECT_THROW(read_file(folder_ / "none"), Error);
  EXPECT_THROW(read_file(folder_), Error);
  write_file_atomically(folder_ / "x", "12345");
  EXPECT_THROW(read_file(folder_ / "x", 4), Error);
}

TEST_F(Files, Sha256OfKnownText) {
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  write_file_atomically(folder_ / "x", "abc");
  EXPECT_EQ(sha256_file(folder_ / "x"), sha256("abc"));
}

TEST(Folders, EmptyVariablesCountAsUnset) {
  setenv("XDG_CACHE_HOME", "/elsewhere", 1);
  EXPECT_EQ(cache_folder(), "/elsewhere/attelier");
  setenv("XDG_CACHE_HOME", "", 1);
  setenv("HOME", "/home/me", 1);
  EXPECT_EQ(cache_folder(), "/home/me/.cache/attelier");
}

// The first numbers of torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(seed)).
TEST(Generator, DrawsTorchNumbers) {
  const at::Tensor a = at::randn({1, 4, 64, 64}, make_generator(0), at::kFloat).flatten();
  const at::Tensor b = at::randn({1, 4, 64, 64}, make_generator(42), at::kFloat).flatten();
  EXPECT_NEAR(a[0].item<float>(), -1.1258f, 1e-4);
  EXPECT_NEAR(a[7].item<float>(), -2.1152f, 1e-4);
  EXPECT_NEAR(a[-1].item<float>(), -1.0782f, 1e-4);
  EXPECT_NEAR(b[3].item<float>(), -2.1055f, 1e-4);
}

}  // namespace
}  // namespace attelier
