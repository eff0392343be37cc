#include "app/session/document.h"

#include <chrono>
#include <random>
#include <thread>

#include "app/session/autosave.h"
#include "core/base/files.h"
#include "tests/app/session/processes.h"
#include "tests/app/session/session_testing.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class DocumentTest : public ::testing::Test {
 protected:
  UndoStack stack(size_t budget = UndoStack::kBudget) {
    return UndoStack([this] { return now_; }, budget);
  }
  TemporaryFolder folder_;
  const Variable config_{"XDG_CONFIG_HOME", folder_ / "config"};
  double now_ = 0;
  Document document_ = new_document();
};

/// The mask of generate's input.
Mask& mask_of(Document& document) { return document.methods["generate"].masks["mask"][0]; }

/// A round dab, painted as views do: on a copy that shares its tiles.
Mask dab(Mask mask, int64_t x, int64_t y, int64_t radius, uint8_t value) {
  for (int64_t j = std::max<int64_t>(0, y - radius); j < std::min(mask.height(), y + radius); ++j)
    for (int64_t i = std::max<int64_t>(0, x - radius); i < std::min(mask.width(), x + radius); ++i)
      if ((i - x) * (i - x) + (j - y) * (j - y) < radius * radius) mask.writable_tile(i / Mask::kTile, j / Mask::kTile)[static_cast<size_t>((j % Mask::kTile) * Mask::kTile + i % Mask::kTile)] = value;
  return mask;
}

TEST_F(DocumentTest, DragsAndTypingMergeUntilAPause) {
  UndoStack undo = stack();
  const Json before = document_.state().params["steps"];
  for (int i = 1; i <= 10; ++i, now_ += 0.1) undo.push(document_, set_parameter(document_, "steps", i));
  EXPECT_EQ(undo.steps(), 1);
  now_ += 0.5;
  undo.push(document_, set_parameter(document_, "steps", 40));
  EXPECT_EQ(undo.steps(), 2) << "a pause of half a second ends it";
  undo.push(document_, set_parameter(document_, "seed", 3));
  EXPECT_EQ(undo.steps(), 3) << "another parameter is another step";
  undo.push(document_, set_parameter(document_, "seed", 4));
  undo.seal();
  undo.push(document_, set_parameter(document_, "seed", 5));
  EXPECT_EQ(undo.steps(), 4) << "letting go ends it";
  EXPECT_EQ(undo.undo_label(), "Seed");
  EXPECT_TRUE(undo.undo(document_));
  EXPECT_EQ(document_.state().params["seed"], 4);
  undo.undo(document_);
  undo.undo(document_);
  EXPECT_EQ(document_.state().params["steps"], 10);
  undo.undo(document_);
  EXPECT_EQ(document_.state().params["steps"], before);
  EXPECT_FALSE(undo.undo(document_));
  EXPECT_TRUE(undo.redo(document_));
  EXPECT_EQ(document_.state().params["steps"], 10);
  undo.push(document_, set_parameter(document_, "steps", 2));
  EXPECT_FALSE(undo.redo(document_)) << "a new change forgets what was taken back";
}

TEST_F(DocumentTest, GroupsRevertInReverseOrder) {
  UndoStack undo = stack();
  const Document start = document_;
  std::vector<std::unique_ptr<Command>> parts;
  parts.push_back(set_parameter(document_, "steps", 1));
  Document between = document_;
  parts.back()->apply(between);
  parts.push_back(set_parameter(between, "steps", 2));
  undo.push(document_, std::make_unique<CommandGroup>("both", std::move(parts)));
  EXPECT_EQ(document_.state().params["steps"], 2);
  undo.undo(document_);
  EXPECT_EQ(document_, start);
}

TEST_F(DocumentTest, MethodsKeepTheirOwnValues) {
  UndoStack undo = stack();
  undo.push(document_, set_parameter(document_, "prompt", "a tree"));
  undo.push(document_, set_method(document_, "style"));
  undo.push(document_, set_parameter(document_, "gamma", 0.25));
  undo.push(document_, set_method(document_, "generate"));
  EXPECT_EQ(document_.state().params["prompt"], "a tree");
  EXPECT_EQ(document_.methods["style"].params["gamma"], 0.25);
  EXPECT_EQ(error_of([&] { set_parameter(document_, "gamma", 1); }, {"no parameter"}), ExitCode::kUsage);
  EXPECT_EQ(error_of([&] { set_method(document_, "nothing"); }, {"no method"}), ExitCode::kUsage);
}

