#include "core/training/sample.h"

#include "core/scenes/labelled_scene.h"
#include "core/scenes/world/compose.h"
#include "core/scenes/world/sequences.h"
#include "core/training/conditions.h"
#include "core/training/folder_listing.h"
#include "core/training/masks.h"
#include "core/training/objectives.h"
#include "core/training/rolling_pool.h"
#include "tests/core/training/training_testing.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

/// A "data" group with its defaults.
Json data_of(const Json& given) {
  ConfigProblems problems;
  const Json data = resolve_config({.parameters = {}, .groups = {data_group()}, .networks = {}}, {{"data", given}}, problems).at("data");
  EXPECT_TRUE(problems.empty());
  return data;
}

/// A picture whose red grows from left to right and whose green grows downwards.
Image ramp(int64_t width, int64_t height) {
  const at::Tensor x = at::arange(width, at::kFloat).view({1, width}).expand({height, width}) / 255, y = at::arange(height, at::kFloat).view({height, 1}).expand({height, width}) / 255;
  return to_image(at::stack({x, y, at::zeros({height, width})}).unsqueeze(0));
}

class FolderSources : public testing::Test {
 protected:
  std::unique_ptr<SampleSource> source(Json data, int64_t size = 16) {
    data["source"] = "folder", data["path"] = "pictures";
    Context context;
    context.log = [this](LogLevel, const std::string& text) { log_ += text + "\n"; };
    return make_sample_source(data_of(data), 1, size, folder_.path(), context);
  }
  void picture(const std::string& name, int64_t width, int64_t height) const {
    fs::create_directories((folder_ / "pictures" / name).parent_path());
    save_image(folder_ / "pictures" / name, ramp(width, height));
  }
  std::set<std::string> captions(const SampleSource& source, int64_t count) const {
    std::set<std::string> all;
    for (int64_t i = 0; i < count; ++i) all.insert(source.sample(i).caption);
    return all;
  }
  TemporaryFolder folder_;
  std::string log_;
};

TEST_F(FolderSources, CaptionsLieBesideThePicturesAndBrokenPicturesAreNamed) {
  picture("a.png", 20, 30), picture("b.jpg", 30, 20), picture("deep/c.png", 16, 16);
  folder_.write("pictures/a.txt", "  a ball\n");
  folder_.write("pictures/deep/c.caption", "a cube");
  folder_.write("pictures/broken.png", "no picture");
  const std::string whole = read_file(folder_ / "pictures/a.png");
  folder_.write("pictures/cut.png", whole.substr(0, whole.size() / 2));
  folder_.write("pictures/notes.md", "x");
  const auto pictures = source({{"caption", "something"}});
  EXPECT_EQ(captions(*pictures, 3), (std::set<std::string>{"a ball", "something", "a cube"}));  // each once in a round
  EXPECT_EQ(captions(*pictures, 3).size(), 3u);
  for (const char* part : {"broken.png", "cut.png", "2 of 5 pictures", "3 pictures in"}) EXPECT_TRUE(contains(log_, part));
  const at::Tensor pixels = pictures->sample(0).pixels;
  EXPECT_EQ(pixels.sizes(), at::IntArrayRef({3, 16, 16}));
  EXPECT_EQ(pixels.scalar_type(), at::kByte);
}

TEST_F(FolderSources, MetadataNamesPicturesCaptionsAndConditions) {
  picture("one.png", 16, 16), picture("two.png", 16, 16), picture("depth.png", 16, 16), picture("unnamed.png", 16, 16);
  folder_.write("pictures/metadata.jsonl",
                "{\"file_name\": \"one.png\", \"text\": \"first\", \"conditioning_image\": \"depth.png\"}\n\nnonsense\n{\"file_name\": \"absent.png\", \"text\": \"x\"}\n{\"file_name\": \"two.png\", \"text\": \"second\"}\n");
  auto pictures = source({});
  EXPECT_EQ(captions(*pictures, 4), (std::set<std::string>{"first", "second"}));
  EXPECT_FALSE(pictures->has_condition());
  for (const char* part : {"metadata.jsonl line 3", "absent.png", "2 of 4 pictures"}) EXPECT_TRUE(contains(log_, part));
  folder_.write("pictures/metadata.jsonl", "{\"file_name\": \"one.png\", \"text\": \"first\", \"conditioning_image\": \"depth.png\"}\n");
  pictures = source({});
  ASSERT_TRUE(pictures->has_condition());
  EXPECT_TRUE(at::equal(pictures->sample(0).condition, pictures->sample(0).pixels));
}

