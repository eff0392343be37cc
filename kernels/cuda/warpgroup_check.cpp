#include "kernels/cuda/warpgroup_check.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/cuda/machine.h"

namespace attelier::kernels::cuda {
namespace {

/// Two blocks of queries, of which the last has an idle warpgroup; enough tiles that every stage comes round; keys of two sources, the second for the other batch row.
constexpr int64_t kBatches = 2, kHeads = 2, kRows = 150, kLengths[] = {300, 77};
constexpr int64_t kMap[kBatches] = {1, 0};

/// Numbers between -1 and 1, the same in every run.
class Numbers {
 public:
  float next() {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<float>(static_cast<int32_t>(state_) >> 8) / static_cast<float>(1 << 23);
  }

 private:
  uint32_t state_ = 12345;
};

/// A piece of memory that grows while a problem is laid out.
class Image {
 public:
  explicit Image(char* base) : base_(base) {}

  /// `count` elements of T from next(); the address that they will have.
  template <typename T, typename Next>
  T* add(int64_t count, const Next& next) {
    const size_t at = (bytes_.size() + 255) / 256 * 256;
    bytes_.resize(at + static_cast<size_t>(count) * sizeof(T));
    for (int64_t i = 0; i < count; ++i) {
      const T element = next();
      std::memcpy(bytes_.data() + at + static_cast<size_t>(i) * sizeof(T), &element, sizeof(T));
    }
    return reinterpret_cast<T*>(base_ + at);
  }
  const std::vector<char>& bytes() const { return bytes_; }

 private:
  char* base_;
  std::vector<char> bytes_;
};

struct Problem {
  Call call = {};
  float scale = 0;
  int64_t o_count = 0;
};

/// Everything that the kernel does: sources with a map and a weight, the causal rule; if listed, biases (some of them hide their key), scales and gains too.
template <typename T>
void lay_out(const WarpgroupKernel& kernel, Image& image, Problem& problem) {
  Numbers numbers;
  const auto element = [&] {
    T rounded;
    round_to(rounded, numbers.next());
    return rounded;
  };
  const int64_t depth = kernel.width, row = kHeads * depth;
  Call& call = problem.call;
  call.element = kernel.element;
  call.batches = kBatches;
  call.heads = kHeads;
  call.rows = kRows;
  call.depth = call.value_depth = depth;
  call.q = {image.add<T>(kBatches * kRows * row, element), kRows * row, depth, row};
  // Logits with a spread of a few units.
  problem.scale = 6 / std::sqrt(static_cast<float>(depth));
  call.scales = &problem.scale;
  call.source_count = 2;
  for (int s = 0; s < call.source_count; ++s) {
    const int64_t length = kLengths[s];
    cpu::SourceView& source = call.sources[s];
    source.k = {image.add<T>(kBatches * length * row, element), length * row, depth, row};
    source.v = {image.add<T>(kBatches * length * row, element), length * row, depth, row};
    source.length = length;
    source.group = 1;
    source.begin = call.keys;
    call.keys += length;
    if (!kernel.listed) continue;
    source.bias = {image.add<float>(length, [&] { return numbers.next() < -0.8f ? -HUGE_VALF : numbers.next(); }), 0, 0, 1};
    source.scale = {image.add<float>(length, [&] { return 1 + numbers.next() / 2; }), 0, 0, 1};
    source.gain = {image.add<float>(length, [&] { return std::abs(numbers.next()); }), 0, 0, 1};
  }
  call.sources[1].batch_map = kMap;
  call.sources[1].log_weight = 1;
  call.causal = true;
  call.causal_offset = call.keys - kRows;
  problem.o_count = kBatches * kRows * row;
}

struct Outcome {
  std::vector<float> o, lse;
};

template <typename T>
Outcome compute(const Problem& problem, const Plan& plan, CheckedDevice& device) {
  Call call = problem.call;
  const int64_t rows = kBatches * kHeads * kRows, row = kHeads * call.depth;
  std::vector<T> o(static_cast<size_t>(problem.o_count));
  Outcome outcome;
  outcome.lse.resize(static_cast<size_t>(rows));
  // Places that a kernel leaves alone are noticed.
  std::memset(o.data(), 0xff, o.size() * sizeof(T));
  call.o = device.allocate(problem.o_count * static_cast<int64_t>(sizeof(T)));
  call.lse = reinterpret_cast<float*>(device.allocate(rows * 4));
  call.o_batch = kRows * row;
  call.o_head = call.depth;
  call.o_row = row;
  device.upload(static_cast<char*>(call.o), o.data(), static_cast<int64_t>(o.size() * sizeof(T)));
  execute(call, plan, true, device.allocate(plan.workspace.bytes), device.kernels());
  device.download(o.data(), static_cast<const char*>(call.o), static_cast<int64_t>(o.size() * sizeof(T)));
  device.download(outcome.lse.data(), reinterpret_cast<const char*>(call.lse), rows * 4);
  for (const T each : o) outcome.o.push_back(to_float(each));
  return outcome;
}

/// NaN counts as infinitely far.
float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const float difference = std::abs(a[i] - b[i]);
    largest = difference <= largest ? largest : std::isnan(difference) ? HUGE_VALF : difference;
  }
  return largest;
}