TEST_F(DocumentTest, RandomEditsAreTakenBackAndDoneAgain) {
  for (uint32_t seed = 0; seed < 6; ++seed) {
    std::mt19937 random(seed);
    UndoStack undo = stack();
    document_ = new_document();
    mask_of(document_) = Mask(700, 600);
    std::vector<Document> states = {document_};
    const auto pick = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint32_t>(n)); };
    for (int step = 0; step < 60; ++step) {
      std::unique_ptr<Command> command;
      const bool generate = document_.method == "generate";
      switch (pick(7)) {
        case 0: command = set_parameter(document_, generate ? "steps" : "seed", pick(100)); break;
        case 1: command = set_parameter(document_, generate ? "prompt" : "gamma", generate ? Json(std::to_string(pick(1000))) : Json(0.5)); break;
        case 2: command = set_method(document_, generate ? "style" : "generate"); break;
        case 3: {
          InputPaths files(generate ? 1 : static_cast<size_t>(pick(4)));
          for (fs::path& file : files) file = "/x/" + std::to_string(pick(5)) + ".png";
          command = set_input(document_, generate ? "image" : "style", files);
          break;
        }
        case 4: command = set_common(document_, "run", "threads", pick(4)); break;
        case 5: command = set_model(document_, "model " + std::to_string(pick(5))); break;
        default: {
          const std::string input = generate ? "mask" : "style_mask";
          std::vector<Mask>& masks = document_.state().masks.at(input);
          if (masks.empty()) continue;
          const auto index = static_cast<size_t>(pick(static_cast<int64_t>(masks.size())));
          Mask before = masks[index];
          masks[index] = dab(before.width() > 0 ? before : Mask(700, 600), pick(700), pick(600), 1 + pick(200), static_cast<uint8_t>(pick(256)));
          command = paint(document_, "Stroke", input, index, std::move(before), masks[index]);
        }
      }
      now_ += 1;
      undo.push(document_, std::move(command));
      states.push_back(document_);
    }
    for (int walk = 0; walk < 200; ++walk) {
      const size_t at = undo.steps();
      ASSERT_EQ(document_, states[at]);
      pick(2) == 0 ? undo.undo(document_) : undo.redo(document_);
    }
    while (undo.undo(document_)) {
    }
    EXPECT_EQ(document_, states.front());
    while (undo.redo(document_)) {
    }
    EXPECT_EQ(document_, states.back());
  }
}

TEST_F(DocumentTest, StrokesCostTheTilesTheyTouchAndTheBudgetDropsTheOldest) {
  mask_of(document_) = Mask(2048, 2048);
  UndoStack undo = stack(8 * sizeof(Mask::Tile));
  for (int i = 0; i < 20; ++i, now_ += 1) {
    Mask before = mask_of(document_);
    Mask after = dab(before, 128 + 256 * (i % 8), 128, 50, 255);
    undo.push(document_, paint(document_, "Stroke", "mask", 0, before, after));
  }
  EXPECT_LE(undo.byte_size(), 8 * sizeof(Mask::Tile));
  EXPECT_GE(undo.steps(), 2);
  EXPECT_LT(undo.steps(), 8);
  Mask whole = mask_of(document_);
  for (int64_t row = 0; row < 8; ++row)
    for (int64_t column = 0; column < 8; ++column) whole.writable_tile(column, row).fill(9);
  undo.push(document_, paint(document_, "Fill", "mask", 0, mask_of(document_), whole));
  EXPECT_EQ(undo.steps(), 1) << "the newest is kept, however large";
  EXPECT_EQ(undo.undo_label(), "Fill");
}

