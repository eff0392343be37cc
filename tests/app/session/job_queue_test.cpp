#include "app/session/job_queue.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "app/session/failure.h"
#include "app/session/progress_estimate.h"
#include "app/session/queued_job.h"
#include "core/base/files.h"
#include "core/weights/tensor_file.h"
#include "tests/app/session/processes.h"
#include "tests/app/session/session_testing.h"
#include "tests/testing/sanitizers.h"
#include "tests/testing/tiny_model.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Waits at most a minute.
template <typename Condition>
::testing::AssertionResult becomes_true(const Condition& condition) {
  const Clock::time_point start = Clock::now();
  while (!condition()) {
    if (seconds_since(start) > 60) return ::testing::AssertionFailure() << "not within the time";
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return ::testing::AssertionSuccess();
}

class JobQueueTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    models_ = new TemporaryFolder();
    write_tiny_model(*models_ / "tiny");
    TinyModelOptions broken;
    broken.prediction_gain = 1e38;
    write_tiny_model(*models_ / "broken", broken);
  }
  static void TearDownTestSuite() { delete models_; }

  Job job(Json params = Json::object(), const std::string& model = "tiny") const {
    Json all = {{"prompt", "a red house"}, {"steps", 2}, {"seed", 5}, {"sampler", "ddim"}};
    if (params.is_object()) all.update(params);
    return parse_job({{"method", "generate"},
                      {"model", (*models_ / model).string()},
                      {"params", all},
                      {"output", {{"dir", folder_.path().string()}, {"pattern", "picture_{index:04}.png"}}},
                      {"run", {{"device", "cpu"}, {"threads", 1}}}});
  }
  Job long_job() const { return job({{"steps", 900}}); }

  static TemporaryFolder* models_;
  TemporaryFolder folder_;
  const Variable cache_{"XDG_CACHE_HOME", folder_ / "cache"};
  const fs::path file_ = folder_ / "journal.sqlite";
};
TemporaryFolder* JobQueueTest::models_ = nullptr;

TEST_F(JobQueueTest, RunsJobsInOrderAndRemembersThem) {
  Journal journal(file_);
  std::atomic<int> wakes = 0;
  JobQueue queue(journal, [&] { ++wakes; });
  const int64_t first = queue.add(job()), second = queue.add(job({{"seed", 6}, {"count", 2}}));
  EXPECT_FALSE(queue.is_idle());
  queue.wait();
  EXPECT_TRUE(queue.is_idle());
  EXPECT_EQ(queue.report().id, 0);
  EXPECT_GT(wakes, 3);
  const JournalEntry a = journal.entry(first), b = journal.entry(second);
  ASSERT_EQ(a.state, JobState::kDone) << a.error;
  ASSERT_EQ(b.state, JobState::kDone) << b.error;
  EXPECT_EQ(a.title, "a red house");
  ASSERT_EQ(a.files.size(), 1);
  EXPECT_EQ(b.files.size(), 2);
  EXPECT_TRUE(fs::exists(a.files[0]));
  EXPECT_TRUE(a.record.contains("run_id"));
  EXPECT_TRUE(a.record["stages"].contains("loading the model")) << a.record.dump();
  EXPECT_FALSE(b.record["stages"].contains("loading the model")) << "the model stays open";
  const Image thumbnail = decode_image(journal.thumbnail(first), "thumbnail");
  EXPECT_EQ(std::max(thumbnail.width, thumbnail.height), 64);
  // A picture of the history runs again to the same pixels.
  const Job again = parse_job(read_job(read_file(a.files[0]), a.files[0].string(), a.files[0].parent_path()).json);
  EXPECT_EQ(again.params, a.job["params"]);
}

TEST_F(JobQueueTest, SameSeedSamePixelsAnotherSeedAnotherPicture) {
  Journal journal(file_);
  JobQueue queue(journal);
  const int64_t first = queue.add(job({{"size", {192, 64}}}));
  const int64_t same = queue.duplicate(first), other = queue.duplicate(first, 99);
  queue.wait();
  const auto pixels = [&](int64_t id) { return load_image(journal.entry(id).files.at(0)).pixels; };
  EXPECT_EQ(pixels(first), pixels(same));
  EXPECT_NE(pixels(first), pixels(other));
  EXPECT_EQ(journal.entry(other).job["params"]["seed"], 99);
  const Image thumbnail = decode_image(journal.thumbnail(first), "thumbnail");
  EXPECT_EQ(thumbnail.width, 160);
  EXPECT_EQ(thumbnail.height, 53);
}

