// Any bytes as a control over small tensors: the first four choose sizes and dtype, the rest is the JSON. Refusals are Error(kBadInput); a crash, another
// exception, an output of a wrong shape or two different outputs of the same call are findings.
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdlib>

#include "core/attention/control_json.h"
#include "core/base/error.h"

namespace attelier {
namespace {

struct Sizes {
  int64_t batches, heads, key_heads, queries, keys, width, value_width;
  at::ScalarType type;

  explicit Sizes(const uint8_t* data)
      : batches(1 + data[0] % 3), heads(2 * (1 + data[0] / 3 % 2)), key_heads(data[0] / 6 % 2 == 0 ? 2 : 1), queries(1 + data[1] % 60), keys(1 + data[2] % 110),
        width(1 + data[3] % 20), value_width(1 + data[3] / 20 % 5), type(data[1] >= 120 ? data[1] >= 200 ? at::kHalf : at::kBFloat16 : at::kFloat) {}
};

/// Everything that a control may name: values that differ from each other, without a generator's state.
TensorTable tensors(const Sizes& s) {
  const auto filled = [](std::initializer_list<int64_t> shape, at::ScalarType type) {
    const at::Tensor x = at::empty(shape, at::kFloat);
    return at::sin(at::arange(x.numel(), at::kFloat)).view(x.sizes()).to(type);
  };
  TensorTable table = {{"q", filled({s.batches, s.queries, s.heads, s.width}, s.type).transpose(1, 2)}, {"q2", filled({s.batches, s.heads, s.queries, s.width}, s.type)}};
  for (const char* suffix : {"", ".1"}) {
    table[std::string("k") + suffix] = filled({s.batches, s.keys, s.key_heads, s.width}, s.type).transpose(1, 2);
    table[std::string("v") + suffix] = filled({s.batches, s.key_heads, s.keys, s.value_width}, s.type);
  }
  table["rows"] = filled({1, s.queries}, at::kFloat).abs();
  table["heads"] = filled({s.batches, s.heads}, at::kFloat);
  table["key"] = filled({s.batches, 1, s.keys}, at::kFloat);
  table["masked"] = table["key"].masked_fill(table["key"] < 0, -INFINITY);
  table["gain"] = table["key"].abs();
  table["class"] = (at::arange(s.keys, at::kLong) % 4).to(at::kByte).view({1, -1});
  table["pair"] = filled({s.heads, s.queries, s.keys}, at::kFloat);
  return table;
}

/// Probes of many rows over many keys are slow, not wrong.
constexpr size_t kLongestText = 4096;

void run(const Sizes& sizes, const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return;
  const TensorTable table = tensors(sizes);
  const at::Tensor &q = table.at("q"), &k = table.at("k"), &v = table.at("v");
  kernels::AttentionControl control = parse_attention_control(json, table);
  check_attention_control(json, control, q, k, v);
  control = matched_to(std::move(control), q);
  const kernels::AttentionResult first = kernels::attention(q, k, v, control), second = kernels::attention(q, k, v, control);
  const at::Tensor expected_shape = at::empty({sizes.batches, sizes.heads, sizes.queries, sizes.value_width});
  const auto same = [](const at::Tensor& a, const at::Tensor& b) { return at::equal(at::nan_to_num(a), at::nan_to_num(b)); };
  if (first.o.sizes() != expected_shape.sizes() || !same(first.o, second.o) || first.probes.size() != control.probes.size()) std::abort();
  for (size_t i = 0; i < first.probes.size(); ++i)
    if (!same(first.probes[i].value, second.probes[i].value)) std::abort();
}

}  // namespace
}  // namespace attelier

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attelier;
  if (size < 4) return 0;
  const c10::InferenceMode inference;
  try {
    run(Sizes(data), std::string(reinterpret_cast<const char*>(data + 4), std::min(size - 4, kLongestText)));
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadInput) std::abort();
  }
  return 0;
}
