// cuda_attention FILE.json: times the CUDA kernels against libtorch's fused attention on the same GPU in the same run, and prints ratios. Shapes and
// controls are those that diffusion and vision models have. Random inputs, rotated over four sets so that they do not stay in the second-level cache; the
// median of 30 runs by events.
#include <ATen/core/grad_mode.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cmath>
#include <fstream>

#include <nlohmann/json.hpp>

#include "kernels/cuda/attention_cuda.h"

namespace attelier::kernels {
namespace {

constexpr int kRuns = 30, kWarmUps = 3, kSets = 4;

struct Shape {
  const char* name;
  int64_t batches, heads, queries, keys, depth;
};

constexpr Shape kShapes[] = {
    {"SD 1.5 self 64x64", 2, 8, 4096, 4096, 40}, {"SD 1.5 self 32x32", 2, 8, 1024, 1024, 80}, {"SD 1.5 self 16x16", 2, 8, 256, 256, 160},
    {"SD 1.5 cross 64x64", 2, 8, 4096, 77, 40},  {"SDXL self 64x64", 2, 10, 4096, 4096, 64},  {"SDXL self 32x32", 2, 20, 1024, 1024, 64},
    {"SDXL cross 64x64", 2, 10, 4096, 154, 64},  {"prefill 700", 1, 32, 700, 700, 128},       {"decode 4096", 1, 32, 1, 4096, 128},
    {"long 8192, d 64", 2, 16, 8192, 8192, 64},  {"long 8192, d 128", 2, 8, 8192, 8192, 128},
};

struct Inputs {
  at::Tensor q, k, v, other_k, other_v;
};

double median_microseconds(const std::vector<Inputs>& sets, const std::function<void(const Inputs&)>& run) {
  cudaEvent_t begin, end;
  cudaEventCreate(&begin);
  cudaEventCreate(&end);
  std::vector<float> times;
  for (int i = 0; i < kWarmUps + kRuns; ++i) {
    cudaEventRecord(begin);
    run(sets[static_cast<size_t>(i % kSets)]);
    cudaEventRecord(end);
    cudaEventSynchronize(end);
    float milliseconds = 0;
    cudaEventElapsedTime(&milliseconds, begin, end);
    if (i >= kWarmUps) times.push_back(milliseconds);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  std::nth_element(times.begin(), times.begin() + kRuns / 2, times.end());
  return times[kRuns / 2] * 1000.0;
}

at::Tensor heads(const Shape& s, int64_t tokens, at::ScalarType type) {
  return at::randn({s.batches, tokens, s.heads, s.depth}, at::TensorOptions(type).device(at::kCUDA)).transpose(1, 2);
}

using Make = std::function<AttentionControl(const Shape&, const Inputs&)>;

Source second(const Inputs& in) {
  Source source;
  source.k = in.other_k;
  source.v = in.other_v;
  return source;
}

at::Tensor visual_classes(int64_t keys) {
  at::Tensor classes = at::zeros({1, keys}, at::kByte);
  classes.slice(1, keys / 8, keys * 7 / 8).fill_(1);
  classes[0][0] = 2;
  classes[0][keys / 2] = 3;
  return classes.to(at::kCUDA);
}

Probe probe_of(ProbeKind kind) {
  Probe probe;
  probe.kind = kind;
  return probe;
}

std::vector<std::pair<const char*, Make>> controls() {
  using Control = AttentionControl;
  return {
      {"none", [](const Shape&, const Inputs&) { return Control{}; }},
      {"temperature and query blend", [](const Shape&, const Inputs& in) { Control c; c.temperature = {1.5}; c.q_blend = QueryBlend{in.q, 0.75, {}}; return c; }},
      {"two sources and bias", [](const Shape& s, const Inputs& in) {
         Control c;
         c.sources = {Source{}, second(in)};
         c.sources[0].key_bias = at::zeros({1, 1, s.keys}, at::TensorOptions(at::kFloat).device(at::kCUDA)).fill_(0.1);
         return c;
       }},
      {"blend of two", [](const Shape&, const Inputs& in) { Control c; c.sources = {Source{}, second(in)}; c.combine = Combine::kBlend; c.blend_weight = {0.6, 0.4}; return c; }},
      {"VAR", [](const Shape& s, const Inputs&) { Control c; c.sources.emplace_back().key_class = visual_classes(s.keys); c.visual = VisualRedistribution{}; return c; }},
      {"8 keys captured", [](const Shape&, const Inputs&) { Control c; c.probes = {probe_of(ProbeKind::kKeys)}; c.probes[0].keys = std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7}; return c; }},
      {"column sums", [](const Shape&, const Inputs&) { Control c; c.probes = {probe_of(ProbeKind::kColSum)}; return c; }},
  };
}

nlohmann::json measure(const Shape& s, at::ScalarType type) {
  std::vector<Inputs> sets;
  for (int i = 0; i < kSets; ++i) sets.push_back({heads(s, s.queries, type), heads(s, s.keys, type), heads(s, s.keys, type), heads(s, s.keys, type), heads(s, s.keys, type)});
  const double sdpa = median_microseconds(sets, [](const Inputs& in) { at::scaled_dot_product_attention(in.q, in.k, in.v); });
  const double flop = 4.0 * static_cast<double>(s.batches * s.heads * s.queries * s.keys * s.depth);
  nlohmann::json rows = nlohmann::json::array();
  double plain = 0;
  for (const auto& [name, make] : controls()) {
    std::vector<AttentionControl> made;
    for (const Inputs& in : sets) made.push_back(canonicalise(make(s, in)));
    const double time = median_microseconds(sets, [&](const Inputs& in) { cuda::attention(made[static_cast<size_t>(&in - sets.data())], in.q, in.k, in.v, {}); });
    if (plain == 0) plain = time;
    const at::Tensor exact = at::scaled_dot_product_attention(sets[0].q.to(at::kFloat), sets[0].k.to(at::kFloat), sets[0].v.to(at::kFloat));
    nlohmann::json row = {{"shape", s.name}, {"dtype", c10::toString(type)}, {"control", name}, {"microseconds", time}, {"sdpa_microseconds", sdpa},
                          {"speed_to_sdpa", sdpa / time}, {"time_to_own_plain", time / plain}, {"teraflops", flop / time / 1e6}};
    if (made[0].sources.empty() && !made[0].q_blend && made[0].probes.empty()) {
      const at::Tensor own = cuda::attention(made[0], sets[0].q, sets[0].k, sets[0].v, {}).o.to(at::kFloat);
      row["relative_error"] = ((own - exact).norm() / exact.norm()).item<double>();
    }
    fmt::print("{:20} {:9} {:28} {:10.1f} us  {:6.2f} x SDPA  {:6.2f} x own plain  {:7.1f} TFLOP/s\n", s.name, c10::toString(type), name, time, sdpa / time, time / plain, flop / time / 1e6);
    rows.push_back(row);
  }
  return rows;
}

std::string absence() {
  if (dlopen("libcuda.so.1", RTLD_LAZY | RTLD_GLOBAL) == nullptr) return "no NVIDIA driver (libcuda.so.1) on this machine";
  if (dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_GLOBAL) == nullptr) return std::string("libtorch's CUDA half cannot be loaded: ") + dlerror();
  return cuda::module_absence();
}

int run(const char* file) {
  if (const std::string reason = absence(); !reason.empty()) {
    fmt::print(stderr, "cuda_attention: {}\n", reason);
    return 2;
  }
  cudaDeviceProp properties;
  cudaGetDeviceProperties(&properties, 0);
  nlohmann::json all = {{"device", properties.name}, {"compute_capability", fmt::format("{}.{}", properties.major, properties.minor)}, {"rows", nlohmann::json::array()}};
  const at::NoGradGuard no_gradients;
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf})
    for (const Shape& shape : kShapes)
      for (const auto& row : measure(shape, type)) all["rows"].push_back(row);
  std::ofstream(file) << all.dump(1) << '\n';
  return 0;
}

}  // namespace
}  // namespace attelier::kernels

int main(int count, char** arguments) {
  if (count != 2) {
    fmt::print(stderr, "usage: cuda_attention FILE.json\n");
    return 2;
  }
  return attelier::kernels::run(arguments[1]);
}
