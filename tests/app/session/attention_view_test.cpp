// Maps of a watched run through the queue, and their files.
#include "app/session/attention_view.h"

#include <atomic>
#include <cstring>

#include "app/session/job_queue.h"
#include "core/base/files.h"
#include "pipelines/attention_watch.h"
#include "tests/app/session/session_testing.h"
#include "tests/testing/tiny_model.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

/// One watched run of the tiny model, shared by all tests.
class AttentionViewTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder();
    write_tiny_model(*folder_ / "tiny");
    Journal journal(*folder_ / "journal.sqlite");
    JobQueue queue(journal);
    const auto job = [](const std::string& prompt) {
      return parse_job({{"method", "generate"},
                        {"model", (*folder_ / "tiny").string()},
                        {"params", {{"prompt", prompt}, {"steps", 3}, {"seed", 5}, {"sampler", "ddim"}}},
                        {"output", {{"dir", folder_->path().string()}, {"pattern", "picture_{index:04}.png"}}},
                        {"run", {{"device", "cpu"}, {"threads", 1}}}});
    };
    watch_ = new std::shared_ptr<AttentionWatch>(std::make_shared<AttentionWatch>());
    const int64_t plain = queue.add(job("a red house")), watched = queue.add(job("a red house"), false, *watch_);
    queue.wait();
    pictures_ = new std::pair(journal.entry(plain).files.at(0), journal.entry(watched).files.at(0));
  }
  static void TearDownTestSuite() {
    delete pictures_;
    delete watch_;
    delete folder_;
  }
  const AttentionWatch& watch() const { return **watch_; }
  std::vector<int64_t> tokens(const std::string& text) const {
    for (const PromptWord& word : watch().words())
      if (word.text == text) return {word.first};
    return {};
  }

  static TemporaryFolder* folder_;
  static std::shared_ptr<AttentionWatch>* watch_;
  static std::pair<fs::path, fs::path>* pictures_;
};
TemporaryFolder* AttentionViewTest::folder_ = nullptr;
std::shared_ptr<AttentionWatch>* AttentionViewTest::watch_ = nullptr;
std::pair<fs::path, fs::path>* AttentionViewTest::pictures_ = nullptr;

TEST_F(AttentionViewTest, AWatchedJobMakesTheSamePicture) {
  EXPECT_EQ(load_image(pictures_->first).pixels, load_image(pictures_->second).pixels);
  EXPECT_EQ(captured_steps(watch()), (std::vector<int64_t>{0, 1, 2}));
}

TEST_F(AttentionViewTest, LayersHaveNamesGridsAndPaths) {
  const std::vector<LayerName> layers = captured_layers(watch());
  ASSERT_FALSE(layers.empty());
  EXPECT_TRUE(layers[0].label.starts_with("down 0.0 · ")) << layers[0].label;
  EXPECT_TRUE(layers.back().label.starts_with("up ")) << layers.back().label;
  EXPECT_EQ(site_of(layers[0], MapKind::kWords), layers[0].site + ".attn2");
  EXPECT_EQ(site_of(layers[0], MapKind::kPlace), layers[0].site + ".attn1");
  EXPECT_GT(layers[0].heads, 0);
}

TEST_F(AttentionViewTest, EveryKindOfMapAndItsHeads) {
  const std::vector<LayerName> layers = captured_layers(watch());
  for (const MapKind kind : {MapKind::kWords, MapKind::kPlace, MapKind::kReceived, MapKind::kEntropy}) {
    MapRequest request{.kind = kind, .tokens = tokens("house")};
    const MapResult mean = compute_maps(watch(), request);
    ASSERT_FALSE(mean.map.empty());
    EXPECT_EQ(mean.map.values.size(), static_cast<size_t>(mean.map.width * mean.map.height));
    EXPECT_LT(whole_range(mean.map).low, whole_range(mean.map).high);
    EXPECT_GT(mean.shares.size(), 4U);
    request.site = site_of(layers[0], kind);
    request.wants_heads = true;
    const MapResult one = compute_maps(watch(), request);
    ASSERT_EQ(one.heads.size(), static_cast<size_t>(layers[0].heads));
    double sum = 0;
    for (const HeatMap& head : one.heads) sum += static_cast<double>(head.values[0]);
    EXPECT_NEAR(sum / static_cast<double>(one.heads.size()), static_cast<double>(one.map.values[0]), 1e-5) << "the map is the mean of its heads";
  }
  EXPECT_TRUE(compute_maps(watch(), {.kind = MapKind::kReceived, .site = "nowhere"}).map.empty());
}

