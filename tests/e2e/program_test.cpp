// Exit codes, bad input, repetition of pictures and interruption of the real program, on a tiny random model.
#include "tests/e2e/program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "core/base/files.h"
#include "core/media/image.h"
#include "core/weights/tensor_file.h"
#include "tests/testing/sanitizers.h"
#include "tests/testing/temporary_folder.h"
#include "tests/testing/tiny_model.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

class ProgramTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    models_ = new TemporaryFolder;
    write_tiny_model(*models_ / "tiny");
    TinyModelOptions overflow;
    overflow.prediction_gain = 1e38;
    write_tiny_model(*models_ / "overflow", overflow);
  }
  static void TearDownTestSuite() { delete models_; }

  ProgramTest() {
    fs::create_directory(home_ / "out");
    model_ = (*models_ / "tiny").string();
    out_ = (home_ / "out").string();
  }

  ProgramResult run(const std::vector<std::string>& arguments, const std::string& input = "") { return Program(home_.path(), arguments, input).finish(); }
  std::vector<std::string> generate(std::vector<std::string> more) const {
    more.insert(more.begin(), {"generate", "a red house", "--model", model_, "--out", out_, "--steps", "1", "-q"});
    return more;
  }
  /// The run must fail with this code and these words, and write nothing.
  void expect_failure(const std::vector<std::string>& arguments, int code, const std::string& part) {
    const ProgramResult result = run(arguments);
    EXPECT_EQ(result.code, code) << result.errors;
    EXPECT_NE(result.errors.find(part), std::string::npos) << "no \"" << part << "\" in " << result.errors;
    EXPECT_EQ(result.output, "");
    EXPECT_TRUE(fs::is_empty(out_));
  }

  static TemporaryFolder* models_;
  TemporaryFolder home_;
  std::string model_, out_;
};
TemporaryFolder* ProgramTest::models_ = nullptr;

TEST_F(ProgramTest, ScenesShowTheCharactersThatAreWanted) {
  const ProgramResult drawn = run({"scenes", "--characters", "Mia,otto", "--count", "3", "--size", "128", "--no-truth", "--out", out_, "-q"});
  ASSERT_EQ(drawn.code, 0) << drawn.errors;
  std::istringstream lines(read_file(fs::path(out_) / "captions.jsonl"));
  std::set<std::string> seen;
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const Json caption = Json::parse(line);
    for (const Json& object : caption["objects"]) seen.insert(object.value("name", ""));
  }
  EXPECT_EQ(count, 3);
  EXPECT_TRUE(seen.contains("Mia") && seen.contains("Otto")) << Json(seen).dump();
  fs::remove_all(out_);
  fs::create_directory(out_);
  expect_failure({"scenes", "--characters", "nobody", "--out", out_}, 2, "nobody");
  expect_failure({"scenes", "--characters", "mia", "--world", "small", "--out", out_}, 2, "--characters mia: --world small draws flat pictures");
  expect_failure({"scenes", "--world", "small", "--style", "watercolour", "--place", "seaside", "--out", out_}, 2, "--place seaside, --style watercolour: --world small");
  expect_failure({"scenes", "--characters", "mia", "--place", "still-life", "--out", out_}, 2, "cannot stand in a still life");
}

TEST_F(ProgramTest, ShippedModelsAreListedAsWhatTheyAre) {
  const ProgramResult listed = run({"models", "list", "--json"});
  ASSERT_EQ(listed.code, 0) << listed.errors;
  std::map<std::string, std::string> families;
  const Json document = Json::parse(listed.output);
  for (const Json& model : document.at("models")) families[model.at("name")] = model.at("family");
  const std::map<std::string, std::string> shipped = {{"judge", "judge"}, {"mini", "sd1"}, {"mini-biformer", "backbone"}, {"mini-controlnet-depth", "controlnet-sd1"}, {"mini-controlnet-edges", "controlnet-sd1"},
                                                      {"mini-inpaint", "sd1-inpainting"}, {"mini-rgt", "upscaler"}, {"mini-vsa", "backbone"}, {"mini-xl", "sdxl"}};
  for (const auto& [name, family] : shipped) EXPECT_EQ(families[name], family) << name;
}

