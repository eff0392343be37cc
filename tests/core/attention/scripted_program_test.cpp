// Controls and records by site, from JSON.
#include "core/attention/scripted_program.h"

#include "tests/core/attention/program_testing.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

ScriptedProgram scripted(const char* controls, const char* record = "null", const TensorTable& tensors = {}, int64_t limit = 1 << 20) {
  return ScriptedProgram(Json::parse(controls), Json::parse(record), tensors, limit);
}

TEST(ScriptedProgram, ControlsTheSitesThatItNames) {
  at::manual_seed(7);
  const Tensors t;
  const at::Tensor plain = kernels::plain_attention(t.q, t.k, t.v);
  const auto changes = [&](const char* site, const AttentionSite& at, int64_t step = 0) {
    ScriptedProgram program = scripted((std::string("{\"") + site + "\": {\"temperature\": 2, \"steps\": [0, 3]}}").c_str());
    return !at::equal(t.attend(&program, at, step), plain);
  };
  const AttentionSite site = test_site();
  EXPECT_TRUE(changes("up_blocks.1.attentions.0.transformer_blocks.0.attn1", site));
  EXPECT_TRUE(changes("up_blocks.*.attn1", site));
  EXPECT_TRUE(changes("*", site));
  EXPECT_TRUE(changes("14", site));
  EXPECT_TRUE(changes("unet:*attn1", site));
  EXPECT_TRUE(changes("*", site, 3));
  EXPECT_FALSE(changes("*", site, 1));
  EXPECT_FALSE(changes("controlnet:*", site));
  EXPECT_FALSE(changes("up_blocks.*.attn2", site));
  EXPECT_FALSE(changes("1", site));
  EXPECT_FALSE(changes("up_blocks.1.attentions.0", site));
}

TEST(ScriptedProgram, RecordsTensorsAndProbes) {
  at::manual_seed(8);
  const Tensors t;
  ScriptedProgram program = scripted(R"({"14": {"probes": [{"kind": "col_sum"}]}})",
                                     R"({"*attn1": {"tensors": ["q", "o"], "probes": [{"kind": "topk", "rows": [1], "k": 2}], "steps": [5]}, "*attn2": {"tensors": ["k"]}})");
  const at::Tensor o = t.attend(&program, test_site(), 5);
  EXPECT_TRUE(at::equal(o, kernels::plain_attention(t.q, t.k, t.v)));
  const auto found = program.record().tensors();
  const std::string base = "record.5.up_blocks.1.attentions.0.transformer_blocks.0.attn1.";
  ASSERT_EQ(found.size(), 5U);
  EXPECT_TRUE(at::equal(found.at(base + "q"), t.q));
  EXPECT_TRUE(at::equal(found.at(base + "o"), o));
  EXPECT_EQ(found.at(base + "probe.0").sizes(), (std::vector<int64_t>{kBatches, kHeads, kKeys}));
  EXPECT_EQ(found.at(base + "probe.1").sizes(), (std::vector<int64_t>{kBatches, kHeads, 1, 2}));
  EXPECT_EQ(found.at(base + "probe.1.index").scalar_type(), at::kLong);
  EXPECT_EQ(program.record().captures().back().rows, (std::vector<int64_t>{1}));
  EXPECT_EQ(program.record().captures().back().site.index, 14);
  EXPECT_EQ(program.unused_sites(), (std::vector<std::string>{"*attn2"}));
}

TEST(ScriptedProgram, RecordingInputsAloneLeavesTheCallPlain) {
  const Tensors t;
  ScriptedProgram program = scripted("null", R"({"*": {"tensors": ["q", "k", "v"]}})");
  const AttentionSite site = test_site();
  EXPECT_FALSE(program.control({site, 0, 0, {}, 0, 0, t.q, t.k, t.v}).has_value());
  EXPECT_EQ(program.record().captures().size(), 3U);
}

TEST(ScriptedProgram, TensorsComeFromTheNamedFile) {
  EXPECT_EQ(ScriptedProgram::tensor_file(Json::parse(R"({"tensors": "extra.safetensors"})")), "extra.safetensors");
  EXPECT_EQ(ScriptedProgram::tensor_file(nullptr), "");
  at::manual_seed(9);
  const Tensors t;
  // In half precision too, whatever the file holds.
  Tensors half = t;
  half.q = t.q.to(at::kBFloat16), half.k = t.k.to(at::kBFloat16), half.v = t.v.to(at::kBFloat16);
  ScriptedProgram program = scripted(R"({"tensors": "x", "*": {"sources": [{"k": "a", "v": "b"}]}})", "null", {{"a", at::randn(t.k.sizes())}, {"b", at::zeros(t.v.sizes())}});
  EXPECT_EQ(t.attend(&program).abs().max().item<float>(), 0);
  EXPECT_EQ(half.attend(&program).abs().max().item<float>(), 0);
}

TEST(ScriptedProgram, RefusalsNameTheirPointer) {
  const auto refusal = [](const char* controls, const char* record) { return refusal_of([&] { scripted(controls, record); }); };
  EXPECT_TRUE(contains(refusal("[]", "null"), "must be an object"));
  EXPECT_TRUE(refusal(R"({"tensors": 3})", "null").starts_with("/tensors:"));
  EXPECT_TRUE(refusal(R"({"attn1": 3})", "null").starts_with("/attn1:"));
  EXPECT_TRUE(refusal(R"({"a/b": {"scale": "x"}})", "null").starts_with("/a~1b/scale:"));
  EXPECT_TRUE(refusal(R"({"attn1": {"steps": 3}})", "null").starts_with("/attn1/steps:"));
  EXPECT_TRUE(refusal("null", R"({"attn1": {"tensors": ["w"]}})").starts_with("/attn1/tensors:"));
  EXPECT_TRUE(refusal("null", R"({"attn1": {"scale": 1}})").starts_with("/attn1/scale:"));
  EXPECT_TRUE(contains(refusal("null", R"({"attn1": {}})"), "asks for nothing"));

  const Tensors t;
  const auto at_call = [&](const char* controls, const char* record, int64_t limit = 1 << 20) {
    return refusal_of([&] {
      ScriptedProgram program = scripted(controls, record, {}, limit);
      t.attend(&program);
    });
  };
  EXPECT_TRUE(contains(at_call(R"({"*": {"scale": 1}, "14": {"scale": 1}})", "null"), "both control the site"));
  EXPECT_TRUE(at_call(R"({"*": {"temperature": [1, 1]}})", "null").starts_with("/*/temperature:"));
  EXPECT_TRUE(contains(at_call("null", R"({"*": {"probes": [{"kind": "map"}]}})", 100), "more than the limit of 100"));
}

}  // namespace
}  // namespace attelier
