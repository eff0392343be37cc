// `attelier forward` and the components behind it, on the models of tests/parity/model_fixtures.py.
#include "app/cli/console.h"
#include "app/session/components.h"
#include "tests/core/models/models_testing.h"
#include "tests/core/weights/weights_testing.h"

namespace attelier {
namespace {

struct ComponentCase {
  const char *component, *model, *title;
};
void PrintTo(const ComponentCase& run, std::ostream* out) { *out << run.component << " on " << run.model << " " << run.title; }

ComponentCall call_of(const ComponentCase& run) {
  ComponentCall call;
  call.model = fixture_folder(run.model);
  call.inputs = FixtureCase(run.model, run.title).in;
  return call;
}

class Components : public ::testing::TestWithParam<ComponentCase> {};

TEST_P(Components, EqualTheLibraries) {
  const FixtureCase fixture(GetParam().model, GetParam().title);
  const NamedTensors outputs = run_component(find_component(GetParam().component), call_of(GetParam()));
  ASSERT_EQ(outputs.size(), fixture.out.size());
  for (const auto& [name, tensor] : outputs) {
    ASSERT_TRUE(fixture.out.contains(name)) << name;
    EXPECT_EQ(tensor.scalar_type(), at::kFloat);
    EXPECT_TRUE(close(tensor, fixture.out.at(name))) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Components,
                         ::testing::Values(ComponentCase{"unet", "unet_sd1", "residuals"}, ComponentCase{"unet", "unet_xl", "odd_size"}, ComponentCase{"unet", "unet_inpaint", "guidance_embedding"},
                                           ComponentCase{"controlnet", "controlnet_sd1", "plain"}, ComponentCase{"controlnet", "controlnet_xl", "plain"},
                                           ComponentCase{"text_encoder", "text_quick_gelu", "plain"}, ComponentCase{"text_encoder", "text_quick_gelu", "masked"},
                                           ComponentCase{"text_encoder_2", "text_gelu_projection", "plain"}, ComponentCase{"vae_encoder", "vae_4", "encode"}, ComponentCase{"vae_decoder", "vae_4", "decode"},
                                           ComponentCase{"vae_encoder", "vae_8", "encode"}, ComponentCase{"vae_decoder", "vae_8", "decode"}));

TEST(ComponentInputs, FloatsOfAnyWidthGiveFloat32) {
  const ComponentCase run{"vae_decoder", "vae_4", "decode"};
  ComponentCall call = call_of(run);
  call.inputs["latent"] = call.inputs["latent"].to(at::kDouble);
  EXPECT_TRUE(close(run_component(find_component("vae_decoder"), call)[0].second, FixtureCase(run.model, run.title).out.at("sample")));
  call.dtype = at::kBFloat16;
  const at::Tensor half = run_component(find_component("vae_decoder"), call)[0].second;
  EXPECT_EQ(half.scalar_type(), at::kFloat);
  EXPECT_TRUE(close(half, FixtureCase(run.model, run.title).out.at("sample"), 0.1));
}

TEST(ComponentInputs, AllComplaintsComeTogether) {
  ComponentCall call = call_of({"unet", "unet_sd1", "even"});
  call.inputs.erase("timestep");
  call.inputs["sampel"] = at::zeros({1});
  call.inputs["encoder_hidden_states"] = at::zeros({3, 7, 12});
  call.inputs["time_ids"] = at::zeros({2, 5});
  call.inputs["mid_block_additional_residual"] = at::ones({2, 16, 2, 2}, at::kLong);
  call.inputs["down_block_additional_residuals.1"] = at::full({2, 8, 8, 8}, std::nan(""));
  const std::string message = message_of(ExitCode::kBadInput, [&] { run_component(find_component("unet"), call); });
  EXPECT_TRUE(contains(message, "timestep [1 or B] is missing"));
  EXPECT_TRUE(contains(message, "sampel is superfluous (did you mean sample?)"));
  EXPECT_TRUE(contains(message, "[B = "));
  EXPECT_TRUE(contains(message, "time_ids has the shape [2, 5]"));
  EXPECT_TRUE(contains(message, "mid_block_additional_residual has the dtype Long, a float dtype is needed"));
  EXPECT_TRUE(contains(message, "down_block_additional_residuals.1 holds NaN or Inf"));
  EXPECT_TRUE(contains(message, "down_block_additional_residuals.0 is missing"));
}

TEST(ComponentInputs, UnknownComponentsAreNamedWithTheNearest) {
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [] { find_component("vae_decodr"); }), "did you mean \"vae_decoder\"?"));
}

TEST(ComponentInputs, AComponentThatTheModelLacksIsTheModelsFault) {
  ComponentCall call = call_of({"vae_decoder", "vae_4", "decode"});
  call.model = fixture_folder("unet_sd1");
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { run_component(find_component("vae_decoder"), call); }), "has no vae; it has unet"));
}