TEST_F(FolderSources, ListsWhatScenesWrites) {
  picture("scene_000000.png", 16, 16), picture("scene_000000_depth.png", 16, 16);
  folder_.write("pictures/captions.jsonl", "{\"file\": \"scene_000000.png\", \"caption\": \"a red house\"}\n");
  const FolderListing listing = list_pictures(folder_ / "pictures", "");
  ASSERT_EQ(listing.pictures.size(), 1u);
  EXPECT_EQ(listing.pictures[0].caption, "a red house");
}

TEST_F(FolderSources, WhatARunHasDrawnIsNoTrainingPicture) {
  picture("a.png", 16, 16), picture("z.png", 16, 16);
  for (const char* name : {"run/sheet.png", "run/losses.png", "run/sheets/0000010.png", "run/mine.png"}) picture(name, 16, 16);
  folder_.write("pictures/run/config.json", "{\"objective\": \"lora\"}");
  folder_.write("pictures/run/losses.csv", "step,loss\n");
  // Names alone make no run, and neither does the configuration of one that keeps its files elsewhere.
  for (const char* name : {"linen/sheet.png", "linen/sheets/white.png"}) picture(name, 16, 16);
  folder_.write("pictures/linen/config.json", "{\"objective\": \"lora\"}");
  fs::create_symlink("nowhere", folder_ / "pictures/b.png");
  std::vector<std::string> names;
  const FolderListing listing = list_pictures(folder_ / "pictures", "");
  for (const ListedPicture& one : listing.pictures) names.push_back(fs::relative(one.file, folder_ / "pictures").string());
  EXPECT_EQ(names, (std::vector<std::string>{"a.png", "linen/sheet.png", "linen/sheets/white.png", "run/mine.png", "z.png"}));
  EXPECT_EQ(listing.runs, std::vector<fs::path>{folder_ / "pictures/run"});
  source({});
  EXPECT_TRUE(contains(log_, "run: the sheets and the loss curve"));
}

TEST_F(FolderSources, CountTheirPicturesAndThoseWithoutACaption) {
  picture("a.png", 16, 16), picture("b.png", 16, 16);
  folder_.write("pictures/a.txt", "a ball");
  const auto pictures = source({});
  EXPECT_EQ(pictures->count(), 2);
  EXPECT_EQ(pictures->uncaptioned(), std::vector<fs::path>{folder_ / "pictures/b.png"});
  EXPECT_TRUE(source({{"caption", "something"}})->uncaptioned().empty());
  EXPECT_TRUE(contains(log_, "all of them are trained on"));
  EXPECT_FALSE(make_world_source(data_of({{"source", "world"}}), 1, 16)->count());
}

TEST_F(FolderSources, OfALongStripAPartIsLookedAt) {
  picture("strip.png", 250, 2);
  const auto centre = source({}, 50);
  const at::Tensor square = centre->sample(0).pixels;
  EXPECT_EQ(square.sizes(), at::IntArrayRef({3, 50, 50}));
  // The middle of the strip, 25 times as large: two columns of its own.
  const at::Tensor strip = to_tensor(load_image(folder_ / "pictures/strip.png"))[0].mul(255);
  EXPECT_NEAR(square[0].to(at::kFloat).mean().item<double>(), strip[0].slice(1, 124, 126).mean().item<double>(), 2);
  const auto moved = source({{"crop", "random"}}, 50);
  std::set<int> places;
  for (int64_t i = 0; i < 8; ++i) places.insert(static_cast<int>(moved->sample(i).pixels[0].to(at::kFloat).mean().item<double>()));
  EXPECT_GE(places.size(), 5u);
}

