// Recorded attention and the maps that are computed from it.
#include "core/attention/attention_maps.h"

#include "core/attention/attention_edit.h"
#include "tests/core/attention/program_testing.h"

namespace attelier {
namespace {

constexpr int64_t kPlaces = 12;  // 3 rows of 4

/// Runs self- and cross-attention of one UNet with two layers for some steps.
class RecordedRun {
 public:
  explicit RecordedRun(int64_t steps = 3, std::shared_ptr<AttentionProgram> own = nullptr, int64_t budget = int64_t{1} << 30) : recorder(budget) {
    AttentionProgram* const program = recorder.over(std::move(own));
    for (int64_t step = 0; step < steps; ++step)
      for (int64_t layer = 0; layer < 2; ++layer) {
        call(program, step, "layer" + std::to_string(layer) + ".attn1", AttentionKind::kSelf, kPlaces);
        call(program, step, "layer" + std::to_string(layer) + ".attn2", AttentionKind::kCross, kKeys);
      }
  }

  AttentionRecorder recorder;
  std::vector<at::Tensor> q, k, o;  // of every call, the row with the prompt

  /// Weights of call `i`: f64 [H, places, keys].
  at::Tensor weights(size_t i) const { return at::softmax(at::matmul(q[i].to(at::kDouble), k[i].to(at::kDouble).transpose(1, 2)) / std::sqrt(static_cast<double>(kWidth)), 2); }

