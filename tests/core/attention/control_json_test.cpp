// The JSON of controls: every field arrives, every refusal names its pointer.
#include "core/attention/control_json.h"

#include "tests/core/attention/program_testing.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

TensorTable tensors() {
  at::manual_seed(5);
  at::Tensor with_nan = at::ones({1, 1, kKeys});
  with_nan[0][0][2] = std::numeric_limits<double>::quiet_NaN();
  return {{"k", at::randn({kBatches, kHeads, kKeys, kWidth})},
          {"v", at::randn({kBatches, kHeads, kKeys, kWidth})},
          {"k.1", at::randn({kBatches, kHeads, 4, kWidth})},
          {"v.1", at::randn({kBatches, kHeads, 4, kWidth})},
          {"q2", at::randn({kBatches, kHeads, kRows, kWidth})},
          {"rows", at::rand({1, kRows}, at::kDouble)},
          {"bias", at::randn({1, 1, kKeys}).to(at::kBFloat16)},
          {"gain", at::rand({1, kHeads, kKeys})},
          {"negative", -at::rand({1, kHeads, kKeys})},
          {"nan", with_nan},
          {"class", at::ones({1, kKeys}, at::kByte)},
          {"class4", at::full({1, kKeys}, 4, at::kByte)},
          {"log", at::randn({kBatches, 1})},
          {"pair", at::randn({1, kRows, kKeys})},
          {"weight", at::rand({1, kRows})}};
}

TEST(ControlJson, EveryFieldArrives) {
  const TensorTable table = tensors();
  const auto parse = [&](const char* text) { return parse_attention_control(Json::parse(text), table); };
  const kernels::AttentionControl c = parse(R"({
    "scale": 0.2, "temperature": [1, 2, 0.5], "q_blend": {"q2": "q2", "gamma": 0.75, "rows": "rows"},
    "sources": [{}, {"k": "k.1", "v": "v.1", "batch_map": [-1, 0], "log_weight": 0.5}], "key_bias": "bias", "key_class": "class",
    "combine": "concat", "pair_bias": "pair", "causal": {"offset": -2},
    "redistribute": {"kind": "var", "keep": 0.4, "rho_nonsink": 0.3, "min_vis_mass": 0.1, "eps": 1e-5, "row_from": 3, "heads": [0, 2]},
    "probes": [{"kind": "topk", "when": "pre", "heads": [1], "reduce_heads": "mean", "rows": [0, 1], "k": 3}, {"kind": "keys", "keys": [4]},
               {"kind": "col_sum", "row_weight": "weight"}]})");
  EXPECT_EQ(c.scale, 0.2);
  EXPECT_EQ(c.temperature, (std::vector<double>{1, 2, 0.5}));
  EXPECT_EQ(c.q_blend->gamma, 0.75);
  EXPECT_EQ(c.q_blend->rows.scalar_type(), at::kFloat);
  ASSERT_EQ(c.sources.size(), 2U);
  EXPECT_TRUE(at::equal(c.sources[0].key_bias, table.at("bias").to(at::kFloat)));
  EXPECT_EQ(c.sources[0].key_class.scalar_type(), at::kByte);
  EXPECT_EQ(c.sources[1].batch_map, (std::vector<int64_t>{-1, 0}));
  EXPECT_EQ(c.sources[1].log_weight, 0.5);
  EXPECT_TRUE(c.pair_bias.defined());
  EXPECT_EQ(c.causal->offset, -2);
  EXPECT_EQ(c.visual->keep, 0.4);
  EXPECT_EQ(c.visual->rho_nonsink, 0.3);
  EXPECT_EQ(c.visual->min_vis_mass, 0.1);
  EXPECT_EQ(c.visual->eps, 1e-5);
  EXPECT_EQ(c.visual->row_from, 3);
  EXPECT_EQ(c.visual->heads, (std::vector<int64_t>{0, 2}));
  ASSERT_EQ(c.probes.size(), 3U);
  EXPECT_EQ(c.probes[0].kind, kernels::ProbeKind::kTopk);
  EXPECT_EQ(c.probes[0].when, kernels::ProbeWhen::kPre);
  EXPECT_EQ(c.probes[0].reduce_heads, kernels::ReduceHeads::kMean);
  EXPECT_EQ(c.probes[0].k, 3);
  EXPECT_EQ(c.probes[1].keys, (std::vector<int64_t>{4}));
  EXPECT_EQ(c.probes[1].when, kernels::ProbeWhen::kPost);
  EXPECT_TRUE(c.probes[2].row_weight.defined());

  const kernels::AttentionControl blend = parse(R"({"temperature": 1.5, "sources": [{"k": "k", "v": "v", "log_weight": "log"}, {"k": "k.1", "v": "v.1"}],
    "combine": "blend", "blend_weight": [0.25, 0.75], "key_gain": "gain", "renorm": true})");
  EXPECT_EQ(blend.combine, kernels::Combine::kBlend);
  EXPECT_EQ(blend.blend_weight, (std::vector<double>{0.25, 0.75}));
  EXPECT_TRUE(blend.renorm);
  EXPECT_TRUE(blend.sources[0].log_weight_rows.defined());
  EXPECT_TRUE(blend.sources[0].key_gain.defined());
  EXPECT_EQ(parse(R"({"combine": "blend", "blend_weight": ["weight"]})").blend_weight_map.size(), 1U);
  const kernels::AttentionControl gains = parse(R"({"redistribute": {"kind": "table", "gain": [[1, 2, 3, 4]]}})");
  EXPECT_EQ(gains.class_table->gain, (std::vector<std::array<double, 4>>{{1, 2, 3, 4}}));
  EXPECT_TRUE(kernels::is_plain(parse("{}")));
  EXPECT_EQ(parse(R"({"causal": {}})").causal->offset, 0);
}