TEST_F(JobQueueTest, OneOfFiveIsCancelledBeforeAndOneWhileItRuns) {
  Journal journal(file_);
  JobQueue queue(journal);
  const int64_t running = queue.add(long_job());
  std::vector<int64_t> rest;
  for (int i = 0; i < 4; ++i) rest.push_back(queue.add(job({{"seed", i}})));
  queue.cancel(rest[2]);
  EXPECT_EQ(journal.entry(rest[2]).state, JobState::kCancelled);
  ASSERT_TRUE(becomes_true([&] { return queue.report().done > 3; }));
  const Clock::time_point start = Clock::now();
  queue.cancel(running);
  ASSERT_TRUE(becomes_true([&] { return journal.entry(running).state == JobState::kCancelled; }));
  EXPECT_LT(seconds_since(start), kSanitized ? 10 : 1);
  queue.wait();
  for (const size_t i : {0, 1, 3}) EXPECT_EQ(journal.entry(rest[i]).state, JobState::kDone) << journal.entry(rest[i]).error;
  EXPECT_EQ(journal.entry(rest[2]).state, JobState::kCancelled);
  EXPECT_EQ(journal.entry(running).files.size(), 0);
}

TEST_F(JobQueueTest, StopsAfterThePicture) {
  Journal journal(file_);
  JobQueue queue(journal);
  const int64_t id = queue.add(job({{"steps", 20}, {"count", 50}}));
  ASSERT_TRUE(becomes_true([&] { return queue.report().id == id && queue.report().done > 0; }));
  queue.cancel(id, StopVerb::kAfterPicture);
  queue.wait();
  const JournalEntry entry = journal.entry(id);
  EXPECT_EQ(entry.state, JobState::kCancelled);
  EXPECT_GE(entry.files.size(), 1);
  EXPECT_LT(entry.files.size(), 50);
  for (const fs::path& file : entry.files) EXPECT_EQ(load_image(file).width, 64);
  const int64_t last = queue.add(job({{"steps", 200}}));
  ASSERT_TRUE(becomes_true([&] { return queue.report().id == last; }));
  queue.cancel(last, StopVerb::kAfterPicture);
  queue.wait();
  EXPECT_EQ(journal.entry(last).state, JobState::kDone) << "the only picture was finished: the job is done";
}

TEST_F(JobQueueTest, PausesBetweenJobsAndLetsOnePass) {
  Journal journal(file_);
  JobQueue queue(journal, {}, {.paused = true});
  const int64_t a = queue.add(job()), b = queue.add(job({{"seed", 2}})), c = queue.add(job({{"seed", 3}}), /*first=*/true);
  queue.wait();
  EXPECT_TRUE(queue.is_paused());
  EXPECT_EQ(journal.queue().size(), 3);
  EXPECT_EQ(journal.queue().front().id, c);
  queue.pause(false);
  ASSERT_TRUE(becomes_true([&] { return journal.entry(c).state == JobState::kDone; }));
  queue.wait();
  EXPECT_LE(journal.entry(c).started, journal.entry(a).started);
  EXPECT_EQ(journal.entry(b).state, JobState::kDone);
}

TEST_F(JobQueueTest, FailuresStayInTheHistoryAndTheNextJobRuns) {
  Journal journal(file_);
  JobQueue queue(journal);
  EXPECT_EQ(error_of([&] { queue.add(job({}, "missing")); }, {"missing"}), ExitCode::kModel);
  Json lost = job().to_json();
  lost["model"] = (folder_ / "gone").string();
  const int64_t no_model = journal.add(lost, "lost");
  const int64_t overflow = queue.add(job({}, "broken"));
  const int64_t nonsense = journal.add({{"method", "generate"}, {"params", {{"steps", -1}}}}, "nonsense");
  const int64_t good = queue.add(job());
  queue.wait();
  const auto expect = [&](int64_t id, ExitCode code, const std::string& part) {
    const JournalEntry entry = journal.entry(id);
    EXPECT_EQ(entry.state, JobState::kFailed);
    EXPECT_EQ(entry.error_code, static_cast<int>(code)) << entry.error;
    EXPECT_NE(entry.error.find(part), std::string::npos) << entry.error;
  };
  expect(no_model, ExitCode::kModel, "gone");
  expect(overflow, ExitCode::kNumerical, "NaN");
  expect(nonsense, ExitCode::kBadInput, "/params/steps");
  EXPECT_EQ(journal.entry(good).state, JobState::kDone) << journal.entry(good).error;
  journal.requeue(overflow);
  queue.wait();
  expect(overflow, ExitCode::kNumerical, "NaN");
}

