#include "core/base/file_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/testing/errors.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

TEST(FileLocks, HaveOneHolderWhoIsNamed) {
  const TemporaryFolder folder;
  std::optional<FileLock> first = FileLock::take(folder / "lock");
  ASSERT_TRUE(first);
  EXPECT_FALSE(FileLock::take(folder / "lock"));
  EXPECT_TRUE(contains(FileLock::holder(folder / "lock"), fmt::format("process {} on ", getpid())));
  first.reset();
  EXPECT_TRUE(FileLock::take(folder / "lock"));
  EXPECT_EQ(FileLock::holder(folder / "absent"), "");
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { FileLock::take(folder / "nowhere/lock"); }), "cannot be opened"));
}

TEST(FileLocks, EndWithTheProcessThatHoldsThem) {
  const TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    const std::optional<FileLock> lock = FileLock::take(folder / "lock");
    _exit(lock ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(FileLock::take(folder / "lock"));
}

}  // namespace
}  // namespace attelier
