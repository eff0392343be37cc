// Attention edits against what they mean, computed by hand on small matrices.
#include "core/attention/attention_edit.h"

#include "tests/core/attention/program_testing.h"

namespace attelier {
namespace {

AttentionEdit edit(const std::string& text, std::vector<int64_t> tokens = {}) {
  AttentionEdit one = parse_attention_edit(text, "/params/attention/0");
  one.tokens = std::move(tokens);
  return one;
}

std::string refusal(const std::string& text) {
  return refusal_of([&] { parse_attention_edit(text, "/params/attention/0"); });
}

/// One picture, a negative and a positive row, 2 x 4 places, five tokens.
struct Scene {
  static constexpr int64_t kPlaces = 8, kTokens = 5;
  at::Tensor q = at::randn({2, kHeads, kPlaces, kWidth}), k = at::randn({2, kHeads, kTokens, kWidth}), v = at::randn({2, kHeads, kTokens, kWidth});
  at::Tensor self_k = at::randn({2, kHeads, kPlaces, kWidth}), self_v = at::randn({2, kHeads, kPlaces, kWidth});
  std::vector<Row> rows = {{Row::Branch::kUnconditional, 0}, {Row::Branch::kConditional, 0}};

  static AttentionSite site(AttentionKind kind) {
    AttentionSite site = test_site();
    site.kind = kind;
    return site;
  }
  at::Tensor run(AttentionProgram* program, AttentionKind kind, int64_t step = 0) const {
    ForwardContext context;
    context.program = program;
    context.step = step;
    context.rows = rows;
    const bool self = kind == AttentionKind::kSelf;
    return attelier::attend(site(kind), q, self ? self_k : k, self ? self_v : v, context, 2, 4);
  }
  at::Tensor cross(std::vector<AttentionEdit> edits, int64_t step = 0) const {
    EditProgram program(std::move(edits));
    return run(&program, AttentionKind::kCross, step);
  }
  at::Tensor self(std::vector<AttentionEdit> edits) const {
    EditProgram program(std::move(edits));
    return run(&program, AttentionKind::kSelf);
  }
  /// softmax(q k^T / sqrt(D)), f64 [2, H, places, keys].
  at::Tensor weights(const at::Tensor& keys) const {
    return at::softmax(at::matmul(q.to(at::kDouble), keys.to(at::kDouble).transpose(2, 3)) / std::sqrt(static_cast<double>(kWidth)), 3);
  }
  static void expect_near(const at::Tensor& got, const at::Tensor& wanted) { EXPECT_LT((got.to(at::kDouble) - wanted.to(at::kDouble)).abs().max().item<double>(), 2e-5); }
};

TEST(AttentionEdits, ReadAndWrittenAlike) {
  for (const char* text : {"house=0", "red house=1.5 steps:0-9 heads:1+3 site:up_blocks.*", "*=0 heads:2", "*=0.25 within:0.1/0.2/0.5/1", "a=b=2"}) EXPECT_EQ(to_string(edit(text)), text);
  EXPECT_EQ(to_string(edit("  tree = 2   steps:3 ")), "tree=2 steps:3-3");
  EXPECT_EQ(edit("*=0 heads:2").phrase, "");
}

TEST(AttentionEdits, RefusalsSayWhatToWrite) {
  EXPECT_TRUE(contains(refusal("house"), "/params/attention/0: the attention edit \"house\" has no \"=GAIN\""));
  EXPECT_TRUE(contains(refusal(""), "=GAIN"));
  EXPECT_TRUE(contains(refusal("=2"), "no words"));
  EXPECT_TRUE(contains(refusal("house="), "allowed is 0 (muted) to 100"));
  for (const char* gain : {"-1", "101", "nan", "inf", "2x", "1e999"}) EXPECT_TRUE(contains(refusal(std::string("house=") + gain), "allowed is 0")) << gain;
  EXPECT_TRUE(contains(refusal("house=2 at:night"), "at:night"));
  EXPECT_TRUE(contains(refusal("house=2 steps:5-2"), "A no later than B"));
  EXPECT_TRUE(contains(refusal("house=2 steps:-1-2"), "steps:"));
  EXPECT_TRUE(contains(refusal("house=2 heads:"), "heads:"));
  EXPECT_TRUE(contains(refusal("house=2 heads:a"), "numbers from 0"));
  EXPECT_TRUE(contains(refusal("house=2 site:"), "site:"));
  for (const char* box : {"", "0/0/1", "0/0/1/1/1", "0.5/0/0.5/1", "0/0/2/1", "0/x/1/1"}) EXPECT_TRUE(contains(refusal(std::string("house=2 within:") + box), "in shares")) << box;
  EXPECT_TRUE(contains(refusal("*=2"), "would scale everything"));
  EXPECT_TRUE(contains(refusal("*=2 heads:1 within:0/0/1/1"), "no words"));
}

TEST(AttentionEdits, WordsAreScaledForTheRowsWithThePromptAlone) {
  at::manual_seed(1);
  const Scene scene;
  at::Tensor p = scene.weights(scene.k);
  for (const int64_t token : {1, 3}) p[1].select(2, token).mul_(0.25);
  Scene::expect_near(scene.cross({edit("house=0.25", {1, 3})}), at::matmul(p, scene.v.to(at::kDouble)));
  EXPECT_TRUE(at::equal(scene.self({edit("house=0.25", {1, 3})}), scene.run(nullptr, AttentionKind::kSelf))) << "words act on cross-attention";
}

TEST(AttentionEdits, StepsSitesAndHeadsNarrowThem) {
  at::manual_seed(2);
  const Scene scene;
  const at::Tensor plain = scene.run(nullptr, AttentionKind::kCross);
  EXPECT_TRUE(at::equal(scene.cross({edit("house=0 steps:2-3", {1})}, 1), plain));
  EXPECT_FALSE(at::equal(scene.cross({edit("house=0 steps:2-3", {1})}, 3), plain));
  EXPECT_TRUE(at::equal(scene.cross({edit("house=0 site:mid_block*", {1})}), plain));
  at::Tensor p = scene.weights(scene.k);
  p[1][2].select(1, 1).mul_(3);
  Scene::expect_near(scene.cross({edit("house=3 heads:2+9", {1})}), at::matmul(p, scene.v.to(at::kDouble)));
  EditProgram program({edit("house=0 steps:2-3", {1}), edit("tree=0", {2})});
  scene.run(&program, AttentionKind::kCross);
  EXPECT_EQ(program.unused(), (std::vector<std::string>{"house=0 steps:2-3"}));
}

TEST(AttentionEdits, GainsOfSeveralEditsMultiply) {
  at::manual_seed(3);
  const Scene scene;
  Scene::expect_near(scene.cross({edit("a=2", {1}), edit("b=3", {1, 2})}), scene.cross({edit("a=6", {1}), edit("b=3", {2})}));
}

TEST(AttentionEdits, AHeadsOutputIsScaled) {
  at::manual_seed(4);
  const Scene scene;
  for (const AttentionKind kind : {AttentionKind::kCross, AttentionKind::kSelf}) {
    at::Tensor wanted = scene.run(nullptr, kind).clone();
    wanted.select(1, 1).mul_(0.5);
    EditProgram program({edit("*=0.5 heads:1")});
    Scene::expect_near(scene.run(&program, kind), wanted);
  }
}

TEST(AttentionEdits, APlaceIsLookedAtLessAndOthersGetItsShare) {
  at::manual_seed(5);
  const Scene scene;
  // The left half of 2 x 4 places: the tokens 0, 1, 4, 5.
  at::Tensor p = scene.weights(scene.self_k);
  for (const int64_t token : {0, 1, 4, 5}) p.select(3, token).mul_(0.1);
  p = p / p.sum(3, true);
  Scene::expect_near(scene.self({edit("*=0.1 within:0/0/0.5/1")}), at::matmul(p, scene.self_v.to(at::kDouble)));
  // Muted places are masked out.
  at::Tensor masked = scene.weights(scene.self_k);
  for (const int64_t token : {0, 1, 4, 5}) masked.select(3, token).zero_();
  masked = masked / masked.sum(3, true);
  Scene::expect_near(scene.self({edit("*=0 within:0/0/0.5/1")}), at::matmul(masked, scene.self_v.to(at::kDouble)));
  EXPECT_TRUE(at::equal(scene.cross({edit("*=0 within:0/0/0.5/1")}), scene.run(nullptr, AttentionKind::kCross)));
}

TEST(AttentionEdits, AWordWithinAPlaceActsOnItsQueriesByTheShareThatLiesWithin) {
  at::manual_seed(6);
  const Scene scene;
  // The first row's first one and a half cells.
  const at::Tensor share = at::tensor({1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0}, at::kDouble);
  at::Tensor p = scene.weights(scene.k);
  const at::Tensor column = p[1].select(2, 2).clone();
  p[1].select(2, 2).copy_(column * (1 + share * 3));
  Scene::expect_near(scene.cross({edit("tree=4 within:0/0/0.375/0.5", {2})}), at::matmul(p, scene.v.to(at::kDouble)));
}

TEST(AttentionEdits, InTheTextEncoderOthersDoNotHearAWord) {
  at::manual_seed(9);
  const Scene scene;
  const auto text = [&](const std::string& line) {
    EditProgram program({edit(line, {2})});
    AttentionSite site = Scene::site(AttentionKind::kText);
    site.model = "text_encoder_2";
    ForwardContext context;
    context.program = &program;
    return attelier::attend(site, scene.q, scene.self_k, scene.self_v, context, 0, 0, true);
  };
  const at::Tensor plain = kernels::plain_attention(scene.q, scene.self_k, scene.self_v, std::nullopt, true);
  EXPECT_TRUE(at::equal(text("tree=0"), plain)) << "only where the site names the text encoder";
  EXPECT_TRUE(at::equal(text("tree=0 site:text_encoder:*"), plain)) << "that one is another encoder";
  at::Tensor p = scene.weights(scene.self_k).tril();
  p.select(3, 2).mul_(0.25);
  p = p / p.sum(3, true);
  Scene::expect_near(text("tree=0.25 site:text_encoder*:*"), at::matmul(p, scene.self_v.to(at::kDouble)));
}

TEST(AttentionEdits, AtMostThreeWordsWithinPlaces) {
  at::manual_seed(7);
  const Scene scene;
  const AttentionEdit one = edit("tree=4 within:0/0/0.5/0.5", {2});
  scene.cross({one, one, one});
  EXPECT_TRUE(contains(refusal_of([&] { scene.cross({one, one, one, one}); }), "at most 3"));
}

TEST(AttentionEdits, AGainOfOneChangesNoBit) {
  at::manual_seed(8);
  const Scene scene;
  EXPECT_TRUE(at::equal(scene.cross({edit("tree=1", {2})}), scene.run(nullptr, AttentionKind::kCross)));
  EXPECT_TRUE(at::equal(scene.self({edit("*=1 within:0/0/1/1")}), scene.run(nullptr, AttentionKind::kSelf)));
}

}  // namespace
}  // namespace attelier