TEST_F(ProgramTest, TheSmallWorldIsDrawnWithItsTruth) {
  ASSERT_EQ(run({"scenes", "--world", "small", "--count", "2", "--size", "64", "--out", out_, "-q"}).code, 0);
  std::istringstream lines(read_file(fs::path(out_) / "captions.jsonl"));
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const Json caption = Json::parse(line);
  EXPECT_EQ(caption.at("depth"), (Json{{"file", "scene_000000_depth.png"}, {"steps_per_metre", 256}, {"kind", "z"}}));
  const Image depth = load_image(fs::path(out_) / "scene_000000_depth.png"), things = load_image(fs::path(out_) / "scene_000000_instance.png");
  EXPECT_EQ(depth.width, 64);
  EXPECT_EQ(things.height, 64);
  ASSERT_FALSE(caption.at("objects").empty());
  EXPECT_NE(caption.at("caption").get<std::string>().find(caption["objects"][0]["class"].get<std::string>()), std::string::npos);
  fs::remove_all(out_);
  fs::create_directory(out_);
  ASSERT_EQ(run({"scenes", "--world", "small", "--count", "1", "--size", "64", "--no-truth", "--out", out_, "-q"}).code, 0);
  EXPECT_FALSE(fs::exists(fs::path(out_) / "scene_000000_depth.png"));
}

TEST_F(ProgramTest, APresetStandsBetweenSettingsAndFlags) {
  home_.write("attelier/config.json", R"({"params": {"generate": {"steps": 9, "guidance_scale": 2, "eta": 0.25}}})");
  home_.write("attelier/presets/generate/quick sketch.json", R"({"preset": 1, "method": "generate", "params": {"steps": 2, "guidance_scale": 3.5}})");
  home_.write("attelier/presets/style/broken.json", "{");
  const ProgramResult job = run({"generate", "a red house", "--model", model_, "--preset", "quick sketch", "--guidance-scale", "4", "--print-job"});
  ASSERT_EQ(job.code, 0) << job.errors;
  const Json params = Json::parse(job.output)["params"];
  EXPECT_EQ(params["steps"], 2) << "the preset's, not config.json's";
  EXPECT_EQ(params["guidance_scale"], 4) << "the flag's";
  EXPECT_EQ(params["eta"], 0.25) << "of config.json";
  const ProgramResult shown = run({"config", "show", "generate", "--preset", "quick sketch", "--json"});
  ASSERT_EQ(shown.code, 0) << shown.errors;
  const Json origins = Json::parse(shown.output)["settings"];
  const auto steps = std::find_if(origins.begin(), origins.end(), [](const Json& line) { return line["at"] == "/params/steps"; });
  ASSERT_NE(steps, origins.end());
  EXPECT_EQ((*steps)["origin"], "the preset quick sketch");
  const ProgramResult list = run({"config", "presets"});
  ASSERT_EQ(list.code, 0) << list.errors;
  EXPECT_NE(list.output.find("quick sketch"), std::string::npos) << list.output;
  EXPECT_NE(list.output.find("broken.json"), std::string::npos) << list.output;
  expect_failure({"generate", "a red house", "--preset", "slow"}, 2, "generate has no preset \"slow\"; there are quick sketch");
}

TEST_F(ProgramTest, HelpAndVersion) {
  const ProgramResult first = run({});
  EXPECT_EQ(first.code, 0);
  EXPECT_LE(std::count(first.output.begin(), first.output.end(), '\n'), 25);
  EXPECT_EQ(run({"--help"}).output, first.output);
  const ProgramResult version = run({"--version"});
  for (const char* part : {"attelier 0.", "libtorch 2.", "CPU ", "CUDA "}) EXPECT_NE(version.output.find(part), std::string::npos) << part;
  EXPECT_NE(run({"generate", "--help"}).output.find("--negative-prompt"), std::string::npos);
}

