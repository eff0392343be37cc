#include "tests/pipelines/pipelines_testing.h"

#include <ATen/Parallel.h>

#include <cstdlib>

#include "core/base/files.h"
#include "core/text/vocabulary.h"
#include "core/weights/load.h"
#include "tests/testing/seeded_weights.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class TestFolder {
 public:
  TestFolder() {
    std::string pattern = (fs::temp_directory_path() / "attelier-pipelines-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path = pattern;
    setenv("XDG_CACHE_HOME", (path / "cache").c_str(), 1);
    setenv("XDG_DATA_HOME", (path / "data").c_str(), 1);
    at::set_num_threads(1);  // layers this small only wait for each other
  }
  ~TestFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  fs::path path;
};

const Json kUNet = {{"_class_name", "UNet2DConditionModel"},
                    {"sample_size", 16},
                    {"in_channels", 4},
                    {"out_channels", 4},
                    {"block_out_channels", {32, 64, 64, 64}},
                    {"layers_per_block", 2},
                    {"down_block_types", {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"}},
                    {"up_block_types", {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"}},
                    {"attention_head_dim", 8},
                    {"cross_attention_dim", 32},
                    {"norm_num_groups", 32}};
const Json kXlUNet = {{"_class_name", "UNet2DConditionModel"},
                      {"sample_size", 16},
                      {"in_channels", 4},
                      {"out_channels", 4},
                      {"block_out_channels", {32, 64}},
                      {"layers_per_block", 1},
                      {"down_block_types", {"DownBlock2D", "CrossAttnDownBlock2D"}},
                      {"up_block_types", {"CrossAttnUpBlock2D", "UpBlock2D"}},
                      {"attention_head_dim", {2, 4}},
                      {"transformer_layers_per_block", {1, 2}},
                      {"cross_attention_dim", 64},
                      {"norm_num_groups", 32},
                      {"use_linear_projection", true},
                      {"addition_embed_type", "text_time"},
                      {"addition_time_embed_dim", 8},
                      {"projection_class_embeddings_input_dim", 80}};
const Json kVae = {{"_class_name", "AutoencoderKL"},
                   {"in_channels", 3},
                   {"out_channels", 3},
                   {"latent_channels", 4},
                   {"block_out_channels", {8, 16, 16, 16}},
                   {"layers_per_block", 1},
                   {"norm_num_groups", 4},
                   {"sample_size", 128},
                   {"scaling_factor", 0.18215},
                   {"down_block_types", {"DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"}},
                   {"up_block_types", {"UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"}}};
const Json kControlNet = {{"_class_name", "ControlNetModel"},
                          {"in_channels", 4},
                          {"block_out_channels", {32, 64, 64, 64}},
                          {"layers_per_block", 2},
                          {"down_block_types", kUNet["down_block_types"]},
                          {"attention_head_dim", 8},
                          {"cross_attention_dim", 32},
                          {"norm_num_groups", 32},
                          {"conditioning_embedding_out_channels", {16, 32, 96, 256}}};
const Json kScheduler = {{"_class_name", "DDIMScheduler"}, {"num_train_timesteps", 1000}, {"beta_start", 0.00085},    {"beta_end", 0.012},
                         {"beta_schedule", "scaled_linear"}, {"clip_sample", false},      {"set_alpha_to_one", false}, {"steps_offset", 1}};
const Json kXlScheduler = {{"_class_name", "EulerDiscreteScheduler"}, {"beta_start", 0.00085}, {"beta_end", 0.012},
                           {"beta_schedule", "scaled_linear"},        {"steps_offset", 1},     {"timestep_spacing", "leading"}};

template <typename ModuleType, typename Config>
void write_component(const fs::path& folder, const Json& config, uint64_t seed, const std::string& file = "diffusion_pytorch_model.safetensors") {
  fs::create_directories(folder);
  write_file_atomically(folder / "config.json", config.dump());
  ModuleType module(Config::from_json(config));
  fill_seeded(module, seed);
  write_safetensors(folder / file, named_tensors(module));
}

void write_text(const fs::path& folder) {
  const std::vector<std::string> texts = {"a red house by the sea", "a green tree under the sun", "the sea at night", "a red tree and a green house at the sea"};
  learn_vocabulary(texts, 40, folder / "tokenizer");
  const int64_t vocabulary = Tokenizer::from_folder(folder / "tokenizer")->vocabulary_size();
  const Json config = {{"architectures", {"CLIPTextModel"}}, {"model_type", "clip_text_model"}, {"vocab_size", vocabulary}, {"hidden_size", 32},
                       {"num_hidden_layers", 2}, {"num_attention_heads", 4}, {"intermediate_size", 64}, {"max_position_embeddings", 77},
                       {"hidden_act", "quick_gelu"}, {"layer_norm_eps", 1e-5}, {"eos_token_id", vocabulary - 1}, {"projection_dim", 32}};
  write_component<TextEncoder, TextEncoderConfig>(folder / "text_encoder", config, 8, "model.safetensors");
}

void write_model(const std::string& name, const fs::path& folder) {
  if (name == "controlnet" || name == "controlnet-2") {
    write_component<ControlNet, ControlNetConfig>(folder, kControlNet, name == "controlnet" ? 3 : 6);
    return;
  }
  const bool xl = name == "xl";
  Json unet = xl ? kXlUNet : kUNet;
  if (name == "inpainting") unet["in_channels"] = 9;
  write_component<UNet, UNetConfig>(folder / "unet", unet, xl ? 5 : name == "inpainting" ? 4 : 1);
  write_component<Vae, VaeConfig>(folder / "vae", kVae, 2);
  Json index = {{"_class_name", xl ? "StableDiffusionXLPipeline" : "StableDiffusionPipeline"},
                {"unet", {"diffusers", "UNet2DConditionModel"}},
                {"vae", {"diffusers", "AutoencoderKL"}},
                {"scheduler", {"diffusers", xl ? "EulerDiscreteScheduler" : "DDIMScheduler"}}};
  fs::create_directories(folder / "scheduler");
  write_file_atomically(folder / "scheduler" / "scheduler_config.json", (xl ? kXlScheduler : kScheduler).dump());
  if (name == "sd") {
    write_text(folder);
    index["text_encoder"] = {"transformers", "CLIPTextModel"};
    index["tokenizer"] = {"transformers", "CLIPTokenizer"};
  }
  write_file_atomically(folder / "model_index.json", index.dump());
}

}  // namespace

const fs::path& test_folder() {
  static const TestFolder folder;
  return folder.path;
}

fs::path seeded_model(const std::string& name) {
  const fs::path folder = test_folder() / name;
  if (!fs::exists(folder)) write_model(name, folder);
  return folder;
}

DiffusionModel& shared_model(const std::string& name) {
  static std::map<std::string, std::unique_ptr<DiffusionModel>> models;
  auto& model = models[name];
  if (!model) model = std::make_unique<DiffusionModel>(seeded_model(name), at::kCPU, at::kFloat);
  return *model;
}

std::string pipeline_fixture(const std::string& name) { return std::string(ATTELIER_SOURCE_DIR) + "/tests/parity/fixtures/pipelines/" + name; }

const std::map<std::string, at::Tensor>& fixture_tensors(const std::string& file) {
  static std::map<std::string, std::map<std::string, at::Tensor>> files;
  auto& tensors = files[file];
  if (tensors.empty()) tensors = read_all(*open_tensors(pipeline_fixture(file)));
  return tensors;
}

MethodRun run_method(const std::string& name, DiffusionModel& model, const Json& given, const Inputs& inputs, Context context, AttentionWatch* watch) {
  const Method* method = find_method(name);
  EXPECT_NE(method, nullptr);
  std::vector<Problem> problems;
  Trace trace;
  MethodJob job{resolve_parameters(method->parameters, given, "/params", problems), inputs, &model, &trace, {}, watch};
  for (const Problem& problem : problems) ADD_FAILURE() << problem.pointer << " " << problem.message;
  MethodRun run;
  context.progress = [&](const Progress& progress) { ++run.progress[std::string(progress.stage)]; };
  context.log = [&](LogLevel level, const std::string& text) {
    if (level == LogLevel::kWarning) run.warnings.push_back(text);
  };
  method->run(job, context, [&](MethodOutput output) { run.outputs.push_back(std::move(output)); });
  for (const auto& [tensor_name, tensor] : trace.tensors()) EXPECT_TRUE(run.trace.emplace(tensor_name, tensor).second) << tensor_name << " was traced twice";
  return run;
}

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) {
    ADD_FAILURE() << "shapes differ: [" << fmt::format("{}", fmt::join(a.sizes(), ", ")) << "] and [" << fmt::format("{}", fmt::join(b.sizes(), ", ")) << "]";
    return 1;
  }
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

}  // namespace attelier