TEST_F(FolderSources, CropsMirrorsAndEnlarges) {
  picture("wide.png", 200, 100);
  const auto mean = [](const at::Tensor& pixels, int64_t channel) { return pixels[channel].to(at::kFloat).mean().item<double>(); };
  const auto centre = source({}, 50);
  EXPECT_NEAR(mean(centre->sample(0).pixels, 0), 99.5, 1.5);
  EXPECT_TRUE(at::equal(centre->sample(0).pixels, centre->sample(7).pixels));
  const auto moved = source({{"crop", "random"}}, 50);
  std::set<int> places;
  for (int64_t i = 0; i < 8; ++i) places.insert(static_cast<int>(mean(moved->sample(i).pixels, 0)));
  EXPECT_GE(places.size(), 5u);
  EXPECT_TRUE(at::equal(moved->sample(5).pixels, moved->sample(5).pixels));
  EXPECT_TRUE(at::equal(moved->sample(-1).pixels, centre->sample(0).pixels)) << "held-out pictures are cropped in the middle";
  const auto mirrored = source({{"flip", true}}, 50);
  int64_t flipped = 0;
  for (int64_t i = 0; i < 20; ++i) flipped += at::equal(mirrored->sample(i).pixels, centre->sample(0).pixels.flip(2));
  EXPECT_GE(flipped, 4);
  EXPECT_LE(flipped, 16);
  // Twice as large: half the range of the short side's colours.
  const auto zoomed = source({{"zoom", 8}}, 50);
  double least = 1e9;
  for (int64_t i = 0; i < 8; ++i) {
    const at::Tensor green = zoomed->sample(i).pixels[1].to(at::kFloat);
    least = std::min(least, (green.max() - green.min()).item<double>());
  }
  EXPECT_LT(least, 50);
}

TEST_F(FolderSources, WithoutAnyPictureIsAnError) {
  folder_.write("pictures/a.png", "x");
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { source({}); }), "no picture that can be read"));
}

TEST(WorldSource, KnowsItsTruth) {
  const auto world = make_world_source(data_of({{"source", "world"}, {"looks", {"plain", "oil"}}, {"places", {"meadow"}}}), 3, 48);
  const Sample a = world->sample(5), b = world->sample(5), c = world->sample(6);
  EXPECT_TRUE(at::equal(a.pixels, b.pixels));
  EXPECT_FALSE(at::equal(a.pixels, c.pixels));
  EXPECT_FALSE(a.caption.empty());
  EXPECT_EQ(a.pixels.sizes(), at::IntArrayRef({3, 48, 48}));
  // Sky is where there is no depth, and only there.
  EXPECT_TRUE(at::equal(a.kinds == static_cast<int64_t>(world::Kind::kSky), a.depth == 0));
  const at::Tensor length = a.normals.norm(2, 2);
  EXPECT_TRUE(at::allclose(length.masked_select(a.depth > 0), at::ones({(a.depth > 0).sum().item<int64_t>()}), 1e-3, 1e-3));
  EXPECT_GT(a.instances.max().item<int64_t>(), 0);
  const auto captions = world->captions(20, {});
  std::stop_source stop;
  Context stopped;
  stopped.stop = stop.get_token();
  stopped.progress = [&](const Progress&) { stop.request_stop(); };
  EXPECT_THROW(world->captions(200, stopped), Interrupted);
  EXPECT_GE(std::set<std::string>(captions.begin(), captions.end()).size(), 15u);
}

