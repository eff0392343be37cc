// attelier bench attend|controls: every control runs beside its baselines, and what cannot be compared is refused.
#include "app/session/attention_bench.h"

#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "app/session/map_subjects.h"
#include "core/base/error.h"

namespace attelier {
namespace {

AttentionBenchSettings small() {
  AttentionBenchSettings settings;
  settings.batch = settings.heads = 2;
  settings.queries = 33;
  settings.keys = 40;
  settings.width = 8;
  settings.repeat = 2;
  return settings;
}

ExitCode refusal(const AttentionBenchSettings& settings) {
  try {
    bench_attention(settings, {});
  } catch (const Error& error) {
    return error.code();
  }
  return ExitCode::kOk;
}

TEST(AttentionBench, EveryControlBesideTheEagerForm) {
  AttentionBenchSettings settings = small();
  settings.controls = attention_bench_controls();
  settings.baseline = "eager";
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    settings.dtype = dtype;
    const std::vector<AttentionBenchResult> results = bench_attention(settings, {});
    ASSERT_EQ(results.size(), settings.controls.size());
    for (const AttentionBenchResult& result : results) {
      EXPECT_EQ(result.ours.seconds.size(), 2u) << result.control;
      EXPECT_EQ(result.plain.has_value(), result.control != "plain");
      const nlohmann::json json = result.to_json(settings);
      EXPECT_GT(json.at("median_s").get<double>(), 0) << result.control;
      EXPECT_NEAR(json.at("ratio").get<double>(), result.baseline->median() / result.ours.median(), 1e-9);
      EXPECT_GT(json.at("roofline").get<double>(), 0);
      EXPECT_LT(json.at("roofline").get<double>(), 1.5) << "more than the processor can do";
      EXPECT_EQ(json.at("settings").at("shape"), nlohmann::json({2, 2, 33, 40, 8}));
    }
  }
}

TEST(AttentionBench, OperatorsOfMapsGiveWhatTheOfficialFormsGive) {
  const c10::InferenceMode inference;
  AttentionBenchSettings settings = small();
  settings.queries = 14 * 14;
  for (const auto& [name, keys] : {std::pair<const char*, int64_t>{"regions", 12}, {"windows", 49}, {"warp", 1}}) {
    settings.keys = keys;
    const BenchSubject subject = map_subject(name, settings);
    const at::Tensor o = subject.ours();
    EXPECT_LT((subject.eager() - o).abs().max().item<double>(), 1e-4) << name;
    EXPECT_LT((subject.torch() - o).abs().max().item<double>(), 1e-4) << name;
    settings.controls = {name};
    settings.baseline = "torch";
    EXPECT_GT(bench_attention(settings, {})[0].to_json(settings).at("ratio").get<double>(), 0);
  }
}

TEST(AttentionBench, WhatCannotBeComparedIsRefused) {
  AttentionBenchSettings settings = small();
  settings.controls = {"nonsense"};
  EXPECT_EQ(refusal(settings), ExitCode::kUsage);
  settings.controls = {"style"};
  settings.baseline = "torch";
  EXPECT_EQ(refusal(settings), ExitCode::kOk);
  settings.controls = {"var"};
  EXPECT_EQ(refusal(settings), ExitCode::kUsage);
  for (const char* name : {"regions", "windows", "warp"}) {
    settings.controls = {name};
    EXPECT_EQ(refusal(settings), ExitCode::kUsage) << "33 cells are no square";
  }
}

}  // namespace
}  // namespace attelier
