#include "pipelines/generate/generate.h"
#include "pipelines/method.h"
#include "pipelines/recognize/recognize.h"
#include "pipelines/style/style.h"
#include "pipelines/upscale/upscale.h"

namespace attelier {

const std::vector<const Method*>& methods() {
  static const std::vector<const Method*> all = {&kGenerateMethod, &kStyleMethod, &kUpscaleMethod, &kRecognizeMethod};
  return all;
}

const Method* find_method(const std::string& name) {
  for (const Method* method : methods())
    if (method->name == name) return method;
  return nullptr;
}

at::Tensor read_tensor_reference(const std::string& reference) {
  const size_t colon = reference.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == reference.size())
    fail(ExitCode::kBadInput, "\"{}\" names no tensor; expected FILE.safetensors:NAME", reference);
  const std::string file = reference.substr(0, colon), name = reference.substr(colon + 1);
  at::Tensor tensor;
  try {
    const auto source = open_tensors(file);
    if (!source->tensors().contains(name)) {
      std::vector<std::string> names;
      for (const auto& [known, info] : source->tensors()) {
        if (names.size() < 20) names.push_back(known);
      }
      fail(ExitCode::kBadInput, "{}: holds no tensor \"{}\"; it holds {}", file, name, fmt::join(names, ", "));
    }
    tensor = source->read(name).clone();
  } catch (const Error& error) {
    throw Error(ExitCode::kBadInput, error.what());
  }
  if (!tensor.is_floating_point()) fail(ExitCode::kBadInput, "{}: the tensor \"{}\" is {}; a float tensor is needed", file, name, c10::toString(tensor.scalar_type()));
  if (!at::isfinite(tensor).all().item<bool>()) fail(ExitCode::kBadInput, "{}: the tensor \"{}\" holds NaN or Inf", file, name);
  return tensor;
}

const at::Tensor& require_finite(const at::Tensor& tensor, const std::string& stage) {
  if (!at::isfinite(tensor).all().item<bool>()) fail(ExitCode::kNumerical, "{} holds NaN or Inf; try --dtype float32", stage);
  return tensor;
}

}  // namespace attelier
