// A method as every face sees it: its description, its inputs and one run function.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/context.h"
#include "core/base/parameters.h"
#include "core/diffusion/diffusion_model.h"
#include "core/media/image.h"
#include "core/weights/tensor_file.h"

namespace attelier {

/// A file that a method reads: `--content FILE`, or "inputs": {"content": "FILE"} in a job.
struct InputDescription {
  std::string name, help;
  bool required = false;
  bool several = false;  // a list of files
};

/// Collects the tensors of a run under the names of `attelier trace`. Absent = nothing is kept.
class Trace {
 public:
  void add(const std::string& name, const at::Tensor& tensor) { tensors_.emplace_back(name, tensor.detach().to(at::kCPU).clone()); }
  const NamedTensors& tensors() const { return tensors_; }

 private:
  NamedTensors tensors_;
};

/// A validated job as a method receives it: every parameter present, input paths absolute.
struct MethodJob {
  Json params;
  std::map<std::string, std::vector<std::filesystem::path>> inputs;
  DiffusionModel* model = nullptr;
  Trace* trace = nullptr;

  const std::filesystem::path* input(const std::string& name) const {
    const auto found = inputs.find(name);
    return found == inputs.end() || found->second.empty() ? nullptr : &found->second.front();
  }
};

/// One finished picture. `params` are those of a job that makes this picture alone.
struct MethodOutput {
  Image image;
  Json params;
};

using OutputSink = std::function<void(MethodOutput output)>;

struct Method {
  std::string name, summary;
  ParameterDescriptions parameters;
  std::vector<InputDescription> inputs;
  std::vector<std::string> examples;  // arguments after `attelier NAME`
  /// Hands each picture to the sink as soon as it is finished. Throws Error; Interrupted when the context was stopped.
  std::function<void(const MethodJob& job, const Context& context, const OutputSink& sink)> run;
};

/// All methods, in the order in which help lists them.
const std::vector<const Method*>& methods();
/// nullptr when there is none of that name.
const Method* find_method(const std::string& name);

/// A tensor named as "FILE.safetensors:NAME" in a parameter. Throws Error(kBadInput).
at::Tensor read_tensor_reference(const std::string& reference);

/// The latent or picture as a tensor without NaN and Inf; throws Error(kNumerical) naming the stage otherwise.
const at::Tensor& require_finite(const at::Tensor& tensor, const std::string& stage);

}  // namespace attelier
