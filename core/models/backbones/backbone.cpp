#include "core/models/backbones/backbone.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "core/base/parameters.h"
#include "core/models/backbones/biformer.h"
#include "core/models/backbones/vit.h"
#include "core/models/backbones/vitaev2.h"
#include "core/weights/load.h"
#include "core/weights/model_files.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

/// What config.json calls an architecture, and who makes it.
struct Architecture {
  const char* name;
  std::unique_ptr<Backbone> (*make)(const Json& config);
};

constexpr std::array kArchitectures = {
    Architecture{"biformer", make_biformer},
    Architecture{"biformer_mm", make_biformer},
    Architecture{"biformer_stl", make_biformer},
    Architecture{"biformer_stl_nchw", make_biformer},
    Architecture{"vitaev2_vsa", make_vitaev2},
    Architecture{"vit", make_vit},
    Architecture{"ViTForImageClassification", make_vit},  // as transformers writes it
};

/// "architecture", or the first of transformers' "architectures"; "" if neither is a text.
std::string architecture_of(const Json& config) {
  for (const char* key : {"architecture", "architectures"}) {
    const auto found = config.find(key);
    if (found == config.end()) continue;
    const Json& value = found->is_array() && !found->empty() ? found->front() : *found;
    if (value.is_string()) return value.get<std::string>();
  }
  return "";
}

/// Where the module's names begin in a file: the beginning under which most of them are found.
std::string prefix_of(nn::Module& module, const TensorSource& source) {
  const std::vector<nn::NamedParameter> parameters = module.named_parameters();
  std::string best;
  size_t most = 0;
  for (const char* prefix : {"", "model.", "backbone.", "module.", "model.backbone.", "model.module."}) {
    const auto count = static_cast<size_t>(std::count_if(parameters.begin(), parameters.end(),
                                                         [&](const auto& parameter) { return source.tensors().contains(prefix + parameter.name); }));
    if (count <= most) continue;
    most = count;
    best = prefix;
  }
  return best;
}

}  // namespace

double Backbone::multiply_adds(int64_t, int64_t) const { return 0; }

at::Tensor AttentionForms::attend_regions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const kernels::RegionAttention& attention) const {
  return regions ? regions(q, k, v, attention) : kernels::attend_regions(q, k, v, attention);
}

at::Tensor AttentionForms::attend_all(const AttentionSite& site, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const ForwardContext& context,
                                      int64_t grid_height, int64_t grid_width) const {
  return dense ? dense(q, k, v) : attend(site, q, k, v, context, grid_height, grid_width);
}

std::unique_ptr<Backbone> make_backbone(const Json& config) {
  const std::string name = architecture_of(config);
  std::vector<std::string> known;
  for (const Architecture& architecture : kArchitectures) {
    if (name == architecture.name) return architecture.make(config);
    known.push_back(architecture.name);
  }
  const std::string near = nearest_name(name, known);
  fail(ExitCode::kModel, "the backbone's config.json: \"architecture\" is \"{}\"; {}known are {}", name,
       near.empty() ? "" : fmt::format("did you mean \"{}\"? ", near), fmt::join(known, ", "));
}

std::unique_ptr<Backbone> load_backbone(const std::filesystem::path& path, at::Device device, at::ScalarType dtype, bool prepared) {
  const ModelFiles files(path);
  std::unique_ptr<Backbone> model = make_backbone(files.config("backbone"));
  const std::shared_ptr<const TensorSource> weights = files.weights("backbone");
  load_weights(*model, *weights, device, dtype, prefix_of(*model, *weights), model->computed_buffers());
  if (prepared) model->prepare_for_inference();
  return model;
}

}  // namespace attelier