TEST_F(ProgramTest, WrongUse) {
  expect_failure({"generat"}, 2, "did you mean generate?");
  expect_failure({""}, 2, "there are");
  expect_failure(generate({"--stpes", "3"}), 2, "did you mean --steps?");
  expect_failure(generate({"--seed", "many"}), 2, "--seed is \"many\"");
  expect_failure(generate({"--guidance-scale", "-1"}), 2, "--guidance-scale is -1");
  expect_failure({"style", "--out", out_}, 2, "--content is missing");
  expect_failure({"run"}, 2, "required");
}

TEST_F(ProgramTest, BadInput) {
  const std::string text = home_.write("text.png", "this is text").string();
  expect_failure(generate({"--image", text}), 3, "text.png");
  expect_failure(generate({"--image", home_.path().string()}), 3, "is a folder");
  expect_failure(generate({"--image", "nowhere.png"}), 3, "does not exist");
  expect_failure({"generate", "x", "--model", model_, "--out", out_ + "/missing"}, 3, "no such folder");
  expect_failure({"run", home_.write("a.json", "{\"method\": \"generate\",\n\"params\": {\"steps\": 0}}").string()}, 3, "line 2: /params/steps is 0");
  expect_failure({"run", text}, 3, "is not JSON");
  expect_failure({"generate", "x", "--model", model_, "--out", out_, "--size", "60x60"}, 3, "multiples of 8");
}

TEST_F(ProgramTest, AMissingOrDamagedModel) {
  expect_failure({"generate", "x", "--model", (home_ / "none").string(), "--out", out_}, 4, "does not exist");
  const fs::path copy = home_ / "copy";
  fs::copy(model_, copy, fs::copy_options::recursive);
  fs::resize_file(copy / "unet/diffusion_pytorch_model.safetensors", 100000);
  expect_failure({"generate", "x", "--model", copy.string(), "--out", out_}, 4, "diffusion_pytorch_model.safetensors");
}

TEST_F(ProgramTest, MemoryNumbersAndDevice) {
  if (!kSanitized) {  // the sanitizer itself needs terabytes of addresses
    const ProgramResult memory = Program(home_.path(), generate({"--size", "16384x16384", "--threads", "1", "--vae-tiling", "off"}), "", {}, uint64_t{2} << 30).finish();
    EXPECT_EQ(memory.code, 5) << memory.errors;
  }
  expect_failure({"generate", "x", "--model", (*models_ / "overflow").string(), "--out", out_, "--steps", "2"}, 6, "NaN or Inf");
  if (!fs::exists("/dev/nvidia0")) expect_failure(generate({"--device", "cuda"}), 75, "use --device cpu");
}

TEST_F(ProgramTest, SomeJobsFail) {
  const std::string job = home_.write("good.json", Json({{"method", "generate"}, {"model", model_}, {"params", {{"steps", 1}}}, {"output", {{"dir", out_}}}}).dump()).string();
  const ProgramResult result = run({"run", home_.write("bad.json", "{}").string(), job, "-q"});
  EXPECT_EQ(result.code, 7) << result.errors;
  EXPECT_TRUE(fs::exists(out_ + "/generate_0_0000.png"));
  EXPECT_EQ(run({"run", home_.write("bad.json", "{}").string(), home_.write("worse.json", "[").string()}).code, 3);
  if (kSanitized) return;  // the sanitizer itself needs terabytes of addresses
  const std::string large = home_.write("large.json", Json({{"method", "generate"}, {"model", model_}, {"params", {{"steps", 1}, {"size", {16384, 16384}}, {"vae_tiling", "off"}}}, {"output", {{"dir", out_}}}, {"run", {{"threads", 1}}}}).dump()).string();
  const ProgramResult memory = Program(home_.path(), {"run", large, job, "--name", "after.png", "--threads", "1", "-q"}, "", {}, uint64_t{2} << 30).finish();
  EXPECT_EQ(memory.code, 7) << memory.errors;
  EXPECT_NE(memory.errors.find("out of memory"), std::string::npos) << memory.errors;
  EXPECT_TRUE(fs::exists(out_ + "/after.png"));
}

