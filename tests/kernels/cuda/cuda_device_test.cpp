// The CUDA kernels on a GPU, through kernels::attention, against the double-precision reference. Without a GPU or the module every case is skipped, and says
// why.
#include <dlfcn.h>

#include "kernels/cuda/attention_cuda.h"
#include "kernels/reference/maps_reference.h"
#include "tests/kernels/cuda/cuda_testing.h"
#include "tests/kernels/map_cases.h"

namespace attelier::kernels::cuda {
namespace {

/// Loads libtorch's CUDA half, as the program does when a job asks for a GPU.
std::string absence() {
  if (dlopen("libcuda.so.1", RTLD_LAZY | RTLD_GLOBAL) == nullptr) return "no NVIDIA driver (libcuda.so.1) on this machine";
  if (dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_GLOBAL) == nullptr) return std::string("libtorch's CUDA half cannot be loaded: ") + dlerror();
  return module_absence();
}

at::Tensor on_device(const at::Tensor& x) { return x.defined() ? x.to(at::kCUDA) : x; }
at::Tensor on_host(const at::Tensor& x) { return x.defined() ? x.cpu() : x; }

/// The same memory layout on the device: rows keep their strides, whatever lies between them.
at::Tensor heads_on_device(const at::Tensor& x) {
  if (!x.defined()) return x;
  const int64_t room = x.storage().nbytes() / x.element_size();
  const at::Tensor all = at::empty({room}, x.options()).set_(x.storage(), 0, {room}, {1}).to(at::kCUDA);
  return all.as_strided(x.sizes(), x.strides(), x.storage_offset());
}

AttentionControl control_on_device(AttentionControl c) {
  if (c.q_blend) {
    c.q_blend->q2 = heads_on_device(c.q_blend->q2);
    c.q_blend->rows = on_device(c.q_blend->rows);
  }
  for (Source& s : c.sources) {
    s.k = heads_on_device(s.k);
    s.v = heads_on_device(s.v);
    for (at::Tensor* each : {&s.log_weight_rows, &s.key_bias, &s.key_scale, &s.key_gain, &s.key_class}) *each = on_device(*each);
  }
  for (at::Tensor& map : c.blend_weight_map) map = on_device(map);
  c.pair_bias = on_device(c.pair_bias);
  for (Probe& p : c.probes) p.row_weight = on_device(p.row_weight);
  return c;
}

AttentionResult on_gpu(const Case& c) {
  AttentionResult result = attention(heads_on_device(c.problem.q), heads_on_device(c.problem.k), heads_on_device(c.problem.v), control_on_device(c.control));
  result.o = on_host(result.o);
  result.lse = on_host(result.lse);
  for (ProbeResult& each : result.probes) each = {on_host(each.value), on_host(each.index)};
  return result;
}

class CudaDevice : public testing::Test {
 protected:
  void SetUp() override {
    static const std::string reason = absence();
    if (!reason.empty()) GTEST_SKIP() << reason;
  }

  static void compare(Sizes (*sizes)(Generator&), int cases, uint64_t seed) {
    at::manual_seed(seed);
    Generator generator(seed);
    int compared = 0;
    for (int n = 0; n < cases && !HasFailure(); ++n) {
      Case c = CaseMaker(generator, sizes).make();
      c.what = fmt::format("case {}, {}", n, c.what);
      if (!decides_clearly(c)) continue;
      const AttentionResult fast = on_gpu(c);
      const AttentionResult exact = reference::attention(c.problem.q, c.problem.k, c.problem.v, c.control);
      ASSERT_TRUE(at::isfinite(fast.o).all().item<bool>()) << c.what;
      expect_output(c, fast.o, exact.o);
      for (size_t i = 0; i < exact.probes.size(); ++i) expect_probe_value(c, i, fast.probes[i], exact.probes[i], rounding_of_large_logits(c));
      ++compared;
    }
    EXPECT_GE(compared, cases * 9 / 10);
  }
};

TEST_F(CudaDevice, RandomCallsAroundTheTiles) { compare(tile_sizes, 3000, 41); }
/// On compute capability 9.0 most of the 16-bit ones go to its own kernels.
TEST_F(CudaDevice, RandomCallsForWarpgroups) { compare(warpgroup_sizes, 1000, 48); }
TEST_F(CudaDevice, SmallRandomCalls) { compare(small_sizes, 3000, 42); }
/// A short list for compute-sanitizer.
TEST_F(CudaDevice, AFewCalls) { compare(tile_sizes, 60, 43); }

Sizes model_sizes(Generator& g) {
  Sizes s;
  s.batches = 2;
  s.heads = s.key_heads = 8;
  s.queries = g.any_of<int64_t>({1, 256, 300});
  s.keys = g.any_of<int64_t>({77, 256, 1000});
  s.depth = s.value_depth = g.any_of<int64_t>({40, 64, 80, 128, 160});
  return s;
}
TEST_F(CudaDevice, CallsOfModels) { compare(model_sizes, 40, 44); }

TEST_F(CudaDevice, RandomRegionCalls) {
  at::manual_seed(46);
  Generator g(46);
  for (int n = 0; n < 500 && !HasFailure(); ++n) {
    RegionCase c = random_region_case(g);
    c.what = fmt::format("case {}, {}", n, c.what);
    RegionAttention attention = c.attention;
    for (at::Tensor* each : {&attention.index, &attention.points, &attention.pair_bias}) *each = on_device(*each);
    EXPECT_TRUE(takes_regions(heads_on_device(c.q), heads_on_device(c.v)));
    expect_regions(c, on_host(kernels::attend_regions(heads_on_device(c.q), heads_on_device(c.k), heads_on_device(c.v), attention)), reference::attend_regions(c.q, c.k, c.v, c.attention));
  }
}

TEST_F(CudaDevice, RandomWarps) {
  at::manual_seed(47);
  Generator g(47);
  for (int n = 0; n < 500 && !HasFailure(); ++n) {
    WarpCase c = random_warp_case(g);
    c.what = fmt::format("case {}, {}", n, c.what);
    kernels::Warp call = c.warp;
    for (at::Tensor* each : {&call.flow, &call.base, &call.mask}) *each = heads_on_device(*each);
    expect_warp(c, on_host(kernels::warp(heads_on_device(c.x), call)), reference::warp(c.x, c.warp));
  }
}

TEST_F(CudaDevice, TwoRunsAreEqualBitForBit) {
  at::manual_seed(45);
  Generator generator(45);
  for (int n = 0; n < 200; ++n) {
    const Case c = CaseMaker(generator, tile_sizes).make();
    const AttentionResult first = on_gpu(c), second = on_gpu(c);
    EXPECT_TRUE(at::equal(first.o, second.o)) << c.what;
    for (size_t i = 0; i < first.probes.size(); ++i) EXPECT_TRUE(at::equal(first.probes[i].value, second.probes[i].value)) << c.what;
  }
}

}  // namespace
}  // namespace attelier::kernels::cuda