TEST_F(DocumentTest, MasksShareTilesAndRoundTrip) {
  const Mask blank(600, 300);
  EXPECT_TRUE(blank.is_blank());
  const Mask painted = dab(blank, 256, 256, 40, 200);
  EXPECT_TRUE(blank.is_blank()) << "a copy was painted on";
  EXPECT_EQ(painted.at(256, 256), 200);
  EXPECT_EQ(painted.different_tiles(blank), 4);
  EXPECT_EQ(painted.tile(2, 0), nullptr);
  EXPECT_EQ(Mask(painted.to_image()), painted);
  EXPECT_EQ(Mask(decode_image(encode_png(painted.to_image()), "mask")), painted);
  EXPECT_FALSE(Mask(painted.to_image()) == blank);
  EXPECT_EQ(error_of([] { Mask(70000, 10); }, {"70000"}), ExitCode::kBadInput);
}

TEST_F(DocumentTest, ProblemsAreNamedByField) {
  EXPECT_TRUE(problems_of(document_).empty()) << problems_of(document_).begin()->second;
  UndoStack undo = stack();
  undo.push(document_, set_parameter(document_, "steps", 0));
  undo.push(document_, set_input(document_, "image", {"/nowhere/x.png"}));
  const auto problems = problems_of(document_);
  ASSERT_EQ(problems.size(), 2);
  EXPECT_TRUE(problems.at("/params/steps").find("allowed is") != std::string::npos) << problems.at("/params/steps");
  EXPECT_TRUE(problems.at("/inputs/image").find("does not exist") != std::string::npos);
  undo.push(document_, set_method(document_, "style"));
  EXPECT_TRUE(problems_of(document_).at("/inputs/content").find("is missing") != std::string::npos);
}

TEST_F(DocumentTest, BecomesAJobAndComesBack) {
  const fs::path picture = folder_ / "picture.png";
  save_image(picture, Image{600, 300, 3, std::vector<uint8_t>(600 * 300 * 3, 90)});
  UndoStack undo = stack();
  mask_of(document_) = dab(Mask(600, 300), 100, 100, 60, 255);
  EXPECT_FALSE(to_job(document_, folder_ / "masks").inputs.contains("mask")) << "nothing to repaint";
  undo.push(document_, set_input(document_, "image", {picture}));
  undo.push(document_, set_parameter(document_, "prompt", "a lake"));
  const Job job = to_job(document_, folder_ / "masks");
  ASSERT_TRUE(job.inputs.contains("mask"));
  EXPECT_EQ(Mask(load_image(job.inputs.at("mask")[0])), mask_of(document_));
  Document other = new_document("style");
  const Document before = other;
  undo.clear();
  undo.push(other, restore(other, job));
  EXPECT_EQ(other.method, "generate");
  EXPECT_EQ(other.state(), document_.state());
  EXPECT_EQ(mask_of(other), mask_of(document_));
  EXPECT_EQ(to_job(other, folder_ / "masks").to_json(), job.to_json());
  undo.undo(other);
  EXPECT_EQ(other, before);
}

TEST_F(DocumentTest, AMaskFileBecomesTheOnlyMask) {
  const fs::path picture = folder_ / "picture.png", file = folder_ / "mask.png";
  save_image(picture, Image{300, 200, 3, std::vector<uint8_t>(300 * 200 * 3, 90)});
  const Mask drawn = dab(Mask(300, 200), 100, 100, 60, 255), other = dab(Mask(300, 200), 200, 50, 30, 200);
  save_image(file, drawn.to_image());
  UndoStack undo = stack();
  const auto files = [&] { return document_.state().inputs.at("mask"); };
  undo.push(document_, set_input(document_, "mask", {file}));
  EXPECT_EQ(files(), InputPaths{file}) << "nothing to paint over yet";
  undo.push(document_, set_input(document_, "image", {picture}));
  EXPECT_TRUE(files().empty());
  EXPECT_EQ(mask_of(document_), drawn);
  undo.push(document_, paint(document_, "Stroke", "mask", 0, drawn, other));
  undo.push(document_, set_input(document_, "mask", {file}));
  EXPECT_EQ(mask_of(document_), drawn) << "the newest choice holds";
  EXPECT_EQ(Mask(load_image(to_job(document_, folder_ / "masks").inputs.at("mask").at(0))), drawn);
  undo.push(document_, set_input(document_, "mask", {}));
  EXPECT_TRUE(mask_of(document_).is_blank());
  EXPECT_FALSE(to_job(document_, folder_ / "masks").inputs.contains("mask"));
  undo.undo(document_);
  undo.undo(document_);
  EXPECT_EQ(mask_of(document_), other);
  while (undo.undo(document_)) {
  }
  EXPECT_EQ(document_, new_document());
  write_file_atomically(file, "no picture");
  undo.push(document_, set_input(document_, "image", {picture}));
  undo.push(document_, set_input(document_, "mask", {file}));
  EXPECT_EQ(files(), InputPaths{file}) << "left for the run, which says what is wrong";
}