TEST_F(ProgramTest, TheQueueTellsWhatBecameOfItsJobs) {
  const auto add = [&](const std::string& name, const std::string& model) {
    const Json job = {{"method", "generate"}, {"model", model}, {"params", {{"steps", 2}}}, {"output", {{"dir", out_}}}};
    const ProgramResult added = run({"queue", "add", home_.write(name, job.dump()).string()});
    EXPECT_EQ(added.code, 0) << added.errors;
    return added.output.substr(0, added.output.find('\n'));
  };
  const std::string bad = (*models_ / "overflow").string();
  const std::string failing = add("bad.json", bad), good = add("good.json", model_);
  const ProgramResult both = run({"queue", "run", "-q"});
  EXPECT_EQ(both.code, 7) << both.errors;
  EXPECT_EQ(both.output, "job " + failing + ": failed\njob " + good + ": done\n");
  EXPECT_NE(both.errors.find("error: job " + failing + ": "), std::string::npos) << both.errors;
  add("bad.json", bad);
  EXPECT_EQ(run({"queue", "run", "-q"}).code, 6) << "a lone job's own code";
  EXPECT_EQ(run({"queue", "run", "-q"}).code, 0) << "nothing waits";
}

TEST_F(ProgramTest, APictureRepeatsItself) {
  ASSERT_EQ(run(generate({"--seed", "5", "--name", "first.png"})).code, 0);
  const ProgramResult again = run({"run", out_ + "/first.png", "--model", model_, "--out", out_, "--name", "second.png"});
  ASSERT_EQ(again.code, 0) << again.errors;
  EXPECT_EQ(again.output, out_ + "/second.png\n");
  EXPECT_EQ(load_image(out_ + "/first.png").pixels, load_image(out_ + "/second.png").pixels);
  // The printed job does the same.
  const ProgramResult job = run(generate({"--seed", "5", "--name", "third.png", "--print-job"}));
  ASSERT_EQ(run({"run", "-"}, job.output).code, 0);
  EXPECT_EQ(load_image(out_ + "/first.png").pixels, load_image(out_ + "/third.png").pixels);
  // Another seed does not.
  ASSERT_EQ(run(generate({"--seed", "6", "--name", "other.png"})).code, 0);
  EXPECT_NE(load_image(out_ + "/first.png").pixels, load_image(out_ + "/other.png").pixels);
  const ProgramResult diff = run({"meta", "diff", out_ + "/first.png", out_ + "/other.png"});
  EXPECT_NE(diff.output.find("/params/seed  5 -> 6"), std::string::npos) << diff.output;
  // A stripped picture keeps its pixels and nothing else.
  ASSERT_EQ(run({"meta", "strip", out_ + "/other.png", "--out", out_ + "/bare.png"}).code, 0);
  EXPECT_EQ(load_image(out_ + "/bare.png").pixels, load_image(out_ + "/other.png").pixels);
  EXPECT_TRUE(read_png_texts(read_file(out_ + "/bare.png"), "bare").empty());
  EXPECT_EQ(run({"run", out_ + "/bare.png"}).code, 3);
}

TEST_F(ProgramTest, EarlierPicturesAreSafe) {
  ASSERT_EQ(run(generate({"--name", "a.png"})).code, 0);
  const std::string bytes = read_file(out_ + "/a.png");
  EXPECT_EQ(run(generate({"--name", "a.png", "--exists", "error"})).code, 3);
  EXPECT_EQ(run(generate({"--name", "a.png", "--exists", "skip", "--seed", "9"})).code, 3) << "another job's picture is no reason to skip";
  const ProgramResult same = run(generate({"--name", "a.png", "--exists", "skip", "--json"}));
  EXPECT_EQ(same.code, 0);
  EXPECT_EQ(Json::parse(same.output)["skipped"].size(), 1u);
  ASSERT_EQ(run(generate({"--name", "a.png", "--record"})).code, 0);
  EXPECT_TRUE(fs::exists(out_ + "/a_1.png"));
  EXPECT_EQ(Json::parse(read_file(out_ + "/a_1.png.json"))["record"]["picture"]["file"], "a_1.png");
  EXPECT_EQ(read_file(out_ + "/a.png"), bytes);
}

