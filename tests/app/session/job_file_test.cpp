// Jobs from files and pictures, and the files that they name.
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/media/image.h"
#include "tests/app/session/session_testing.h"

namespace attelier {
namespace {

TEST(JobFile, PathsStartAtTheJobsFolderAndThenAtTheCurrentOne) {
  const TemporaryFolder folder;
  folder.write("jobs/a.png", "x");
  folder.write("jobs/embeds.safetensors", "x");
  folder.write("jobs/models/unet.txt", "x");
  std::filesystem::create_directory(folder / "jobs/out");
  const auto path = folder.write("jobs/one.json", R"({"method": "style", "model": {"unet": "models"},
    "inputs": {"content": "a.png", "style": ["a.png", "nowhere.png"]}, "params": {"prompt_embeds": "embeds.safetensors:e"}, "output": {"dir": "out"}})");
  const Json json = load_job(path).json;
  const std::string base = (folder / "jobs").string();
  EXPECT_EQ(json["inputs"]["content"], base + "/a.png");
  EXPECT_EQ(json["inputs"]["style"][1], base + "/nowhere.png");
  EXPECT_EQ(json["params"]["prompt_embeds"], base + "/embeds.safetensors:e");
  EXPECT_EQ(json["model"]["unet"], base + "/models");
  EXPECT_EQ(json["output"]["dir"], base + "/out");

  const auto current = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  folder.write("here.png", "x");
  folder.write("other.json", R"({"method": "style", "inputs": {"content": "here.png", "style": "jobs/a.png"}})");
  const Json from_here = load_job("jobs/../other.json").json;
  folder.write("jobs/two.json", R"({"method": "style", "model": "sd15", "inputs": {"content": "here.png"}, "output": {"dir": "-"}})");
  const Json other = load_job("jobs/two.json").json;
  std::filesystem::current_path(current);
  EXPECT_EQ(from_here["inputs"]["style"], "jobs/../jobs/a.png");
  EXPECT_EQ(other["inputs"]["content"], "here.png");
  EXPECT_EQ(other["model"], "sd15") << "a name is no path";
  EXPECT_EQ(other["output"]["dir"], "-");
}

TEST(JobFile, InputsByHashAreFoundBesideTheJob) {
  const TemporaryFolder folder;
  folder.write("a.png", "the picture");
  const auto job = [&](const std::string& file, const std::string& hash) {
    return dump({{"method", "style"}, {"inputs", {{"content", {{{"file", file}, {"sha256", hash}}}}}}});
  };
  EXPECT_EQ(read_job(job("a.png", sha256("the picture")), "x", folder.path()).json["inputs"]["content"][0], (folder / "a.png").string());
  EXPECT_EQ(read_job(job("../../elsewhere/a.png", sha256("the picture")), "x", folder.path()).json["inputs"]["content"][0], (folder / "a.png").string())
      << "only the name counts";
  EXPECT_EQ(error_of([&] { read_job(job("a.png", sha256("another")), "x", folder.path()); }, {"a.png is there, but it is another picture"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { read_job(job("b.png", sha256("another")), "x", folder.path()); }, {"b.png is not there"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { read_job(job("", ""), "x", folder.path()); }, {"expected a file name"}), ExitCode::kBadInput);
}

TEST(JobFile, PicturesWithAndWithoutAJob) {
  const TemporaryFolder folder;
  const Image image{2, 2, 3, std::vector<uint8_t>(12, 7)};
  save_image(folder / "with.png", image, {{"attelier-job", R"({"job": 1, "method": "generate", "params": {"prompt": "рыжая кошка"}})"}});
  save_image(folder / "without.png", image);
  save_image(folder / "broken.png", image, {{"attelier-job", "{"}});
  EXPECT_EQ(load_job(folder / "with.png").json["params"]["prompt"], "рыжая кошка");
  EXPECT_EQ(error_of([&] { load_job(folder / "without.png"); }, {"without.png: carries no job"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { load_job(folder / "broken.png"); }, {"broken.png: is not JSON"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { load_job(folder / "missing.json"); }, {"missing.json: cannot be opened"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { load_job(folder.path()); }, {"is a folder"}), ExitCode::kBadInput);
}

TEST(JobFile, ARecordHoldsItsJob) {
  EXPECT_EQ(read_job(R"({"job": {"job": 1, "method": "generate"}, "record": {"seconds": 3}})", "x", {}).json["method"], "generate");
}

TEST(JobFile, OversizedAndMisshapenJobsAreErrors) {
  EXPECT_EQ(error_of([] { read_job(std::string(17 << 20, ' '), "x", {}); }, {"at most 16777216"}), ExitCode::kBadInput);
  for (const char* text : {R"({"inputs": 3, "model": [], "output": "x", "params": [1], "method": "generate"})", R"({"method": {}, "inputs": {"a": [[{}]]}})",
                           R"({"model": {"unet": 3, "sha256": 4}, "method": "style", "inputs": {"content": null}})"}) {
    const JobDocument document = read_job(text, "x", "/tmp");
    EXPECT_EQ(error_of([&] { parse_job(document.json, {"x", document.text, {}}); }, {"x"}), ExitCode::kBadInput) << text;
  }
}

TEST(JobFile, FileReferences) {
  const TemporaryFolder folder;
  const std::string odd = folder.write("a:b", "x").string();
  EXPECT_EQ(split_file_reference(odd).first, odd);
  EXPECT_EQ(split_file_reference(odd + ":name").first, odd);
  EXPECT_EQ(split_file_reference(odd + ":name").second, ":name");
  EXPECT_EQ(split_file_reference("plain").second, "");
}

}  // namespace
}  // namespace attelier