TEST_F(DocumentTest, AJobBringsItsDeviceAndNumberFormat) {
  Job job = to_job(document_, folder_ / "masks");
  job.run = {"cpu", "bfloat16", 1};
  Document other = new_document();
  UndoStack undo = stack();
  undo.push(other, restore(other, job));
  EXPECT_EQ(other.run, job.run);
  undo.undo(other);
  EXPECT_EQ(other, new_document());
}

TEST_F(DocumentTest, WhatNobodyChangedFollowsTheSettings) {
  Document old = new_document();
  UndoStack undo = stack();
  undo.push(old, set_common(old, "run", "threads", 3));
  undo.push(old, set_common(old, "output", "pattern", "mine_{index}.png"));
  Document saved = document_from_json(to_json(old));
  const Variable device("ATTELIER_DTYPE", "bfloat16"), name("ATTELIER_NAME", "theirs_{index}.png"), threads("ATTELIER_THREADS", "2");
  const Document today = new_document();
  follow_settings(saved, today);
  EXPECT_EQ(saved.run.dtype, "bfloat16");
  EXPECT_EQ(saved.run.threads, 3);
  EXPECT_EQ(saved.output.pattern, "mine_{index}.png");
  undo.clear();
  undo.push(saved, set_common(saved, "run", "threads", nullptr));
  EXPECT_EQ(saved.run.threads, 2) << "back to what the settings say";
  Json before = to_json(old);
  before.erase("settings");  // of a version that kept none
  saved = document_from_json(before);
  follow_settings(saved, today);
  EXPECT_EQ(common_json(saved), common_json(today));
  EXPECT_EQ(error_of([&] { set_common(saved, "run", "speed", 5); }, {"speed"}), ExitCode::kUsage);
}

TEST_F(DocumentTest, WhatBelongsToAStyleStaysWithItWhereverItStands) {
  UndoStack undo = stack();
  const auto region = [](int64_t x) { return dab(Mask(300, 200), x, 100, 30, 255); };
  const auto masks = [&]() -> const std::vector<Mask>& { return document_.state().masks.at("style_mask"); };
  undo.push(document_, set_method(document_, "style"));
  EXPECT_TRUE(masks().empty());
  undo.push(document_, set_input(document_, "style", {"/a.png", "/b.png", "/a.png"}));
  ASSERT_EQ(masks().size(), 3U);
  for (size_t i = 0; i < 3; ++i) undo.push(document_, paint(document_, "Stroke", "style_mask", i, masks()[i], region(50 + 100 * static_cast<int64_t>(i))));
  undo.push(document_, set_parameter(document_, "weights", {1.0, 2.0, 3.0}));
  const Document before = document_;
  // Equal files are told apart by their place.
  undo.push(document_, reorder_input(document_, "style", {2, 0, 1}));
  EXPECT_EQ(document_.state().inputs.at("style"), (InputPaths{"/a.png", "/a.png", "/b.png"}));
  EXPECT_EQ(masks(), (std::vector<Mask>{region(250), region(50), region(150)}));
  EXPECT_EQ(document_.state().params["weights"], Json({3.0, 1.0, 2.0}));
  // One is taken away, another comes.
  undo.push(document_, set_input(document_, "style", {"/b.png", "/c.png"}));
  EXPECT_EQ(masks(), (std::vector<Mask>{region(150), Mask()}));
  EXPECT_EQ(document_.state().params["weights"], Json({2.0, 1.0}));
  undo.undo(document_);
  undo.undo(document_);
  EXPECT_EQ(document_, before);
}