 private:
  void call(AttentionProgram* program, int64_t step, const std::string& path, AttentionKind kind, int64_t keys) {
    AttentionSite site = test_site(path);
    site.kind = kind;
    ForwardContext context;
    context.program = program;
    context.step = step;
    context.rows = {{Row::Branch::kUnconditional, 0}, {Row::Branch::kConditional, 0}};
    const auto random = [](int64_t length) { return at::randn({2, length, kHeads, kWidth}).transpose(1, 2); };
    q.push_back(random(kPlaces));
    k.push_back(random(keys));
    o.push_back(attelier::attend(site, q.back(), k.back(), random(keys), context, 3, 4)[1]);
    q.back() = q.back()[1];
    k.back() = k.back()[1];
  }
};

void expect_near(const at::Tensor& got, const at::Tensor& wanted, double tolerance = 2e-5) {
  ASSERT_EQ(got.sizes(), wanted.sizes());
  EXPECT_LT((got.to(at::kDouble) - wanted.to(at::kDouble)).abs().max().item<double>(), tolerance);
}

TEST(AttentionMaps, WordsAreAveragedOverSitesStepsAndHeads) {
  at::manual_seed(1);
  const RecordedRun run;
  const auto captures = run.recorder.captures();
  ASSERT_EQ(captures.size(), 12U);
  at::Tensor wanted = at::zeros({3, 4}, at::kDouble);
  for (size_t i = 1; i < 12; i += 2) wanted += (run.weights(i).select(2, 1) + run.weights(i).select(2, 4)).mean(0).view({3, 4}) / 6;
  expect_near(word_map(captures, {}, {1, 4}), wanted);
  // One layer, one step, one head.
  expect_near(word_map(captures, {"layer1.attn2", 2, 1}, {3}), run.weights(11)[1].select(1, 3).view({3, 4}));
  // Tokens that are no keys count nothing.
  expect_near(word_map(captures, {}, {1, 4, 99, -1}), wanted);
}

TEST(AttentionMaps, PlacesEntropyAndWhatPlacesGet) {
  at::manual_seed(2);
  const RecordedRun run(1);
  const auto captures = run.recorder.captures();
  const MapScope scope{"layer0.attn1", 0, {}};
  const at::Tensor p = run.weights(0);
  // (0.6, 0.5) is column 2 of 4, row 1 of 3: token 6.
  expect_near(place_map(captures, scope, 0.6, 0.5), p.select(1, 6).mean(0).view({3, 4}) * kPlaces, 1e-4);
  expect_near(received_map(captures, scope), p.mean(0).sum(0).view({3, 4}), 1e-4);
  EXPECT_NEAR(received_map(captures, scope).mean().item<double>(), 1, 1e-5);
  expect_near(entropy_map(captures, scope, AttentionKind::kSelf), (-p * p.log2()).sum(2).mean(0).view({3, 4}), 1e-4);
  const std::vector<double> shares = word_shares(captures, {"layer0.attn2", 0, {}}, 1, 1);
  ASSERT_EQ(shares.size(), static_cast<size_t>(kKeys));
  for (int64_t token = 0; token < kKeys; ++token)
    EXPECT_NEAR(shares[static_cast<size_t>(token)], run.weights(1).mean(0)[kPlaces - 1][token].item<double>(), 1e-5);
}

TEST(AttentionMaps, ShowWhatEditsMade) {
  at::manual_seed(3);
  AttentionEdit muted = parse_attention_edit("tree=0", ""), placed = parse_attention_edit("tree=3 within:0/0/0.5/1", "");
  muted.tokens = placed.tokens = {2};
  const RecordedRun silent(1, std::make_shared<EditProgram>(std::vector{muted})), louder(1, std::make_shared<EditProgram>(std::vector{placed}));
  EXPECT_EQ(word_map(silent.recorder.captures(), {}, {2}).abs().max().item<float>(), 0);
  at::Tensor wanted = louder.weights(1).select(2, 2).mean(0).view({3, 4}).clone();
  wanted.slice(1, 0, 2).mul_(3);
  expect_near(word_map(louder.recorder.captures(), {"layer0.attn2", {}, {}}, {2}), wanted);
}

/// Queries mixed with others, keys of another picture beside the own, shared place by place: as style injection with masks.
class OtherPicture : public AttentionProgram {
 public:
  std::optional<kernels::AttentionControl> control(const AttentionCall& call) override {
    if (call.site.kind != AttentionKind::kSelf) return std::nullopt;
    kernels::AttentionControl control;
    control.temperature = {kTemperature};
    control.q_blend = kernels::QueryBlend{other_q, 0.5, share};
    kernels::Source other, own;
    other.k = other_k;
    other.v = other_k;
    own.key_scale = at::full({1, 1, call.k.size(2)}, 1 / kTemperature);
    control.sources = {other, own};
    control.combine = kernels::Combine::kBlend;
    control.blend_weight_map = {share, 1 - share};
    return control;
  }
  static constexpr double kTemperature = 1.5;
  at::Tensor other_q = at::randn({2, kHeads, kPlaces, kWidth}), other_k = at::randn({2, kHeads, kPlaces, kWidth}), share = at::rand({1, kPlaces});
};

TEST(AttentionMaps, KeysOfAnotherPictureHaveMapsOfTheirOwn) {
  at::manual_seed(5);
  const auto program = std::make_shared<OtherPicture>();
  const RecordedRun run(1, program);
  const auto captures = run.recorder.captures();
  const at::Tensor share = program->share.to(at::kDouble).view({1, kPlaces, 1});
  const at::Tensor q = 0.5 * share * program->other_q[1].to(at::kDouble) + (1 - 0.5 * share) * run.q[0].to(at::kDouble);
  const auto softmax = [&](const at::Tensor& k, double temperature) { return at::softmax(temperature * at::matmul(q, k.to(at::kDouble).transpose(1, 2)) / std::sqrt(static_cast<double>(kWidth)), 2); };
  const at::Tensor other = share * softmax(program->other_k[1], OtherPicture::kTemperature), own = (1 - share) * softmax(run.k[0], 1);
  MapScope scope{"layer0.attn1", 0, {}};
  expect_near(place_map(captures, scope, 0.6, 0.5), own.select(1, 6).mean(0).view({3, 4}) * kPlaces, 1e-4);
  expect_near(received_map(captures, scope), own.mean(0).sum(0).view({3, 4}), 1e-4);
  scope.source = 0;
  expect_near(place_map(captures, scope, 0.6, 0.5), other.select(1, 6).mean(0).view({3, 4}) * kPlaces, 1e-4);
  expect_near(received_map(captures, scope), other.mean(0).sum(0).view({3, 4}), 1e-4);
  scope.head = 1;
  expect_near(place_map(captures, scope, 0.6, 0.5), other[1][6].view({3, 4}) * kPlaces, 1e-4);
  scope.source = 1;
  EXPECT_EQ(place_map(captures, scope, 0.6, 0.5).numel(), 0) << "source 1 is the picture itself";
  scope.source = 7;
  EXPECT_EQ(place_map(captures, scope, 0.6, 0.5).numel(), 0);
}

TEST(AttentionMaps, CoarserGridsAreEnlargedToTheFinest) {
  at::manual_seed(4);
  auto captures = RecordedRun(1).recorder.captures();
  captures[1].grid_height = captures[1].grid_width = 2;
  captures[1].q = captures[1].q.slice(2, 0, 4).contiguous();
  EXPECT_EQ(word_map(captures, {}, {1}).sizes(), (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(word_map(captures, {"layer0.attn2", {}, {}}, {1}).sizes(), (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(word_map(captures, {"nowhere", {}, {}}, {1}).numel(), 0);
  EXPECT_EQ(word_map(captures, {"", {}, 99}, {1}).numel(), 0);
  EXPECT_TRUE(word_shares(captures, {"nowhere", {}, {}}, 0, 0).empty());
}

TEST(AttentionMaps, AStopRequestEndsThem) {
  const auto captures = RecordedRun(1).recorder.captures();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(word_map(captures, {}, {1}, stop.get_token()), Interrupted);
}

TEST(AttentionRecorder, ChangesNoBitAndListsSitesAndSteps) {
  at::manual_seed(5);
  const RecordedRun run(2);
  at::manual_seed(5);
  AttentionRecorder other;
  const auto captures = run.recorder.captures();
  const auto sites = captured_sites(captures, AttentionKind::kCross);
  ASSERT_EQ(sites.size(), 2U);
  EXPECT_EQ(sites[1].site.path, "layer1.attn2");
  EXPECT_EQ(sites[1].grid_width, 4);
  EXPECT_EQ(captured_steps(captures), (std::vector<int64_t>{0, 1}));
  for (size_t i = 0; i < captures.size(); ++i) {
    EXPECT_TRUE(at::equal(captures[i].q[0], run.q[i]));
    EXPECT_TRUE(at::equal(captures[i].k[0], run.k[i]));
  }
}

TEST(AttentionRecorder, StaysWithinItsBudgetByKeepingFewerSteps) {
  const RecordedRun whole(8);
  const int64_t a_step = whole.recorder.bytes() / 8;
  const RecordedRun half(8, nullptr, 4 * a_step);
  EXPECT_EQ(captured_steps(half.recorder.captures()), (std::vector<int64_t>{0, 2, 4, 6}));
  EXPECT_EQ(half.recorder.stride(), 2);
  EXPECT_LE(half.recorder.bytes(), 4 * a_step);
  EXPECT_EQ(half.recorder.captures().size(), 16U) << "of every kept step all sites";
  EXPECT_FALSE(half.recorder.is_incomplete());
  const RecordedRun one(8, nullptr, a_step);
  EXPECT_EQ(captured_steps(one.recorder.captures()), (std::vector<int64_t>{0}));
  EXPECT_FALSE(one.recorder.is_incomplete());
  const RecordedRun none(2, nullptr, a_step / 2);
  EXPECT_TRUE(none.recorder.is_incomplete());
  EXPECT_LE(none.recorder.bytes(), a_step / 2);
}

}  // namespace
}  // namespace attelier