TEST_F(AttentionViewTest, AStyledPictureLooksIntoItsStyles) {
  Journal journal(*folder_ / "styled.sqlite");
  JobQueue queue(journal);
  const auto styled = std::make_shared<AttentionWatch>();
  const std::string picture = pictures_->first.string();
  const int64_t id = queue.add(parse_job({{"method", "style"},
                                          {"model", (*folder_ / "tiny").string()},
                                          {"inputs", {{"content", picture}, {"style", {picture, picture}}}},
                                          {"params", {{"steps", 3}, {"cache", false}, {"weights", {1, 3}}, {"combine", "blend"}}},
                                          {"output", {{"dir", folder_->path().string()}}},
                                          {"run", {{"device", "cpu"}, {"threads", 1}}}}),
                               false, styled);
  queue.wait();
  ASSERT_EQ(journal.entry(id).state, JobState::kDone) << journal.entry(id).error;
  EXPECT_EQ(captured_steps(*styled), (std::vector<int64_t>{0, 1}));
  MapRequest request{.kind = MapKind::kPlace, .x = 0.2, .y = 0.7, .source = 1};
  const MapResult looks = compute_maps(*styled, request);
  EXPECT_FALSE(looks.map.empty());
  ASSERT_EQ(looks.source_shares.size(), 2U);
  EXPECT_NEAR(looks.source_shares[0], 0.25, 1e-4);
  EXPECT_NEAR(looks.source_shares[1], 0.75, 1e-4);
  request.source.reset();
  EXPECT_FALSE(compute_maps(*styled, request).map.empty()) << "layers without the style look at the picture itself";
  EXPECT_TRUE(compute_maps(watch(), {.kind = MapKind::kPlace, .source = 0}).map.empty());
  EXPECT_TRUE(compute_maps(watch(), {.kind = MapKind::kPlace}).source_shares.empty());
}

TEST_F(AttentionViewTest, TwoWordsAreComparedByTheirOwnMaps) {
  const MapResult both = compute_maps(watch(), {.kind = MapKind::kWords, .tokens = tokens("house"), .other_tokens = tokens("red")});
  EXPECT_EQ(both.map.values, compute_maps(watch(), {.kind = MapKind::kWords, .tokens = tokens("house")}).map.values);
  EXPECT_EQ(both.other.values, compute_maps(watch(), {.kind = MapKind::kWords, .tokens = tokens("red")}).map.values);
  EXPECT_NE(both.map.values, both.other.values);
  EXPECT_TRUE(compute_maps(watch(), {.kind = MapKind::kReceived, .other_tokens = tokens("red")}).other.empty());
}

TEST_F(AttentionViewTest, TheWorkerAnswersTheNewestRequest) {
  std::atomic<int> wakes = 0;
  MapWorker worker([&] { ++wakes; });
  EXPECT_FALSE(worker.is_busy());
  MapRequest last{.kind = MapKind::kWords, .tokens = tokens("red")};
  for (int i = 0; i < 20; ++i) {
    last.x = i / 20.0;
    worker.ask(*watch_, last);
  }
  std::optional<MapResult> result;
  for (int i = 0; i < 10'000 && (!result || result->request != last); ++i) {
    if (auto fresh = worker.take()) result = std::move(fresh);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_TRUE(result);
  EXPECT_EQ(result->request, last);
  EXPECT_EQ(result->map.values, compute_maps(watch(), last).map.values);
  EXPECT_GE(wakes, 1);
}

TEST_F(AttentionViewTest, MapsAreWrittenAsPicturesAndNumbers) {
  const HeatMap map = compute_maps(watch(), {.kind = MapKind::kWords, .tokens = tokens("house")}).map;
  const Image picture = load_image(pictures_->first);
  const TemporaryFolder out;
  save_map(out / "m.png", map, picture, whole_range(map), 0.5, true);
  EXPECT_EQ(load_image(out / "m.png").width, picture.width);
  save_map(out / "m.csv", map, picture, {}, 0, false);
  const std::string csv = read_file(out / "m.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), map.height);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), ','), map.height * (map.width - 1));
  EXPECT_EQ(std::stof(csv), map.values[0]);
  save_map(out / "m.npy", map, picture, {}, 0, false);
  const std::string npy = read_file(out / "m.npy");
  const size_t header = 10 + static_cast<uint8_t>(npy[8]) + 256 * static_cast<size_t>(static_cast<uint8_t>(npy[9]));
  EXPECT_EQ(header % 64, 0U);
  EXPECT_EQ(npy.substr(0, 6), "\x93NUMPY");
  EXPECT_NE(npy.find(fmt::format("({}, {})", map.height, map.width)), std::string::npos);
  ASSERT_EQ(npy.size(), header + 4 * map.values.size());
  EXPECT_EQ(std::memcmp(npy.data() + header, map.values.data(), 4 * map.values.size()), 0);
  EXPECT_THROW(save_map(out / "empty.csv", {}, picture, {}, 0, false), Error);
  EXPECT_FALSE(fs::exists(out / "empty.csv"));
}

}  // namespace
}  // namespace attelier
