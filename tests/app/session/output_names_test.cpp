// Names of pictures, and the folder they go to.
#include "app/session/output_names.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/app/session/session_testing.h"

namespace attelier {
namespace {

Job job_with(const std::filesystem::path& folder, const std::string& pattern, const std::string& exists = "number") {
  Job job = parse_job(json_of(R"({"method": "generate", "name": "night", "params": {"seed": 7}})"));
  job.output.folder = folder;
  job.output.pattern = pattern;
  job.output.exists = exists;
  return job;
}

TEST(OutputNames, FieldsAreFilledIn) {
  Job job = job_with(".", "{name}_{method}_{model}_{seed:5}_{index:04}.png");
  EXPECT_EQ(picture_name(job, job.params, 3), "night_generate_mini_00007_0003.png");
  job.model = "/models/sd-v1.5.safetensors";
  job.output.pattern = "{model}.png";
  EXPECT_EQ(picture_name(job, job.params, 0), "sd-v1.5.png");
  job.model = "/models/sd.v1/";
  EXPECT_EQ(picture_name(job, job.params, 0), "sd.v1.png");
  job.output.pattern = "{date}.png";
  EXPECT_EQ(picture_name(job, job.params, 0).size(), 14u);
}

TEST(OutputNames, UnsafeAndLongNamesAreTamed) {
  Job job = job_with(".", "{name}.png");
  job.name = "../../etc/passwd\n:*";
  EXPECT_EQ(picture_name(job, job.params, 0), ".._.._etc_passwd___.png");
  job.name = std::string(59, 'a') + "ж" + std::string(100000, 'b');
  EXPECT_EQ(picture_name(job, job.params, 0), std::string(59, 'a') + ".png") << "cut between characters";
  EXPECT_FALSE(pattern_problem(std::string(200, 'x') + ".png").empty());
  EXPECT_TRUE(pattern_problem("{name}_{seed}_{index:04}.png").empty());
}

TEST(OutputNames, TakenNames) {
  const TemporaryFolder folder;
  Job job = job_with(folder.path(), "{name}_{index}.png");
  folder.write("night_0.png", "x");
  folder.write("night_1.png", "x");
  int64_t index = 0;
  EXPECT_EQ(picture_path(job, job.params, index), folder / "night_2.png");
  EXPECT_EQ(index, 2);
  job.output.exists = "overwrite";
  index = 0;
  EXPECT_EQ(picture_path(job, job.params, index), folder / "night_0.png");
  job.output.exists = "error";
  EXPECT_EQ(error_of([&] { picture_path(job, job.params, index); }, {"night_0.png: exists already"}), ExitCode::kBadInput);
  job = job_with(folder.path(), "fixed.png");
  folder.write("fixed.png", "x");
  folder.write("fixed_1.png", "x");
  EXPECT_EQ(picture_path(job, job.params, index), folder / "fixed_2.png") << "a pattern without an index is numbered all the same";
}

TEST(OutputNames, AClaimedNameIsGivenOnce) {
  const TemporaryFolder folder;
  const Job job = job_with(folder.path(), "{name}_{index}.png"), unnumbered = job_with(folder.path(), "night_1.png");
  const auto claim = [](const Job& job, int64_t index = 0) { return std::make_unique<ClaimedPath>(job, job.params, index); };
  auto first = claim(job), second = claim(job), third = claim(unnumbered);
  EXPECT_EQ(first->path(), folder / "night_0.png");
  EXPECT_EQ(second->path(), folder / "night_1.png");
  EXPECT_EQ(third->path(), folder / "night_1_1.png");
  first.reset();
  EXPECT_EQ(claim(job)->path(), folder / "night_0.png") << "nothing was written to it";
  folder.write("night_0.png", "x");
  EXPECT_EQ(claim(job)->path(), folder / "night_2.png");
  second.reset();
  third.reset();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "claims leave nothing behind";
}

TEST(OutputNames, TheClaimOfAKilledProcessEnds) {
  const TemporaryFolder folder;
  const Job job = job_with(folder.path(), "{name}_{index}.png");
  int64_t index = 0;
  const pid_t child = fork();
  if (child == 0) {
    const ClaimedPath claimed(job, job.params, index);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(std::filesystem::exists(folder / ".night_0.png.claim"));
  EXPECT_EQ(ClaimedPath(job, job.params, index).path(), folder / "night_0.png");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(OutputNames, FoldersAreCheckedBeforeTheWork) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(check_folder(folder.path(), 1000));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "the check leaves nothing behind";
  EXPECT_EQ(error_of([&] { check_folder(folder / "missing", 1); }, {"no such folder"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { check_folder(folder.write("file", "x"), 1); }, {"is no folder"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { check_folder("/proc", 1); }, {"cannot be written"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { check_folder(folder.path(), int64_t{1} << 58); }, {"has no room for"}), ExitCode::kBadInput);
}

}  // namespace
}  // namespace attelier