TEST_F(JobQueueTest, ReportsAndPreviewsWhileItRuns) {
  Journal journal(file_);
  std::atomic<int> wakes = 0;
  JobQueue queue(journal, [&] { ++wakes; });
  const Clock::time_point start = Clock::now();
  const int64_t id = queue.add(long_job());
  ASSERT_TRUE(becomes_true([&] { return queue.report().stage == "sampling" && queue.report().done >= 5; }));
  const JobReport report = queue.report();
  EXPECT_EQ(report.id, id);
  EXPECT_EQ(report.total, 900);
  EXPECT_GT(report.memory_bytes, 10 << 20);
  ASSERT_TRUE(report.remaining_seconds.has_value());
  EXPECT_GT(*report.remaining_seconds, 0);
  std::vector<JobQueue::Preview> previews;
  const Clock::time_point from = Clock::now();
  while (seconds_since(from) < 1.2 && queue.report().id == id) {
    if (auto preview = queue.take_preview()) previews.push_back(std::move(*preview));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_GE(previews.size(), 2);
  EXPECT_LE(previews.size(), 7);
  EXPECT_EQ(previews[0].image.width, 8);
  EXPECT_EQ(previews[0].image.channels, 3);
  EXPECT_LT(previews[0].step, previews[1].step);
  const double ran = seconds_since(start);
  queue.cancel(id);
  queue.wait();
  EXPECT_LE(wakes, 20 * (ran + 1) + 10);
  EXPECT_FALSE(queue.take_preview().has_value());
  // One step: the last one shows no preview.
  queue.add(job({{"steps", 1}}));
  int shown = 0;
  while (!queue.is_idle()) shown += queue.take_preview() ? 1 : 0;
  EXPECT_EQ(shown, 0);
}

TEST_F(JobQueueTest, TheSecondPictureStartsAtOnceAndEqualsTheFirst) {
  Journal journal(file_);
  JobQueue queue(journal);
  const auto timed = [&] {
    const Clock::time_point start = Clock::now();
    const int64_t id = queue.add(job({{"steps", 1}}));
    queue.wait();
    return std::pair(seconds_since(start), load_image(journal.entry(id).files.at(0)).pixels);
  };
  const auto [cold, first] = timed();
  const auto [warm, second] = timed();
  fmt::print("first picture {:.3f} s, second {:.3f} s\n", cold, warm);
  EXPECT_EQ(first, second);
  EXPECT_LT(warm, cold);
  queue.free_model();
  EXPECT_EQ(timed().second, first);
  // Another file under the same name is another model.
  TinyModelOptions other;
  other.seed = 12;
  fs::copy(*models_ / "tiny", folder_ / "swapped", fs::copy_options::recursive);
  Job swapped = job({{"steps", 1}});
  swapped.model = (folder_ / "swapped").string();
  const int64_t before = queue.add(swapped);
  queue.wait();
  fs::remove_all(folder_ / "swapped");
  write_tiny_model(folder_ / "swapped", other);
  const int64_t after = queue.add(swapped);
  queue.wait();
  EXPECT_EQ(load_image(journal.entry(before).files.at(0)).pixels, first);
  EXPECT_NE(load_image(journal.entry(after).files.at(0)).pixels, first);
}

TEST_F(JobQueueTest, AMergedLoraLeavesTheKeptModelAsItWas) {
  const std::string key = "lora_unet_up_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.";
  const auto random = make_generator(4);
  write_safetensors(folder_ / "lora.safetensors", {{key + "lora_down.weight", at::randn({4, 64}, random, at::kFloat)}, {key + "lora_up.weight", at::randn({64, 4}, random, at::kFloat)}});
  const fs::path control = folder_ / "control.png";
  save_image(control, Image{64, 64, 3, std::vector<uint8_t>(64 * 64 * 3, 90)});
  Journal journal(file_);
  JobQueue queue(journal);
  const Json lora = {(folder_ / "lora.safetensors").string()};
  const int64_t before = queue.add(job()), merged = queue.add(job({{"lora", lora}})), after = queue.add(job());
  Job failing = job({{"lora", lora}, {"control_model", {"nowhere"}}});
  failing.inputs["control"] = {control};
  const int64_t failed = queue.add(failing), last = queue.add(job());
  queue.wait();
  const auto pixels = [&](int64_t id) { return load_image(journal.entry(id).files.at(0)).pixels; };
  EXPECT_NE(pixels(before), pixels(merged));
  EXPECT_EQ(pixels(before), pixels(after));
  EXPECT_EQ(journal.entry(failed).state, JobState::kFailed);
  EXPECT_EQ(journal.entry(failed).error_code, static_cast<int>(ExitCode::kModel)) << journal.entry(failed).error;
  EXPECT_EQ(pixels(before), pixels(last));
  EXPECT_FALSE(journal.entry(last).record["stages"].contains("loading the model")) << "it was kept all the time";
}

TEST_F(JobQueueTest, AKilledProgramOffersItsJobAgainAndDoesNotRunIt) {
  int64_t id = 0;
  {
    NumberPipe numbers;
    ChildProcess child([&] {
      Journal journal(file_);
      JobQueue queue(journal);
      const int64_t job_id = queue.add(long_job());
      queue.add(job());
      while (queue.report().done < 3 && !queue.is_idle()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      numbers.send(job_id);
      queue.wait();
      return 0;
    });
    id = numbers.next();
    child.kill();
  }
  ASSERT_GT(id, 0);
  Journal journal(file_);
  EXPECT_EQ(journal.entry(id).state, JobState::kInterrupted);
  JobQueue queue(journal);
  queue.wait();
  EXPECT_EQ(journal.entry(id).state, JobState::kInterrupted) << "never by itself";
  EXPECT_EQ(journal.entry(id + 1).state, JobState::kDone) << "what waited runs";
  EXPECT_EQ(journal.queue().size(), 1);
  journal.requeue(id);
  ASSERT_TRUE(becomes_true([&] { return queue.report().id == id; }));
  queue.cancel(id);
  queue.wait();
  EXPECT_EQ(journal.entry(id).state, JobState::kCancelled);
}

TEST_F(JobQueueTest, WhatAKilledProgramHadFinishedStaysAndIsNotMadeAgain) {
  const Json wanted = {{"steps", 60}, {"count", 4}, {"batch", 1}};
  int64_t id = 0;
  {
    NumberPipe numbers;
    ChildProcess child([&] {
      Journal journal(file_);
      JobQueue queue(journal);
      const int64_t job_id = queue.add(job(wanted));
      while (queue.report().pictures < 2 && !queue.is_idle()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      numbers.send(job_id);
      queue.wait();
      return 0;
    });
    id = numbers.next();
    child.kill();
  }
  Journal journal(file_);
  const JournalEntry cut_short = journal.entry(id);
  ASSERT_EQ(cut_short.state, JobState::kInterrupted);
  ASSERT_GE(cut_short.files.size(), 2);
  EXPECT_FALSE(journal.thumbnail(id).empty());
  const fs::file_time_type written = fs::last_write_time(cut_short.files[0]);
  JobQueue queue(journal);
  journal.requeue(id);
  EXPECT_EQ(journal.entry(id).files, cut_short.files);
  queue.wait();
  const JournalEntry whole = journal.entry(id);
  ASSERT_EQ(whole.state, JobState::kDone) << whole.error;
  ASSERT_EQ(whole.files.size(), 4);
  EXPECT_EQ(whole.files[0], cut_short.files[0]);
  EXPECT_EQ(whole.files[1], cut_short.files[1]);
  EXPECT_EQ(fs::last_write_time(whole.files[0]), written);
  const int64_t uncut = queue.add(job(wanted));
  queue.wait();
  const JournalEntry plain = journal.entry(uncut);
  ASSERT_EQ(plain.files.size(), 4);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(load_image(whole.files[i]).pixels, load_image(plain.files[i]).pixels) << i;
}

TEST_F(JobQueueTest, ACancelledJobGoesOnWhereItStoppedAndMakesADeletedPictureAnew) {
  Journal journal(file_);
  JobQueue queue(journal);
  const int64_t id = queue.add(job({{"steps", 40}, {"count", 3}, {"batch", 1}}));
  ASSERT_TRUE(becomes_true([&] { return queue.report().pictures == 1; }));
  queue.cancel(id, StopVerb::kAfterPicture);
  queue.wait();
  const JournalEntry stopped = journal.entry(id);
  ASSERT_EQ(stopped.state, JobState::kCancelled);
  ASSERT_LT(stopped.files.size(), 3);
  fs::remove(stopped.files[0]);
  journal.requeue(id);
  queue.wait();
  const JournalEntry whole = journal.entry(id);
  ASSERT_EQ(whole.state, JobState::kDone) << whole.error;
  EXPECT_EQ(whole.files.size(), 3);
  for (const fs::path& file : whole.files) EXPECT_EQ(load_image(file).width, 64) << file;
}

TEST_F(JobQueueTest, ClosingTheProgramInterruptsTheJob) {
  Journal journal(file_);
  int64_t id = 0;
  {
    JobQueue queue(journal);
    id = queue.add(long_job());
    ASSERT_TRUE(becomes_true([&] { return queue.report().done > 2; }));
  }
  EXPECT_EQ(journal.entry(id).state, JobState::kInterrupted);
}

TEST_F(JobQueueTest, AnotherProcessAddsAndCancelsAndTakesOver) {
  auto journal = std::make_unique<Journal>(file_);
  auto queue = std::make_unique<JobQueue>(*journal);
  Journal other(file_);
  JobQueue waiting(other);
  const int64_t id = waiting.add(long_job());
  ASSERT_TRUE(becomes_true([&] { return queue->report().id == id && queue->report().done > 0; })) << "the owner runs what the other added";
  waiting.cancel(id);
  ASSERT_TRUE(becomes_true([&] { return queue->report().id == 0; }));
  EXPECT_EQ(other.entry(id).state, JobState::kCancelled);
  queue.reset();
  journal.reset();
  const int64_t next = waiting.add(job());
  ASSERT_TRUE(becomes_true([&] { return other.entry(next).state == JobState::kDone; })) << "it takes over";
}

TEST(Failure, MemoryThatRanOutIsToldFromOtherErrors) {
  const auto code_of = [](const auto& action) {
    try {
      action();
    } catch (...) {
      return as_error(std::current_exception()).code();
    }
    return ExitCode::kOk;
  };
  EXPECT_EQ(code_of([] { throw std::bad_alloc(); }), ExitCode::kOutOfMemory);
  EXPECT_EQ(code_of([] { at::zeros({1, 2}).view({5}); }), ExitCode::kUnexpected);
  EXPECT_EQ(code_of([] { throw 5; }), ExitCode::kUnexpected);
  EXPECT_EQ(code_of([] { throw Interrupted(); }), ExitCode::kInterrupted);
  if (!kSanitized) {
    EXPECT_EQ(code_of([] { at::empty({int64_t{1} << 46}, at::kFloat); }), ExitCode::kOutOfMemory);
  }
}

TEST(ProgressEstimate, CountsStagesRoundsAndThePast) {
  ProgressEstimate fresh(2, {}, 0);
  EXPECT_FALSE(fresh.remaining(0));
  fresh.report("loading the model", 0, 2, 0);
  fresh.report("loading the model", 2, 2, 1);
  fresh.report("sampling", 1, 10, 2);
  EXPECT_FALSE(fresh.remaining(2).has_value());
  fresh.report("sampling", 2, 10, 3);
  EXPECT_NEAR(fresh.remaining(3).value(), 8 + 10, 1e-9);
  EXPECT_NEAR(fresh.remaining(3.5).value(), 7.5 + 10, 1e-9);
  for (int i = 3; i <= 10; ++i) fresh.report("sampling", i, 10, 1 + i);
  fresh.report("decoding", 1, 1, 13);
  EXPECT_NEAR(fresh.remaining(13).value(), 10 + 2, 1e-9) << "one more round";
  // Twice as slow as the last time.
  ProgressEstimate known(1, {{"sampling", 5}, {"decoding", 3}, {"loading the model", 4}}, 0);
  known.report("loading the model", 1, 1, 8);
  EXPECT_NEAR(known.remaining(8).value(), 16, 1e-9);
  for (int i = 1; i <= 5; ++i) known.report("sampling", i, 10, 8 + i);
  EXPECT_NEAR(known.remaining(13).value(), 5 + 6, 1e-9);
  for (int i = 6; i <= 10; ++i) known.report("sampling", i, 10, 8 + i);
  EXPECT_NEAR(known.remaining(18).value(), 6, 1e-9);
  known.report("decoding", 1, 1, 23);
  EXPECT_NEAR(known.remaining(23).value_or(0), 0, 1e-9);
}

TEST_F(JobQueueTest, QueuedJobsCarryAbsolutePaths) {
  Job relative = job();
  relative.output.folder = "out";
  relative.inputs["image"] = {"a/../b.png"};
  relative.params["prompt_embeds"] = "style.safetensors:embeds";
  relative.params["lora"] = {"some-name"};
  const Job whole = with_absolute_paths(relative);
  EXPECT_EQ(whole.output.folder, fs::current_path() / "out");
  EXPECT_EQ(whole.inputs.at("image").at(0), fs::current_path() / "b.png");
  EXPECT_EQ(whole.params["prompt_embeds"], (fs::current_path() / "style.safetensors").string() + ":embeds");
  EXPECT_EQ(whole.params["lora"][0], "some-name");
}

}  // namespace
}  // namespace attelier