template <typename T>
std::string compare(const WarpgroupKernel& kernel, CheckedDevice& device) {
  Problem problem;
  Image sizes(nullptr);
  lay_out<T>(kernel, sizes, problem);
  char* const memory = device.allocate(static_cast<int64_t>(sizes.bytes().size()));
  problem = {};
  Image image(memory);
  lay_out<T>(kernel, image, problem);
  device.upload(memory, image.bytes().data(), static_cast<int64_t>(image.bytes().size()));

  // One multiprocessor: keys are not split.
  DeviceCaps caps{1, device.shared_bytes(), false};
  const Outcome expected = compute<T>(problem, make_plan(problem.call, caps), device);
  caps.warpgroups = true;
  const Plan plan = make_plan(problem.call, caps);
  if (plan.family != Family::kWarpgroup || plan.width != kernel.width || plan.listed != kernel.listed) return "the check's own problem takes another kernel";
  if (!device.kernels().takes_warpgroups(plan, problem.call.element, key_boxes(problem.call, plan.tile.keys))) return "tensor maps cannot be made";
  const Outcome found = compute<T>(problem, plan, device);

  // Values lie between -1 and 1; P and O are rounded once in either kernel.
  const float most = kernel.element == cpu::Element::kBFloat16 ? 1.0f / 32 : 1.0f / 256, most_lse = 1e-3f;
  const float o = largest_difference(found.o, expected.o), lse = largest_difference(found.lse, expected.lse);
  if (o <= most && lse <= most_lse) return {};
  return "outputs differ by " + std::to_string(o) + " (at most " + std::to_string(most) + "), their logarithmic sums by " + std::to_string(lse) + " (at most " + std::to_string(most_lse) + ")";
}

}  // namespace

std::string compare_kernels(const WarpgroupKernel& kernel, CheckedDevice& device) {
  return kernel.element == cpu::Element::kBFloat16 ? compare<BFloat16>(kernel, device) : compare<Float16>(kernel, device);
}

bool WarpgroupGuard::allows(int device, const WarpgroupKernel& kernel, const std::function<std::optional<std::string>()>& check) {
  if (!wanted_) return false;
  const std::lock_guard lock(mutex_);
  if (refused_.contains(device)) return false;
  const std::tuple key{device, kernel.element, kernel.width, kernel.listed};
  if (passed_.contains(key)) return true;
  std::optional<std::string> wrong;
  try {
    wrong = check();
  } catch (const std::exception& error) {
    wrong = error.what();
  }
  if (!wrong) return false;
  if (wrong->empty()) {
    passed_.insert(key);
    return true;
  }
  refused_.insert(device);
  warn_("attention on GPU " + std::to_string(device) + ": the kernels of compute capability 9.0 fail their check (heads of " + std::to_string(kernel.width) + " elements: " + *wrong +
        "); those of 8.0 are used instead. ATTELIER_CUDA_WGMMA=0 turns the former off without a check");
  return false;
}

bool warpgroups_wanted() {
  const char* const wish = std::getenv("ATTELIER_CUDA_WGMMA");
  return wish == nullptr || std::string_view(wish) != "0";
}

}  // namespace attelier::kernels::cuda
