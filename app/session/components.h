// The components of the open bench: one part of a model on given tensors, so that any model can be held against any other implementation.
// The names of components and tensors are a public interface.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/attention/program.h"
#include "core/base/context.h"
#include "core/weights/tensor_file.h"

namespace attelier {

enum class InputKind { kFloat, kInteger, kNumber /* either */, kBytes };

/// A tensor that a component reads. `shape` holds a name or a number per axis; a name means the same size wherever it stands.
struct ComponentInput {
  std::string name;  // ending in ".I" for a numbered list
  InputKind kind = InputKind::kFloat;
  std::vector<std::string> shape;
  bool optional = false;
};

using Tensors = std::map<std::string, at::Tensor>;

/// One call. `inputs` are checked: present where required, of the right kind, finite, of fitting shapes; floats are float32 on the CPU.
struct ComponentCall {
  std::filesystem::path model;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  uint64_t seed = 0;
  Tensors inputs;
  ForwardContext context;

  /// The input as the model wants it: floats in its dtype, on its device; undefined when absent.
  at::Tensor input(const std::string& name) const;
  /// The list NAME.0, NAME.1, ... .
  std::vector<at::Tensor> list(const std::string& name) const;
};

struct Component {
  std::string name, summary;
  std::vector<ComponentInput> inputs;
  std::string outputs;  // for help
  std::function<NamedTensors(const ComponentCall& call)> run;
};

/// All components, in the order in which help lists them.
const std::vector<Component>& components();
/// Throws Error(kBadInput) for an unknown name, with the near or the known ones.
const Component& find_component(const std::string& name);

/// Checks the inputs, runs the component and returns its outputs on the CPU: floats as float32, integers as int64. Throws Error: kBadInput for missing,
/// superfluous, misshapen or non-finite tensors or wrong dtypes (all complaints at once), kNumerical for NaN or Inf in an output.
NamedTensors run_component(const Component& component, ComponentCall call);

}  // namespace attelier
