#include "core/weights/load.h"

#include <c10/core/GradMode.h>

#include <atomic>
#include <initializer_list>
#include <limits>
#include <set>

#include "core/base/error.h"
#include "core/weights/quote.h"
#include "core/weights/weights_error.h"
#include "kernels/parallel.h"

namespace attelier {
namespace {

constexpr size_t kMostListed = 10;

// Complaints of one kind.
class Complaints {
 public:
  explicit Complaints(std::string title) : title_(std::move(title)) {}

  void add(std::string text) { texts_.push_back(std::move(text)); }
  bool empty() const { return texts_.empty(); }
  /// With the first `most` of them.
  std::string text(size_t most) const {
    const size_t shown = std::min(most, texts_.size());
    std::string all = fmt::format("\n  {} ({}): {}", title_, texts_.size(), fmt::join(texts_.begin(), texts_.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
    if (shown < texts_.size()) all += fmt::format(", and {} more", texts_.size() - shown);
    return all;
  }

 private:
  std::string title_;
  std::vector<std::string> texts_;
};

/// Throws WeightsError where there is one complaint at least.
void refuse(const std::string& start, std::initializer_list<const Complaints*> kinds) {
  std::string message = start, full = start;
  for (const Complaints* kind : kinds) {
    if (kind->empty()) continue;
    message += kind->text(kMostListed);
    full += kind->text(std::numeric_limits<size_t>::max());
  }
  if (message != start) throw WeightsError(message, full);
}

// [o, i, 1, 1] -> [o, i]: a 1x1 convolution and a linear layer hold the same numbers.
at::IntArrayRef without_unit_kernel(at::IntArrayRef shape) {
  while (shape.size() > 2 && shape.back() == 1) shape = shape.slice(0, shape.size() - 1);
  return shape;
}

bool fits(at::IntArrayRef stored, at::IntArrayRef wanted) { return stored == wanted || without_unit_kernel(stored) == without_unit_kernel(wanted); }

// Buffers that old checkpoints carry beside the weights and that every model computes itself.
bool is_known_buffer(std::string_view name) { return name.ends_with("position_ids") || name.ends_with("num_batches_tracked"); }

// A float is NaN or infinite if all bits of its exponent are set; looking at the bits runs at memory speed and needs no second tensor.
template <typename Bits>
bool has_full_exponent(const at::Tensor& tensor, Bits exponent) {
  const auto* values = static_cast<const Bits*>(tensor.const_data_ptr());
  std::atomic<bool> found = false;
  kernels::parallel_ranges(tensor.numel(), int64_t{1} << 18, [&](int64_t begin, int64_t end) {
    Bits any = 0;
    for (int64_t i = begin; i < end; ++i) any |= static_cast<Bits>((values[i] & exponent) == exponent);
    if (any != 0) found = true;
  });
  return found;
}

// For contiguous CPU tensors. Dtypes without NaN, and the 8-bit floats, are taken to be finite.
bool is_finite(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kHalf:
      return !has_full_exponent<uint16_t>(tensor, 0x7C00);
    case at::kBFloat16:
      return !has_full_exponent<uint16_t>(tensor, 0x7F80);
    case at::kFloat:
      return !has_full_exponent<uint32_t>(tensor, 0x7F800000);
    case at::kDouble:
      return !has_full_exponent<uint64_t>(tensor, 0x7FF0000000000000);
    default:
      return true;
  }
}

std::string shape_text(at::IntArrayRef shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::string with_dot(const std::string& prefix) { return prefix.empty() || prefix.back() == '.' ? prefix : prefix + "."; }

// Compares names and shapes before any data is touched.
void compare(const std::vector<nn::NamedParameter>& parameters, const TensorSource& source, const std::string& prefix, const std::vector<std::string>& computed_buffers) {
  const auto is_computed = [&](const std::string& name) {
    return is_known_buffer(name) || std::any_of(computed_buffers.begin(), computed_buffers.end(), [&](const std::string& end) { return name.ends_with(end); });
  };
  Complaints missing("missing"), unexpected("unexpected"), misshapen("wrong shape"), unsupported("unsupported dtype");
  std::set<std::string> wanted;
  for (const auto& [name, parameter] : parameters) {
    const std::string full = prefix + name;
    wanted.insert(full);
    const auto found = source.tensors().find(full);
    if (found == source.tensors().end()) {
      missing.add(fmt::format("{} {}", in_quotes(full), shape_text(parameter->shape)));
    } else if (!fits(found->second.shape, parameter->shape)) {
      misshapen.add(fmt::format("{} is {}, {} was expected", in_quotes(full), shape_text(found->second.shape), shape_text(parameter->shape)));
    } else if (found->second.dtype == at::ScalarType::Undefined) {
      unsupported.add(in_quotes(full));
    }
  }
  for (auto entry = source.tensors().lower_bound(prefix); entry != source.tensors().end() && entry->first.starts_with(prefix); ++entry)
    if (!wanted.contains(entry->first) && !is_computed(entry->first)) unexpected.add(in_quotes(entry->first));
  refuse(fmt::format("{}: does not fit the model; check that the file and the config belong together:", source.path().string()), {&missing, &unexpected, &misshapen, &unsupported});
}

}  // namespace

void load_weights(nn::Module& module, const TensorSource& source, at::Device device, at::ScalarType dtype, const std::string& prefix,
                  const std::vector<std::string>& computed_buffers) {
  c10::NoGradGuard no_grad;
  const std::string full_prefix = with_dot(prefix);
  const auto parameters = module.named_parameters();
  compare(parameters, source, full_prefix, computed_buffers);

  Complaints not_finite("NaN or Inf"), overflowing(fmt::format("finite, but too large for {}", c10::toString(dtype)));
  std::vector<at::Tensor> values;
  values.reserve(parameters.size());
  for (const auto& [name, parameter] : parameters) {
    const std::string full = full_prefix + name;
    const at::Tensor stored = source.read(full).contiguous();
    if (!is_finite(stored)) {
      not_finite.add(in_quotes(full));
      continue;
    }
    const at::Tensor converted = stored.to(dtype);
    if (dtype != stored.scalar_type() && !is_finite(converted)) {
      overflowing.add(in_quotes(full));
      continue;
    }
    values.push_back(converted.view(parameter->shape).to(device));
  }
  refuse(fmt::format("{}: has unusable weights:", source.path().string()), {&not_finite, &overflowing});
  for (size_t i = 0; i < parameters.size(); ++i) parameters[i].parameter->value = values[i];
}

NamedTensors named_tensors(nn::Module& module, std::optional<at::ScalarType> dtype) {
  c10::NoGradGuard no_grad;
  NamedTensors tensors;
  for (const auto& [name, parameter] : module.named_parameters()) {
    if (!parameter->value.defined()) fail(ExitCode::kUnexpected, "parameter {} has no value: load or initialise the module first", in_quotes(name));
    const at::Tensor value = parameter->value.detach();
    tensors.emplace_back(name, dtype && !parameter->is_buffer ? value.to(*dtype) : value);
  }
  return tensors;
}

}  // namespace attelier