TEST_F(DocumentTest, AStyleThatIsNotPaintedActsWhereNoOtherDoes) {
  const auto picture = [&](const std::string& name) {
    save_image(folder_ / name, Image{300, 200, 3, std::vector<uint8_t>(300 * 200 * 3, 90)});
    return folder_ / name;
  };
  UndoStack undo = stack();
  undo.push(document_, set_method(document_, "style"));
  undo.push(document_, set_input(document_, "content", {picture("content.png")}));
  undo.push(document_, set_input(document_, "style", {picture("a.png"), picture("b.png"), picture("c.png")}));
  EXPECT_FALSE(to_job(document_, folder_ / "masks").inputs.contains("style_mask")) << "all act everywhere";
  const Mask left = dab(Mask(300, 200), 60, 100, 50, 255), soft = dab(Mask(300, 200), 90, 100, 50, 100);
  undo.push(document_, paint(document_, "Stroke", "style_mask", 0, Mask(), left));
  undo.push(document_, paint(document_, "Stroke", "style_mask", 2, Mask(), soft));
  const Job job = to_job(document_, folder_ / "masks");
  const auto& files = job.inputs.at("style_mask");
  ASSERT_EQ(files.size(), 3U);
  EXPECT_EQ(Mask(load_image(files[0])), left);
  EXPECT_EQ(Mask(load_image(files[2])), soft);
  const Mask rest(load_image(files[1]));
  for (int64_t x = 0; x < 300; x += 7)
    for (int64_t y = 0; y < 200; y += 7) ASSERT_EQ(rest.at(x, y), 255 - std::max(left.at(x, y), soft.at(x, y))) << x << " " << y;
  // The job's masks come back as painted ones, and give the same job.
  Document other = new_document("generate");
  undo.push(other, restore(other, job));
  EXPECT_EQ(other.state().masks.at("style_mask"), (std::vector<Mask>{left, rest, soft}));
  EXPECT_TRUE(other.state().inputs.at("style_mask").empty());
  EXPECT_EQ(to_job(other, folder_ / "masks").to_json(), job.to_json());
  // Saved and read again.
  Autosave autosave(folder_ / "autosave", [this] { return now_; });
  autosave.changed(document_);
  autosave.flush();
  EXPECT_EQ(autosave.newest()->document, document_);
}

TEST_F(DocumentTest, AnAutosaveOfTheFirstVersionKeepsItsMask) {
  Autosave autosave(folder_ / "autosave", [this] { return now_; });
  mask_of(document_) = dab(Mask(300, 300), 30, 20, 10, 255);
  autosave.changed(document_);
  autosave.flush();
  const fs::path file = autosave.newest()->file;
  Json json = Json::parse(read_file(file));
  const Json masks = json["masks"];
  json["mask"] = masks["generate"]["mask"][0];
  json.erase("masks");
  write_file_atomically(file, json.dump());
  EXPECT_EQ(autosave.newest()->document, document_);
  // What strangers wrote there does no harm.
  for (const Json& wrong : {Json(5), Json::array({1}), Json{{"generate", 3}}, Json{{"generate", {{"mask", {1, 2, 3}}}}}, Json{{"generate", {{"mask", {{{"a", 1}}}}}}}}) {
    json.erase("mask");
    json["masks"] = wrong;
    write_file_atomically(file, json.dump());
    EXPECT_TRUE(mask_of(autosave.newest()->document).is_blank()) << wrong.dump();
  }
}

TEST_F(DocumentTest, JsonOfOtherVersionsKeepsWhatIsValid) {
  UndoStack undo = stack();
  undo.push(document_, set_parameter(document_, "prompt", "a lake"));
  undo.push(document_, set_input(document_, "image", {"/x.png"}));
  undo.push(document_, set_common(document_, "run", "dtype", "bfloat16"));
  Json json = to_json(document_);
  EXPECT_EQ(document_from_json(json), document_);
  json["methods"]["generate"]["params"]["steps"] = "many";
  json["methods"]["generate"]["params"]["gone"] = 1;
  json["methods"]["unknown"] = 5;
  json["output"] = 3;
  EXPECT_EQ(document_from_json(json).state(), document_.state());
  EXPECT_EQ(error_of([] { document_from_json(Json::array()); }, {"version 1"}), ExitCode::kBadInput);
}