TEST_F(ProgramTest, StandardOutputDryRunAndEnvironment) {
  const ProgramResult piped = run({"generate", "x", "--model", model_, "--steps", "1", "--out", "-", "-q"});
  ASSERT_EQ(piped.code, 0) << piped.errors;
  EXPECT_EQ(decode_image(piped.output, "piped").width, 64);
  const ProgramResult dry = Program(home_.path(), generate({"--dry-run", "--json"}), "", {{"ATTELIER_THREADS", "1"}, {"ATTELIER_GENERATE_STEPS", "9"}}).finish();
  ASSERT_EQ(dry.code, 0) << dry.errors;
  std::map<std::string, Json> values;
  const Json document = Json::parse(dry.output);
  for (const Json& value : document["values"]) values[value["at"]] = value;
  EXPECT_EQ(values["/params/steps"]["value"], 1);
  EXPECT_EQ(values["/params/steps"]["origin"], "--steps");
  EXPECT_EQ(values["/run/threads"]["origin"], "ATTELIER_THREADS");
  EXPECT_EQ(values["/params/eta"]["origin"], "built in");
  EXPECT_TRUE(fs::is_empty(out_));
}

TEST_F(ProgramTest, TraceWritesTensorsAndNoPicture) {
  const std::string job = home_.write("t.json", Json({{"method", "generate"}, {"model", {{"unet", model_}}}, {"params", {{"steps", 2}}}, {"output", {{"dir", "not/there"}}}}).dump()).string();
  const ProgramResult result = run({"trace", job, "--outputs", out_ + "/trace.safetensors", "-q"});
  ASSERT_EQ(result.code, 0) << result.errors;
  const auto source = open_tensors(out_ + "/trace.safetensors");
  for (const char* name : {"timesteps", "latents.-1", "latents.0", "latents.1", "noise_prediction.0", "noise_prediction.1", "image"})
    EXPECT_TRUE(source->tensors().contains(name)) << name;
}

TEST_F(ProgramTest, InspectWritesMapsOfAJob) {
  const ProgramResult made = run(generate({}));
  ASSERT_EQ(made.code, 0) << made.errors;
  const std::string picture = (home_ / "house.png").string(), maps = (home_ / "maps").string();
  fs::rename(made.output.substr(0, made.output.find('\n')), picture);
  fs::create_directory(maps);
  const ProgramResult words = run({"inspect", picture, maps + "/maps.png", "--model", model_, "-q"});
  ASSERT_EQ(words.code, 0) << words.errors;
  std::istringstream files(words.output);
  int count = 0;
  for (std::string file; std::getline(files, file); ++count) EXPECT_EQ(load_image(file).width, 64) << file;
  EXPECT_GE(count, 1) << "a map for every word of the prompt";
  const ProgramResult place = run({"inspect", picture, maps + "/look.npy", "--model", model_, "--place", "0.3,0.6", "--layer", "down 0.0", "--step", "0", "--head", "0", "-q"});
  ASSERT_EQ(place.code, 0) << place.errors;
  EXPECT_EQ(read_file(maps + "/look.npy").substr(1, 5), "NUMPY");
  expect_failure({"inspect", picture, maps + "/m.png", "--model", model_, "--word", "zebra", "-q"}, 2, "the prompt's words are");
  expect_failure({"inspect", picture, maps + "/m.png", "--model", model_, "--layer", "cellar", "-q"}, 2, "the layers are down 0.0");
  expect_failure({"inspect", picture, maps + "/m.png", "--model", model_, "--step", "99", "-q"}, 2, "kept were the steps 0");
  expect_failure({"inspect", picture, maps + "/m.txt", "--model", model_, "-q"}, 2, "end OUT in one of these");
}

TEST_F(ProgramTest, BenchComparesWithAndWithoutAProgram) {
  const std::vector<std::string> bench = {"bench", "unet", "--model", model_, "--repeat", "3", "--threads", "1", "-q", "--json", "-"};
  for (const char* baseline : {"torch", "plain"}) {
    std::vector<std::string> arguments = bench;
    arguments.insert(arguments.end(), {"--baseline", baseline});
    const ProgramResult result = run(arguments);
    ASSERT_EQ(result.code, 0) << result.errors;
    const Json json = Json::parse(result.output);
    EXPECT_EQ(json.at("baseline").at("name"), baseline);
    EXPECT_GT(json.at("min_s").get<double>(), 0);
    EXPECT_NEAR(json.at("ratio").get<double>(), json.at("baseline").at("median_s").get<double>() / json.at("median_s").get<double>(), 1e-9);
  }
  expect_failure({"bench", "unet", "--model", model_, "--baseline", "pytorch"}, 2, "allowed are torch and plain");
}

