// What the fused CPU kernels promise beyond the values: layouts without copies, independence of threads, memory that is not read.
#include <ATen/Parallel.h>

#include "kernels/cpu/level.h"
#include "tests/kernels/attention_testing.h"
#include "tests/kernels/levels.h"

namespace attelier::kernels {
namespace {

AttentionControl everything(const Problem& p) {
  AttentionControl control;
  control.temperature = {1.5};
  control.q_blend = QueryBlend{at::randn(p.q.sizes()).to(p.q.scalar_type()), 0.75, {}};
  control.sources.resize(2);
  for (Source& source : control.sources) {
    source.key_bias = random_bias(1, p.q.size(1), p.k.size(2));
    source.key_gain = at::rand({1, 1, p.k.size(2)});
    source.key_class = at::randint(0, 4, {1, p.k.size(2)}, at::kByte);
  }
  control.sources[1].log_weight = 0.5;
  control.visual = VisualRedistribution{.keep = 0.5, .rho_nonsink = 0.3, .min_vis_mass = 0.1};
  control.causal = Causal{p.k.size(2)};
  control.probes = {probe(ProbeKind::kColSum, ProbeWhen::kPost, ReduceHeads::kMean), probe(ProbeKind::kHeadSum), probe(ProbeKind::kTopk, ProbeWhen::kPre, ReduceHeads::kSum),
                    probe(ProbeKind::kClassMass)};
  for (Probe& p : control.probes) p.k = 3;
  return control;
}

class Threads {
 public:
  explicit Threads(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before_); }

 private:
  int before_;
};

TEST(CpuAttention, TheNumberOfThreadsChangesNoBit) {
  at::manual_seed(30);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Problem p = random_problem({.batches = 2, .queries = 500, .keys = 260}, Layout::kTokensFirst, type);
    const AttentionControl control = everything(p);
    const auto run = [&](int threads) {
      const Threads guard(threads);
      AttentionResult result = attention(p.q, p.k, p.v, control);
      result.probes.push_back({plain_attention(p.q, p.k, p.v), {}});
      return result;
    };
    const AttentionResult one = run(1), three = run(3);
    EXPECT_TRUE(at::equal(one.o, three.o));
    EXPECT_TRUE(at::equal(one.lse, three.lse));
    for (size_t i = 0; i < one.probes.size(); ++i) EXPECT_TRUE(at::equal(one.probes[i].value, three.probes[i].value)) << i;
    expect_parity(p, control, "everything");
  }
}

TEST(CpuAttention, HeadsAreJoinedWithoutACopy) {
  const Problem p = random_problem({.batches = 2});
  const auto joins = [](const at::Tensor& o) { return o.transpose(1, 2).is_contiguous(); };
  EXPECT_TRUE(joins(plain_attention(p.q, p.k, p.v)));
  EXPECT_TRUE(joins(attention(p.q, p.k, p.v, everything(p)).o));
}

TEST(CpuAttention, HiddenKeysAreNotRead) {
  at::manual_seed(31);
  const Problem p = random_problem({.queries = 9, .keys = 12});
  AttentionControl control;
  at::Tensor bias = at::zeros({1, 1, 12});
  bias.slice(2, 3, 7).fill_(-kInfinity);
  control.sources.emplace_back().key_bias = bias;
  const at::Tensor expected = attention(p.q, p.k, p.v, control).o;
  p.k.slice(2, 3, 7).fill_(std::numeric_limits<double>::quiet_NaN());
  p.v.slice(2, 3, 7).fill_(std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(at::equal(attention(p.q, p.k, p.v, control).o, expected));
}

TEST(CpuAttention, QueriesAreBlendedRowByRow) {
  at::manual_seed(34);
  on_every_level([] {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf})
      for (const int64_t depth : {7, 40, 64}) {
        const Problem p = random_problem({.queries = 53, .depth = depth}, Layout::kStrided, type);
        AttentionControl control;
        control.q_blend = QueryBlend{at::randn(p.q.sizes()).to(type), 0.75, at::rand({1, 53})};
        control.q_blend->rows.slice(1, 14, 19).fill_(0);
        expect_parity(p, control, "blended queries");
        const auto unblended = [](const AttentionResult& result) { return result.o.slice(2, 14, 19); };
        EXPECT_TRUE(at::equal(unblended(attention(p.q, p.k, p.v, control)), unblended(attention(p.q, p.k, p.v, {})))) << depth;
      }
  });
}

TEST(CpuAttention, OneQueryAgainstManyKeys) {
  at::manual_seed(32);
  for (const int64_t queries : {1, 4, 5})
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
      const Problem p = random_problem({.batches = 2, .heads = 4, .key_heads = 2, .queries = queries, .keys = 700, .depth = 128, .value_depth = 128}, Layout::kTokensFirst, type);
      AttentionControl control;
      control.causal = Causal{700 - queries};
      control.sources.emplace_back().key_class = at::randint(0, 4, {2, 700}, at::kByte);
      control.visual = VisualRedistribution{.min_vis_mass = 0};
      expect_parity(p, {}, "decode");
      expect_parity(p, control, "decode with VAR");
    }
}

/// Wide rows take smaller tiles of keys, and fewer queries at a time.
TEST(CpuAttention, WideHeads) {
  at::manual_seed(33);
  for (const int64_t depth : {160, 512})
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
      expect_parity(random_problem({.batches = 1, .heads = 1, .key_heads = 1, .queries = 100, .keys = 130, .depth = depth, .value_depth = depth}, Layout::kTokensFirst, type), {}, "wide");
}

TEST(CpuLevels, TheHighestIsUsedAndAllAreNamed) {
  const std::vector<cpu::Level> levels = cpu::available_levels();
  ASSERT_FALSE(levels.empty());
  EXPECT_EQ(levels.front(), cpu::Level::kPortable);
  EXPECT_TRUE(std::is_sorted(levels.begin(), levels.end()));
  EXPECT_EQ(cpu::level_name(cpu::Level::kAvx512Bf16), "avx512_bf16");
}

}  // namespace
}  // namespace attelier::kernels
