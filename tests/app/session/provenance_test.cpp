// What pictures say about their making, and that it leads back to the same job.
#include "app/session/provenance.h"

#include "core/base/files.h"
#include "core/base/json_text.h"
#include "tests/app/session/session_testing.h"

namespace attelier {
namespace {

const Image kImage{64, 32, 3, std::vector<uint8_t>(64 * 32 * 3, 9)};

Job style_job(const TemporaryFolder& folder) {
  folder.write("content.png", "c");
  folder.write("style.png", "s");
  folder.write("embeds.safetensors", "e");
  return parse_job({{"method", "style"},
                    {"model", (folder / "model").string()},
                    {"inputs", {{"content", (folder / "content.png").string()}, {"style", (folder / "style.png").string()}}},
                    {"params", {{"prompt_embeds", (folder / "embeds.safetensors").string() + ":e"}, {"seed", 3}}}});
}

TEST(Provenance, NoPathOfTheMachineIsEmbedded) {
  const TemporaryFolder folder;
  const Job job = style_job(folder);
  const Provenance provenance(job, std::string(64, 'a'), at::kCPU, at::kFloat);
  for (const auto& [keyword, text] : provenance.texts(job.params, kImage)) EXPECT_EQ(text.find(folder.path().string()), std::string::npos) << keyword << ": " << text;
  const Json embedded = provenance.job(job.params);
  EXPECT_EQ(embedded["inputs"]["content"][0]["file"], "content.png");
  EXPECT_EQ(embedded["params"]["prompt_embeds"], "embeds.safetensors:e");
  EXPECT_EQ(embedded["model"]["unet"], "model");
}

TEST(Provenance, APictureLeadsBackToItsJob) {
  const TemporaryFolder folder;
  const Job job = style_job(folder);
  const Provenance provenance(job, std::string(64, 'a'), at::kCPU, at::kFloat);
  save_image(folder / "result.png", kImage, provenance.texts(job.params, kImage));
  const JobDocument document = load_job(folder / "result.png");
  const Job again = parse_job(document.json, {document.name, document.text, {}});
  EXPECT_EQ(again.params, job.params);
  EXPECT_EQ(again.inputs, job.inputs);
  EXPECT_EQ(again.model_sha256, std::string(64, 'a'));
  EXPECT_EQ(Provenance(again, std::string(64, 'a'), at::kCPU, at::kFloat).run_id(again.params), provenance.run_id(job.params));
  EXPECT_EQ(run_id_of(folder / "result.png"), provenance.run_id(job.params));
}

TEST(Provenance, TheRunIdDependsOnWhatDecidesThePixelsAlone) {
  const TemporaryFolder folder;
  Job job = style_job(folder);
  const auto id = [&](const std::string& model, at::ScalarType dtype) { return Provenance(job, model, at::kCPU, dtype).run_id(job.params); };
  const std::string first = id("m", at::kFloat);
  job.name = "other";
  job.output.folder = "/elsewhere";
  EXPECT_EQ(id("m", at::kFloat), first);
  EXPECT_NE(id("n", at::kFloat), first);
  EXPECT_NE(id("m", at::kBFloat16), first);
  job.params["gamma"] = 0.5;
  EXPECT_NE(id("m", at::kFloat), first);
  job.params["gamma"] = 0.75;
  EXPECT_EQ(id("m", at::kFloat), first);
  folder.write("style.png", "changed");
  EXPECT_NE(id("m", at::kFloat), first);
}

TEST(Provenance, OtherToolsFindWhatTheyLookFor) {
  const Job job = parse_job(json_of(R"({"method": "generate", "model": "mini", "params": {"prompt": "a\u0000cat", "negative_prompt": "dogs", "steps": 7, "seed": 11}})"));
  const PngTexts texts = Provenance(job, "0123456789abcdef", at::kCPU, at::kFloat).texts(job.params, kImage);
  EXPECT_EQ(texts.at("parameters").substr(0, texts.at("parameters").find(", Version")),
            "a cat\nNegative prompt: dogs\nSteps: 7, Sampler: model, Seed: 11, Size: 64x32, Model hash: 0123456789, Model: mini");
}

TEST(Provenance, AJobBeyondAPngTextIsLeftOut) {
  Job job = parse_job(json_of(R"({"method": "generate"})"));
  job.params["prompt"] = std::string(100000, 'x');
  EXPECT_EQ(Provenance(job, "m", at::kCPU, at::kFloat).texts(job.params, kImage).size(), 2u);
  job.params["prompt"] = std::string(2 << 20, 'x');
  const PngTexts texts = Provenance(job, "m", at::kCPU, at::kFloat).texts(job.params, kImage);
  EXPECT_TRUE(texts.empty());
}

TEST(Provenance, RunIdsOfDamagedAndForeignFiles) {
  const TemporaryFolder folder;
  EXPECT_EQ(run_id_of(folder.write("text.png", "no picture")), "");
  save_image(folder / "foreign.png", kImage, {{"attelier-job", "[]"}});
  EXPECT_EQ(run_id_of(folder / "foreign.png"), "");
  folder.write("photo.jpg", "x");
  EXPECT_EQ(run_id_of(folder / "photo.jpg"), "");
  folder.write("photo.jpg.json", R"({"job": {}, "record": {"run_id": "abc"}})");
  EXPECT_EQ(run_id_of(folder / "photo.jpg"), "abc");
}

}  // namespace
}  // namespace attelier