TEST(WorldSource, CharactersComeWhenTheyAreWanted) {
  const auto world = make_world_source(data_of({{"source", "world"}, {"looks", {"plain"}}, {"characters", {0}}}), 3, 48);
  int64_t shown = 0;
  for (int64_t i = 0; i < 6; ++i) {
    const at::Tensor kinds = world->sample(i).kinds;
    for (const world::Kind kind : {world::Kind::kPerson, world::Kind::kBear, world::Kind::kFox, world::Kind::kRabbit})
      if ((kinds == static_cast<int64_t>(kind)).any().item<bool>()) {
        ++shown;
        break;
      }
  }
  EXPECT_GE(shown, 5);
}

/// A source knows its scenes' seeds only by number, so the truth goes through a sample by hand.
TEST(Conditions, EdgesAreThoseThatStructureIsMeasuredAgainst) {
  constexpr int kSide = 64;
  const world::Scene scene = world::compose(12);
  const world::Frame frame = world::render(world::PosedScene(scene), world::still_camera(scene, kSide, kSide));
  const auto map = [](const auto& values, at::ScalarType type) { return at::from_blob(const_cast<void*>(static_cast<const void*>(values.data())), {kSide, kSide}, type).clone(); };
  Sample sample;
  sample.depth = map(frame.depth, at::kFloat);
  sample.kinds = map(frame.kind, at::kByte);
  sample.instances = map(frame.instance, at::kUInt16).to(at::kInt);
  sample.normals = at::from_blob(const_cast<float*>(frame.normal.data()), {kSide, kSide, 3}, at::kFloat).clone();
  const LabelledScene labelled = draw_labelled(WorldName::kFull, 12, {.size = kSide});
  const at::Tensor edges = at::from_blob(const_cast<float*>(labelled.edges.data()), {kSide, kSide}, at::kFloat);
  EXPECT_GT(edges.sum().item<double>(), 100);
  EXPECT_TRUE(at::equal(condition_picture(sample, ConditionKind::kEdges)[0].to(at::kFloat), edges * 255));
}

TEST(Conditions, ShowWhatIsNearWhereItEndsAndWhatItIs) {
  // A thing three metres away on ground at ten, under the sky.
  Sample sample;
  sample.pixels = at::zeros({3, 8, 8}, at::kByte);
  sample.depth = at::full({8, 8}, 10.0f), sample.depth.slice(0, 0, 2).zero_();
  sample.normals = at::zeros({8, 8, 3}), sample.normals.select(2, 2).fill_(1);
  sample.kinds = at::full({8, 8}, static_cast<int64_t>(world::Kind::kGround), at::kByte), sample.kinds.slice(0, 0, 2).fill_(static_cast<int64_t>(world::Kind::kSky));
  sample.instances = at::zeros({8, 8}, at::kInt);
  const auto thing = [](const at::Tensor& map) { return map.slice(0, 4, 7).slice(1, 2, 6); };
  thing(sample.depth).fill_(3), thing(sample.instances).fill_(1), thing(sample.kinds).fill_(static_cast<int64_t>(world::Kind::kHouse));

  const at::Tensor depth = condition_picture(sample, ConditionKind::kDepth);
  EXPECT_EQ(depth[0][5][3].item<int>(), 255);
  EXPECT_EQ(depth[1][3][0].item<int>(), 0);  // the farthest surface
  EXPECT_EQ(depth[2][0][0].item<int>(), 0);  // sky
  const at::Tensor edges = condition_picture(sample, ConditionKind::kEdges)[0];
  EXPECT_EQ(edges[1][0].item<int>(), 255);  // horizon
  EXPECT_EQ(edges[5][1].item<int>(), 255);  // left of the thing
  EXPECT_EQ(edges[3][3].item<int>(), 255);  // above it
  EXPECT_EQ(edges[5][3].item<int>(), 0);    // inside it
  EXPECT_EQ(edges[2][7].item<int>(), 0);    // on the ground
  const at::Tensor classes = condition_picture(sample, ConditionKind::kSegmentation);
  EXPECT_TRUE(at::equal(classes.select(1, 5).select(1, 3), class_colours()[static_cast<int64_t>(world::Kind::kHouse)]));
  std::set<std::vector<uint8_t>> colours;
  for (int64_t kind = 0; kind < world::kKindCount; ++kind) {
    const at::Tensor colour = class_colours()[kind].contiguous();
    colours.insert({colour.data_ptr<uint8_t>(), colour.data_ptr<uint8_t>() + 3});
  }
  EXPECT_EQ(colours.size(), static_cast<size_t>(world::kKindCount));
  sample.pixels.slice(1, 0, 8).slice(2, 4, 8).fill_(255);
  const at::Tensor canny = condition_picture(sample, ConditionKind::kCanny);
  EXPECT_EQ(canny.slice(2, 3, 5).to(at::kLong).sum().item<int64_t>(), 3 * 8 * 255);  // one line of one pixel
  EXPECT_EQ(canny.slice(2, 6).max().item<int>(), 0);
  // Nothing but sky has no depth to scale.
  sample.depth.zero_();
  EXPECT_EQ(condition_picture(sample, ConditionKind::kDepth).max().item<int>(), 0);
}

