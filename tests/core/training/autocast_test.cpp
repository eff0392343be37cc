#include "core/training/autocast.h"

#include "tests/kernels/levels.h"

namespace attelier {
namespace {

at::ScalarType product_dtype(bool wanted) {
  const Autocast autocast(at::kCPU, wanted);
  return at::mm(at::ones({2, 3}), at::ones({3, 2})).scalar_type();
}

TEST(Autocast, ComputesInBFloat16OnlyWhereTheProcessorHasInstructionsForIt) {
  kernels::on_every_level([] {
    const bool has = kernels::cpu::current_level() == kernels::cpu::Level::kAvx512Bf16;
    EXPECT_EQ(product_dtype(true), has ? at::kBFloat16 : at::kFloat);
    EXPECT_EQ(product_dtype(false), at::kFloat);
  });
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU)) << "as it was";
  EXPECT_TRUE(multiplies_bfloat16(at::kCUDA));
}

}  // namespace
}  // namespace attelier
