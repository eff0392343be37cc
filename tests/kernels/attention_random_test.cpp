// Random small calls of the whole descriptor against the double-precision reference, on every instruction set that this machine has.
#include "kernels/cpu/level.h"
#include "tests/kernels/random_cases.h"

namespace attelier::kernels {
namespace {

constexpr int64_t kCases = 10'500;

class RandomAttention : public testing::Test {
 protected:
  void TearDown() override { cpu::use_level(cpu::available_levels().back()); }
};

TEST_F(RandomAttention, TheWholeDescriptorOnEveryInstructionSet) {
  const std::vector<cpu::Level> levels = cpu::available_levels();
  at::manual_seed(20);
  Generator generator(20);
  int64_t compared = 0;
  for (int64_t n = 0; n < kCases && !HasFailure(); ++n) {
    const cpu::Level level = levels[static_cast<size_t>(n) % levels.size()];
    cpu::use_level(level);
    Case c = CaseMaker(generator).make();
    c.what = fmt::format("case {}, {}, {}", n, cpu::level_name(level), c.what);
    if (!decides_clearly(c)) continue;
    const AttentionResult fast = attention(c.problem.q, c.problem.k, c.problem.v, c.control);
    const AttentionResult exact = reference::attention(c.problem.q, c.problem.k, c.problem.v, c.control);
    ASSERT_TRUE(at::isfinite(fast.o).all().item<bool>()) << c.what;
    expect_output(c, fast.o, exact.o);
    ASSERT_EQ(fast.probes.size(), exact.probes.size());
    for (size_t i = 0; i < exact.probes.size(); ++i) expect_probe_value(c, i, fast.probes[i], exact.probes[i]);
    // Watching changes no bit.
    if (!c.control.probes.empty()) {
      AttentionControl unwatched = c.control;
      unwatched.probes.clear();
      EXPECT_TRUE(at::equal(attention(c.problem.q, c.problem.k, c.problem.v, unwatched).o, fast.o)) << c.what;
    }
    ++compared;
  }
  EXPECT_GE(compared, 10'000) << "cases whose decisions were clear";
}

}  // namespace
}  // namespace attelier::kernels
