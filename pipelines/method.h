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
#include "pipelines/attention_watch.h"

namespace attelier {

/// A file that a method reads: `--content FILE`, or "inputs": {"content": "FILE"} in a job.
struct InputDescription {
  std::string name, help;
  bool required = false;
  bool several = false;  // a list of files
  size_t most = 0;       // of a list; 0 = any number
  std::string weights = {};       // the parameter that holds one number for each file of the list
  std::string painted_over = {};  // a mask that faces let people paint over the picture of this other input
  std::string one_per = {};       // a list with one file for each of this other input's
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
  DiffusionModel* model = nullptr;  // absent for methods that open their model themselves
  Trace* trace = nullptr;
  std::filesystem::path model_path = {};
  AttentionWatch* watch = nullptr;  // sees the attention of the pass that makes the first picture; methods without such a pass leave it alone

  const std::filesystem::path* input(const std::string& name) const {
    const auto found = inputs.find(name);
    return found == inputs.end() || found->second.empty() ? nullptr : &found->second.front();
  }
};

/// One finished picture, or a finding without one (image without pixels, no `write`). `params` are those of a job that makes this picture alone.
struct MethodOutput {
  Image image;
  Json params;
  /// Of pictures that never lie in memory whole, and videos: writes the new file `file`, of the kind that `extension` names. `image` then has no pixels.
  std::function<void(const std::filesystem::path& file, const std::string& extension, const PngTexts& texts)> write = {};
  std::string extension = {};  // where it is not that of the job's pattern
  std::string label = {};      // tells several pictures of one run apart: stands at the end of the file's name
  Json result = {};            // what was found: of a picture in the record beside it, otherwise in the run's record
  std::string text = {};       // the same for people
};

using OutputSink = std::function<void(MethodOutput output)>;

struct Method {
  std::string name, summary;
  ParameterDescriptions parameters;
  std::vector<InputDescription> inputs;
  std::vector<std::string> examples;  // arguments after `attelier NAME`
  /// Hands each picture to the sink as soon as it is finished. Throws Error; Interrupted when the context was stopped.
  std::function<void(const MethodJob& job, const Context& context, const OutputSink& sink)> run;
  std::string default_model = "mini";
  /// Of methods without a diffusion model: which one of `path`, that the job names, they need. They open it themselves. Throws Error(kModel).
  std::function<std::filesystem::path(const std::filesystem::path& path, const Json& params)> find_model = {};
  bool takes_files = false;  // on the command line: NAME IN... OUT, one job for each file of the first input
  bool makes_files = true;   // of such methods; false: no OUT
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
