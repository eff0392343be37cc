// Modules named like their checkpoint: `up_blocks.2.attentions.1.transformer_blocks.0.attn1.to_q.weight` is found where that path says.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace attelier::nn {

/// A named tensor of a module. `value` stays undefined until weights are loaded or initialised; `shape` is what the file must hold.
struct Parameter {
  std::vector<int64_t> shape;
  at::Tensor value;
  bool is_buffer = false;  // stored with the model, but not learnt by gradients: running statistics

  /// True where prepare_for_inference() has made the value opaque: oneDNN's tensor, or the row that kernels/convolution.h packs.
  bool is_prepared() const { return value.defined() && (value.is_mkldnn() || is_packed()); }
  bool is_packed() const { return shape.size() == 4 && value.dim() == 1; }
  /// The value as numbers in `shape`, prepared or not.
  at::Tensor dense() const;
};

struct NamedParameter {
  std::string name;
  Parameter* parameter;
};

/// Base of all layers and models. Children and parameters are plain members that register themselves in the constructor, so a module is neither
/// copied nor moved; keep lists of modules in std::deque. Nothing is allocated at construction: weights are assigned by a load.
class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  /// All parameters below, with their full checkpoint names, in registration order.
  std::vector<NamedParameter> named_parameters(const std::string& prefix = "");
  /// All modules below (this one first), with their paths.
  void visit(const std::function<void(const std::string& path, Module& module)>& visitor, const std::string& path = "");
  int64_t parameter_count();

  /// Moves and converts every loaded parameter, one at a time, so that no two copies of the whole model exist. Undoes prepare_for_inference().
  void to(at::Device device, at::ScalarType dtype);

  /// Sorts the weights of linear layers and convolutions as the CPU's kernels read them, each in place of its original: faster from the second call
  /// on, the same memory, no gradients. Such a `value` is opaque; dense() is the original, bit for bit. A no-op where there are no such kernels.
  void prepare_for_inference();

  /// Fills every parameter with a seeded draw: the initialisation PyTorch's own layers use. For training from scratch, tests and `bench --random`.
  void initialise(at::Generator generator);

 protected:
  void add(std::string name, Module& child) { children_.emplace_back(std::move(name), &child); }
  void add(std::string name, Parameter& parameter) { parameters_.emplace_back(std::move(name), &parameter); }

  /// Fills this module's own parameters (not the children's). The default is torch.nn.Linear's: uniform with bound 1/sqrt(fan in).
  virtual void initialise_own(at::Generator& generator);
  /// Prepares this module's own weights.
  virtual void prepare_own() {}

 private:
  std::vector<std::pair<std::string, Module*>> children_;
  std::vector<std::pair<std::string, Parameter*>> parameters_;
};

}  // namespace attelier::nn
