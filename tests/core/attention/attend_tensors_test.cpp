// What `attelier attend` computes from named tensors.
#include "core/attention/attend_tensors.h"

#include "tests/core/attention/program_testing.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

TensorTable inputs(at::ScalarType type = at::kFloat) {
  at::manual_seed(6);
  return {{"q", at::randn({kBatches, kHeads, kRows, kWidth}).to(type)},
          {"k", at::randn({kBatches, kHeads, kKeys, kWidth}).to(type)},
          {"v", at::randn({kBatches, kHeads, kKeys, kWidth}).to(type)}};
}

/// The example of the description of controls: two sources, style tokens favoured, the content's queries blended in, one column sum.
const char* kExample = R"({"temperature": 1.5, "q_blend": {"q2": "q_content", "gamma": 0.75},
  "sources": [{"k": "k", "v": "v"}, {"k": "k.1", "v": "v.1", "log_weight": 0.6931472, "key_bias": "bias.1"}], "combine": "concat",
  "probes": [{"kind": "col_sum", "when": "post", "reduce_heads": "mean"}, {"kind": "topk", "k": 2}]})";

TensorTable example_inputs(at::ScalarType type) {
  TensorTable table = inputs(type);
  table["q_content"] = at::randn({kBatches, kHeads, kRows, kWidth}).to(type);
  table["k.1"] = at::randn({kBatches, kHeads, 4, kWidth}).to(type);
  table["v.1"] = at::randn({kBatches, kHeads, 4, kWidth}).to(type);
  table["bias.1"] = at::randn({1, 1, 4});
  return table;
}

TEST(AttendTensors, FastAndReferenceAgreeOnTheExample) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const TensorTable table = example_inputs(type);
    const TensorTable fast = attend_tensors(table, Json::parse(kExample)), exact = attend_tensors(table, Json::parse(kExample), {.reference = true});
    ASSERT_EQ(fast.size(), 5U);
    for (const auto& [name, value] : exact) {
      ASSERT_TRUE(fast.contains(name)) << name;
      EXPECT_EQ(value.scalar_type(), name == "probe.1.index" ? at::kLong : at::kFloat) << name;
      const double tolerance = name == "o" && type == at::kBFloat16 ? 1e-2 : 1e-5;
      EXPECT_TRUE(at::allclose(fast.at(name).to(at::kFloat), value.to(at::kFloat), tolerance, tolerance)) << name;
    }
    EXPECT_EQ(exact.at("probe.0").sizes(), (std::vector<int64_t>{kBatches, kKeys + 4}));
  }
}

TEST(AttendTensors, LseIsThereOnEveryPath) {
  const TensorTable table = inputs();
  const at::Tensor expected = at::logsumexp(at::matmul(table.at("q"), table.at("k").transpose(2, 3)) / std::sqrt(8.0), -1);
  for (const char* control : {"{}", R"({"temperature": 1.0})", R"({"sources": [{}], "probes": [{"kind": "lse"}, {"kind": "lse"}, {"kind": "lse"}, {"kind": "lse"}]})"})
    EXPECT_TRUE(at::allclose(attend_tensors(table, Json::parse(control)).at("lse"), expected, 1e-5, 1e-5)) << control;
}

TEST(AttendTensors, NamesAreChecked) {
  TensorTable table = inputs();
  table.erase("v");
  EXPECT_TRUE(contains(refusal_of([&] { attend_tensors(table, Json::object()); }), "lack the tensor v"));
  table = inputs();
  table["k.1"] = table["k"];
  EXPECT_TRUE(contains(refusal_of([&] { attend_tensors(table, Json::object()); }), "hold k.1, which the control does not name"));
  table = inputs();
  table["q"] = table["q"].clone();
  table["q"][0][0][0][0] = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(contains(refusal_of([&] { attend_tensors(table, Json::object()); }), "tensor q holds NaN or Inf"));
  table = inputs();
  table["q"] = table["q"].to(at::kLong);
  EXPECT_TRUE(contains(refusal_of([&] { attend_tensors(table, Json::object()); }), "/q: has dtype"));
}

TEST(AttendTensors, MapsStayBelowTheLimit) {
  const Json control = Json::parse(R"({"probes": [{"kind": "map"}]})");
  const int64_t bytes = 4 * kBatches * kHeads * kRows * kKeys;
  EXPECT_EQ(attend_tensors(inputs(), control, {.maximum_capture_bytes = bytes}).at("probe.0").numel() * 4, bytes);
  EXPECT_TRUE(contains(refusal_of([&] { attend_tensors(inputs(), control, {.maximum_capture_bytes = bytes - 1}); }), "/probes/0"));
}

}  // namespace
}  // namespace attelier