struct Refusal {
  const char *json, *pointer, *message;
};

TEST(ControlJson, EveryRefusalNamesItsPointer) {
  const TensorTable table = tensors();
  const at::Tensor q = at::randn({kBatches, kHeads, kRows, kWidth});
  const std::vector<Refusal> refusals = {
      {R"([])", "/:", "must be an object"},
      {R"({"temprature": 1})", "/temprature:", "did you mean \"temperature\"?"},
      {R"({"sources": [{"q": "k"}]})", "/sources/0/q:", "no known field"},
      {R"({"probes": [{"kind": "lse", "head": [0]}]})", "/probes/0/head:", "did you mean \"heads\"?"},
      {R"({"q_blend": {"q2": "q2", "gamma": 1, "alpha": 2}})", "/q_blend/alpha:", "no known field"},
      {R"({"causal": {"ofset": 1}})", "/causal/ofset:", "did you mean \"offset\"?"},
      {R"({"redistribute": {"kind": "table", "gain": [[1,1,1,2]], "keep": 1}})", "/redistribute/keep:", "no known field"},
      {R"({"redistribute": {"kind": "var", "gain": [[1,1,1,2]]}})", "/redistribute/gain:", "no known field"},
      {R"({"key_bias": "bia"})", "/key_bias:", "did you mean \"bias\"?"},
      {R"({"key_bias": 3})", "/key_bias:", "name of a tensor"},
      {R"({"sources": [{"k": "k", "v": "v"}, {"k": "k.7", "v": "v.1"}]})", "/sources/1/k:", "does not hold"},
      {R"({"scale": "1"})", "/scale:", "must be a number"},
      {R"({"scale": true})", "/scale:", "must be a number"},
      {R"({"temperature": [1, "2"]})", "/temperature/1:", "must be a number"},
      {R"({"renorm": 1})", "/renorm:", "true or false"},
      {R"({"combine": "CONCAT"})", "/combine:", "allowed are \"concat\", \"blend\""},
      {R"({"causal": {"offset": 1.5}})", "/causal/offset:", "must be an integer"},
      {R"({"causal": {"offset": 18446744073709551615}})", "/causal/offset:", "must be an integer"},
      {R"({"causal": true})", "/causal:", "must be an object"},
      {R"({"sources": {}})", "/sources:", "must be an array"},
      {R"({"sources": []})", "/sources:", "is empty"},
      {R"({"redistribute": {}})", "/redistribute/kind:", "missing"},
      {R"({"redistribute": {"kind": "VAR"}})", "/redistribute/kind:", "allowed are"},
      {R"({"redistribute": {"kind": "table"}})", "/redistribute/gain:", "missing"},
      {R"({"redistribute": {"kind": "table", "gain": [[1, 1, 1]]}})", "/redistribute/gain/0:", "needs one per class"},
      {R"({"redistribute": {"kind": "table", "gain": []}})", "/redistribute/gain:", "0 rows"},
      {R"({"probes": [{"when": "pre"}]})", "/probes/0/kind:", "missing"},
      {R"({"probes": [{"kind": "LSE"}]})", "/probes/0/kind:", "\"lse\""},
      {R"({"probes": [{"kind": "lse", "when": "after"}]})", "/probes/0/when:", "\"pre\", \"post\""},
      {R"({"probes": [{"kind": "lse", "reduce_heads": "max"}]})", "/probes/0/reduce_heads:", "\"mean\""},
      {R"({"probes": [{"kind": "lse", "k": 2}]})", "/probes/0/k:", "topk"},
      {R"({"probes": [{"kind": "rows", "rows": []}]})", "/probes/0/rows:", "empty"},
      {R"({"probes": [{"kind": "keys", "keys": []}]})", "/probes/0/keys:", "empty"},
      {R"({"probes": [{"kind": "rows", "heads": []}]})", "/probes/0/heads:", "empty"},
      {R"({"redistribute": {"kind": "var", "heads": []}})", "/redistribute/heads:", "empty"},
      {R"({"q_blend": {"gamma": 0.5}})", "/q_blend/q2:", "missing"},
      {R"({"q_blend": {"q2": "q2"}})", "/q_blend/gamma:", "missing"},
      {R"({"sources": [{"key_bias": "bias"}], "key_bias": "bias"})", "/key_bias:", "give it once"},
      {R"({"combine": "blend", "sources": [{}, {}], "blend_weight": [1, "weight"]})", "/blend_weight/0:", "tensors only"},
      // What needs the shapes of the call.
      {R"({"sources": [{}, {}, {}, {}, {}]})", "/sources:", "at most 4"},
      {R"({"probes": [{"kind": "lse"}, {"kind": "lse"}, {"kind": "lse"}, {"kind": "lse"}, {"kind": "lse"}]})", "/probes:", "at most 4"},
      {R"({"redistribute": {"kind": "var"}, "combine": "blend", "blend_weight": [1]})", "/redistribute:", "blend"},
      {R"({"redistribute": {"kind": "table", "gain": [[1,1,1,2]]}, "renorm": true})", "/redistribute:", "renorm"},
      {R"({"key_gain": "negative", "renorm": true})", "/key_gain:", "negative"},
      {R"({"sources": [{"key_gain": "negative"}], "renorm": true})", "/sources/0/key_gain:", "negative"},
      {R"({"pair_bias": "gain"})", "/pair_bias:", "broadcast"},
      {R"({"key_bias": "pair"})", "/key_bias:", "broadcast"},
      {R"({"key_bias": "nan"})", "/key_bias:", "NaN"},
      {R"({"sources": [{"key_scale": "nan"}]})", "/sources/0/key_scale:", "NaN"},
      {R"({"q_blend": {"q2": "q2", "gamma": 1.01}})", "/q_blend/gamma:", "[0, 1]"},
      {R"({"q_blend": {"q2": "q2", "gamma": -0.1}})", "/q_blend/gamma:", "[0, 1]"},
      {R"({"temperature": 0})", "/temperature:", "> 0"},
      {R"({"temperature": [1, -1, 1]})", "/temperature/1:", "> 0"},
      {R"({"temperature": [1, 1]})", "/temperature:", "one per head"},
      {R"({"key_class": "class4"})", "/key_class:", "above 3"},
      {R"({"key_class": "bias"})", "/key_class:", "uint8"},
      {R"({"sources": [{"batch_map": [0, 2]}]})", "/sources/0/batch_map/1:", "allowed are"},
      {R"({"sources": [{"k": "k"}]})", "/sources/0/v:", "missing"},
      {R"({"combine": "blend"})", "/blend_weight:", "one per source"},
      {R"({"blend_weight": [1]})", "/blend_weight:", "only with combine"},
      {R"({"probes": [{"kind": "topk", "k": 6}]})", "/probes/0/k:", "1 to 5"},
      {R"({"probes": [{"kind": "rows", "rows": [7]}]})", "/probes/0/rows/0:", "7 rows"},
  };
  for (const Refusal& r : refusals) {
    const Json json = Json::parse(r.json);
    const std::string message = refusal_of([&] {
      const kernels::AttentionControl control = parse_attention_control(json, table);
      check_attention_control(json, control, q, table.at("k"), table.at("v"));
    });
    EXPECT_TRUE(message.starts_with(r.pointer)) << r.json << " gave " << message;
    EXPECT_TRUE(contains(message, r.message)) << r.json;
  }
}

TEST(ControlJson, ABaseComesBeforeThePointer) {
  EXPECT_TRUE(refusal_of([] { parse_attention_control(Json::parse(R"({"scale": "x"})"), {}, "/attn1"); }).starts_with("/attn1/scale:"));
}

TEST(ControlJson, MatchedToConvertsOnlyQueriesKeysAndValues) {
  const TensorTable table = tensors();
  const kernels::AttentionControl c = matched_to(
      parse_attention_control(Json::parse(R"({"sources": [{"k": "k", "v": "v", "key_bias": "bias"}], "q_blend": {"q2": "q2", "gamma": 1}})"), table), at::ones({1}, at::kBFloat16));
  EXPECT_EQ(c.sources[0].k.scalar_type(), at::kBFloat16);
  EXPECT_EQ(c.q_blend->q2.scalar_type(), at::kBFloat16);
  EXPECT_EQ(c.sources[0].key_bias.scalar_type(), at::kFloat);
}

}  // namespace
}  // namespace attelier