TEST(SchedulerComponent, RunsEveryStepOnGivenOutputs) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "scheduler");
  folder.write("model_index.json", R"({"_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "DDIMScheduler"]})");
  folder.write("scheduler/scheduler_config.json", R"({"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
                                                      "clip_sample": false, "set_alpha_to_one": false, "steps_offset": 1})");
  ComponentCall call;
  call.model = folder.path();
  call.inputs["num_inference_steps"] = at::tensor({int64_t{4}});
  call.inputs["sample"] = at::randn({2, 4, 3, 3}, make_generator(1));
  call.inputs["model_output"] = at::randn({4, 2, 4, 3, 3}, make_generator(2));
  for (const char* name : {"scheduler", "inverse_scheduler"}) {
    std::map<std::string, at::Tensor> outputs;
    for (const auto& [key, tensor] : run_component(find_component(name), call)) outputs[key] = tensor;
    const bool inverse = std::string_view(name) == "inverse_scheduler";
    EXPECT_TRUE(outputs.at("timesteps").equal(inverse ? at::tensor({1.f, 251.f, 501.f, 751.f}) : at::tensor({751.f, 501.f, 251.f, 1.f}))) << name;
    EXPECT_EQ(outputs.at("prev_sample").sizes(), call.inputs["model_output"].sizes());
    EXPECT_TRUE(outputs.at("model_input")[0].equal(call.inputs["sample"]));
    EXPECT_TRUE(outputs.at("model_input")[1].equal(outputs.at("prev_sample")[0]));
    EXPECT_TRUE(outputs.at("init_noise_sigma").equal(at::ones({1})));
  }
  call.inputs["model_output"] = call.inputs["model_output"].narrow(0, 0, 3);
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run_component(find_component("scheduler"), call); }), "4 entries are needed"));
}

class ForwardVerb : public ::testing::Test {
 protected:
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"attelier", "forward"});
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    return run_command_line(static_cast<int>(pointers.size()), pointers.data());
  }
  /// Arguments of a run on the tiny autoencoder; `inputs` are written first.
  std::vector<std::string> decode(const NamedTensors& inputs, std::vector<std::string> more = {}) {
    write_safetensors(folder_ / "in.safetensors", inputs);
    std::vector<std::string> arguments = {"--model",  fixture_folder("vae_4").string(), "--component", "vae_decoder", "--inputs", (folder_ / "in.safetensors").string(), "--outputs",
                                          out_.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  TemporaryFolder folder_;
  std::filesystem::path out_ = folder_ / "out.safetensors";
  at::Tensor latent_ = FixtureCase("vae_4", "decode").input("latent");
};

TEST_F(ForwardVerb, WritesTheOutputs) {
  ASSERT_EQ(run(decode({{"latent", latent_}})), 0);
  EXPECT_TRUE(close(open_tensors(out_)->read("sample"), FixtureCase("vae_4", "decode").out.at("sample")));
}

TEST_F(ForwardVerb, RecordsAttentionSites) {
  folder_.write("record.json", R"({"mid_block.attentions.0": {"tensors": ["q", "o"]}})");
  ASSERT_EQ(run(decode({{"latent", latent_}}, {"--record", (folder_ / "record.json").string()})), 0);
  const auto outputs = open_tensors(out_);
  EXPECT_EQ(outputs->tensors().size(), 3u);
  EXPECT_EQ(outputs->read("record.0.mid_block.attentions.0.q").sizes(), at::IntArrayRef({2, 1, 24, 16}));
  EXPECT_TRUE(close(outputs->read("sample"), FixtureCase("vae_4", "decode").out.at("sample")));
}

TEST_F(ForwardVerb, ControlsAttentionSites) {
  folder_.write("controls.json", R"({"mid_block.attentions.0": {"temperature": 100}})");
  ASSERT_EQ(run(decode({{"latent", latent_}}, {"--controls", (folder_ / "controls.json").string()})), 0);
  EXPECT_FALSE(close(open_tensors(out_)->read("sample"), FixtureCase("vae_4", "decode").out.at("sample"), 1e-4));
  std::filesystem::remove(out_);
  folder_.write("controls.json", R"({"up_blocks.0": {"temperature": 2}})");
  EXPECT_EQ(run(decode({{"latent", latent_}}, {"--controls", (folder_ / "controls.json").string()})), 3);
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(ForwardVerb, ErrorsHaveTheirCodesAndWriteNothing) {
  at::Tensor broken = latent_.clone();
  broken[0][0][0][0] = std::nan("");
  const auto expect = [&](int code, const std::vector<std::string>& arguments) {
    EXPECT_EQ(run(arguments), code) << fmt::format("{}", fmt::join(arguments, " "));
    EXPECT_FALSE(std::filesystem::exists(out_));
  };
  expect(3, decode({}));
  expect(3, decode({{"latent", latent_}, {"extra", latent_}}));
  expect(3, decode({{"latent", latent_.flatten()}}));
  expect(3, decode({{"latent", latent_.narrow(1, 0, 3)}}));
  expect(3, decode({{"latent", latent_.to(at::kLong)}}));
  expect(3, decode({{"latent", broken}}));
  expect(6, decode({{"latent", latent_ * 1e38}}));
  expect(2, decode({{"latent", latent_}}, {"--dtype", "float7"}));
  expect(2, decode({{"latent", latent_}}, {"--device", "tpu"}));
  expect(2, decode({{"latent", latent_}}, {"--colour", "red"}));
  std::vector<std::string> arguments = decode({{"latent", latent_}});
  arguments[3] = "vae";
  expect(3, arguments);
  arguments = decode({{"latent", latent_}});
  arguments[1] = (folder_ / "nothing").string();
  expect(4, arguments);
  arguments = decode({{"latent", latent_}});
  arguments[5] = (folder_ / "nothing.safetensors").string();
  expect(3, arguments);
  folder_.write("in.safetensors", "no tensors here");
  arguments[5] = (folder_ / "in.safetensors").string();
  expect(3, arguments);
}

}  // namespace
}  // namespace attelier