TEST_F(ProgramTest, AVeryLongPrompt) {
  const ProgramResult result = run({"generate", std::string(100000, 'a'), "--model", model_, "--steps", "1", "--out", out_});
  EXPECT_EQ(result.code, 0) << result.errors.substr(0, 1000);
  EXPECT_LT(result.errors.size(), 4000u);
}

TEST_F(ProgramTest, SignalsStopWithinASecond) {
  for (const auto& [signal, code] : {std::pair(SIGINT, 130), std::pair(SIGTERM, 143)}) {
    Program program(home_.path(), {"generate", "x", "--model", model_, "--steps", "900", "--size", "256x256", "--out", out_});
    std::this_thread::sleep_for(std::chrono::seconds(3));
    ASSERT_TRUE(program.running()) << program.finish().errors;
    const Clock::time_point sent = Clock::now();
    program.send(signal);
    const ProgramResult result = program.finish();
    EXPECT_EQ(result.code, code) << result.errors;
    EXPECT_LT(Clock::now() - sent, std::chrono::seconds(kSanitized ? 6 : 2)) << "one second, and as much again for a busy machine";
    EXPECT_TRUE(fs::is_empty(out_));
  }
}

TEST_F(ProgramTest, AfterAKillTheRestIsMadeAndNothingIsLost) {
  const std::vector<std::string> arguments = generate({"--count", "12", "--exists", "skip", "--name", "{seed:03}.png"});
  Program program(home_.path(), arguments);
  const Clock::time_point start = Clock::now();
  while (!fs::exists(out_ + "/002.png") && program.running() && Clock::now() - start < std::chrono::minutes(2)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  program.send(SIGKILL);
  EXPECT_EQ(program.finish().code, 137);
  std::map<std::string, std::string> before;
  for (const auto& entry : fs::directory_iterator(out_))
    if (entry.path().extension() == ".png") before[entry.path().string()] = read_file(entry.path());
  ASSERT_GE(before.size(), 3u);
  for (const auto& [path, bytes] : before) EXPECT_NO_THROW(decode_image(bytes, path));
  ASSERT_EQ(run(arguments).code, 0);
  for (const auto& [path, bytes] : before) EXPECT_EQ(read_file(path), bytes);
  for (int i = 0; i < 12; ++i) EXPECT_TRUE(fs::exists(fmt::format("{}/{:03}.png", out_, i))) << i;
}

TEST_F(ProgramTest, ATrainingHasItsFolderForItselfAndStopsInTheExportToo) {
  Json config = {{"objective", "lora"}, {"model", model_}, {"data", {{"source", "small_world"}}}, {"steps", 1}, {"batch", 1}, {"pool", 1}, {"fresh", 0}, {"validation_pictures", 0}, {"sheet", {"x"}}, {"output", "run"}};
  const std::string path = home_.write("lora.json", config.dump()).string();
  const ProgramResult trained = run({"train", path, "-q"});
  ASSERT_EQ(trained.code, 0) << trained.errors;
  config["validation_pictures"] = 10000;  // so that the export lasts
  home_.write("lora.json", config.dump());
  Program program(home_.path(), {"train", path, "--export", "-q"});
  std::this_thread::sleep_for(std::chrono::seconds(3));
  ASSERT_TRUE(program.running()) << program.finish().errors;
  expect_failure({"train", path, "--resume", "-q"}, 3, "is in use");
  expect_failure({"train", path, "--restart", "-q"}, 3, "is in use");
  program.send(SIGTERM);
  const ProgramResult stopped = program.finish();
  EXPECT_EQ(stopped.code, 75) << stopped.errors;
  EXPECT_NE(stopped.errors.find("go on with --export"), std::string::npos) << stopped.errors;
}

}  // namespace
}  // namespace attelier