TEST(Masks, AreZerosAndOnesOfTheirKind) {
  std::mt19937_64 random(5);
  at::Tensor instances = at::zeros({64, 64}, at::kInt);
  instances.slice(0, 20, 40).slice(1, 20, 40).fill_(2);
  std::map<MaskKind, double> covered;
  for (const std::string& name : mask_names()) {
    const MaskKind kind = mask_named(name);
    for (int i = 0; i < 50; ++i) {
      const at::Tensor mask = random_mask(kind, 64, instances, random);
      ASSERT_EQ(mask.sizes(), at::IntArrayRef({1, 64, 64}));
      ASSERT_TRUE(((mask == 0) | (mask == 1)).all().item<bool>());
      ASSERT_GT(mask.sum().item<double>(), 0) << name;
      covered[kind] += mask.mean().item<double>() / 50;
      if (kind == MaskKind::kObject) {
        EXPECT_TRUE(mask[0].slice(0, 20, 40).slice(1, 20, 40).all().item<bool>());
        EXPECT_EQ(mask[0][5][5].item<float>(), 0);
      }
    }
  }
  EXPECT_NEAR(covered[MaskKind::kAll], 1, 1e-9);
  EXPECT_GT(covered[MaskKind::kRectangle], 0.1);
  EXPECT_LT(covered[MaskKind::kRectangle], 0.6);
  EXPECT_GT(covered[MaskKind::kStroke], 0.02);
  EXPECT_LT(covered[MaskKind::kStroke], 0.5);
}

TEST(RollingPools, HoldTheSameItemsHoweverTheyGotThere) {
  const auto make = [](int64_t first, int64_t count, int) {
    std::vector<int64_t> made;
    for (int64_t i = 0; i < count; ++i) made.push_back(first + i);
    return made;
  };
  RollingPool<int64_t> rolled(5, 2, 1, make), filled(5, 2, 1, make);
  rolled.fill(0, {});
  for (int step = 0; step < 9; ++step) {
    rolled.start_next();
    rolled.swap_in();
  }
  filled.fill(9, {});
  for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(rolled[i], filled[i]);
}

TEST(Samples, AFailureInOneOfSeveralThreadsIsThrown) {
  struct Failing : SampleSource {
    Sample sample(int64_t number) const override {
      if (number == 3) fail(ExitCode::kBadInput, "gone");
      return {.pixels = at::zeros({3, 1, 1}, at::kByte)};
    }
    std::vector<std::string> captions(int64_t, const Context&) const override { return {}; }
  } source;
  EXPECT_EQ(draw_samples(source, 0, 3, 2).size(), 3u);
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { draw_samples(source, 0, 8, 4); }), "gone"));
}

}  // namespace
}  // namespace attelier