TEST_F(DocumentTest, AutosavesAfterAPauseAndRotates) {
  Autosave autosave(folder_ / "autosave", [this] { return now_; });
  EXPECT_FALSE(autosave.tick().has_value());
  EXPECT_FALSE(autosave.newest().has_value());
  const auto count = [&] {
    size_t documents = 0;
    for (const auto& entry : fs::directory_iterator(autosave.folder())) documents += entry.path().filename().string().starts_with("document-") ? 1 : 0;
    return documents;
  };
  const auto change = [&](const std::string& prompt) {
    document_.state().params["prompt"] = prompt;
    autosave.changed(document_);
  };
  change("one");
  now_ = 1.5;
  EXPECT_NEAR(autosave.tick().value(), 0.5, 1e-9);
  EXPECT_EQ(count(), 0);
  now_ = 2.1;
  autosave.tick();
  autosave.flush();
  EXPECT_EQ(count(), 1);
  // Without a pause it saves once a minute.
  for (int i = 0; i < 65; ++i) {
    now_ += 1;
    change("typing " + std::to_string(i));
    autosave.tick();
  }
  now_ += 0.1;
  while (count() < 2 && autosave.trouble().empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(count(), 2);
  for (int i = 0; i < 8; ++i) {
    mask_of(document_) = dab(Mask(300, 300), 30 * i, 20, 10, 255);
    change("state " + std::to_string(i));
    autosave.flush();
  }
  EXPECT_EQ(count(), Autosave::kKept);
  EXPECT_EQ(std::distance(fs::directory_iterator(autosave.folder()), fs::directory_iterator()), 11) << "five documents, five masks, one lock";
  EXPECT_EQ(autosave.newest()->document, document_);
}

TEST_F(DocumentTest, AnAutosaveThatFailsIsTriedAgainWithoutAnotherChange) {
  Autosave autosave(folder_ / "autosave", [this] { return now_; });
  const fs::path away = folder_ / "away";
  fs::rename(autosave.folder(), away);  // a disk that is gone for a while
  const auto tick_until = [&](const std::function<bool()>& wanted) {
    for (int i = 0; i < 500 && !wanted(); ++i) {
      now_ += 0.1;
      autosave.tick();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return wanted();
  };
  autosave.changed(document_);
  EXPECT_TRUE(tick_until([&] { return !autosave.trouble().empty(); }));
  EXPECT_FALSE(autosave.newest().has_value());
  fs::rename(away, autosave.folder());
  EXPECT_TRUE(tick_until([&] { return autosave.trouble().empty(); }));
  ASSERT_TRUE(autosave.newest().has_value());
  EXPECT_EQ(autosave.newest()->document, document_);
}

TEST_F(DocumentTest, ACrashLosesNothingThatWasSavedAndInstancesKeepApart) {
  mask_of(document_) = dab(Mask(300, 300), 30, 20, 10, 255);
  const fs::path base = folder_ / "autosave";
  NumberPipe saved;
  ChildProcess child([&] {
    Autosave autosave(base);
    for (int64_t i = 1;; ++i) {
      document_.state().params["seed"] = i;
      autosave.changed(document_);
      autosave.flush();
      saved.send(i);
    }
    return 0;
  });
  for (int i = 0; i < 3; ++i) saved.next();
  {
    Autosave second(base);
    EXPECT_EQ(second.folder().filename(), "2");
    EXPECT_FALSE(second.newest().has_value()) << "the other one is alive";
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(40));
  child.kill();
  int64_t last = 3;
  for (const int64_t number : saved.all()) last = number;
  Autosave again(base);
  auto newest = again.newest();
  ASSERT_TRUE(newest.has_value());
  EXPECT_GE(newest->document.state().params["seed"], last);
  EXPECT_EQ(mask_of(newest->document), mask_of(document_));
  // A torn file is passed over.
  write_file_atomically(newest->file, read_file(newest->file).substr(0, 200));
  EXPECT_EQ(again.newest()->document.state().params["seed"].get<int64_t>(), newest->document.state().params["seed"].get<int64_t>() - 1);
  again.discard();
  EXPECT_FALSE(again.newest().has_value());
}

}  // namespace
}  // namespace attelier
