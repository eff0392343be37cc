#include "kernels/cuda/attention_cuda.h"

#include <ATen/core/grad_mode.h>
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

namespace attelier::kernels::cuda {
namespace {

struct Loaded {
  const Module* module = nullptr;
  std::string absence;
};

/// Beside the program, in the lib folder of its prefix, or where a build puts it.
std::vector<std::string> places() {
  std::vector<std::string> all;
  if (const char* named = std::getenv("ATTELIER_CUDA_MODULE")) all.emplace_back(named);
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const char* relative : {".", "../lib", "../kernels", "../../kernels", "../../../kernels"}) all.push_back((folder / relative / "libattelier_cuda.so").lexically_normal());
  return all;
}

Loaded load() {
  if (!at::hasCUDA()) return {nullptr, "libtorch finds no usable GPU"};
  std::string tried;
  for (const std::string& place : places()) {
    if (!std::filesystem::exists(place)) {
      tried += (tried.empty() ? "" : ", ") + place;
      continue;
    }
    void* const library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return {nullptr, place + " cannot be loaded: " + dlerror()};
    const auto get = reinterpret_cast<const Module* (*)()>(dlsym(library, "attelier_cuda_module"));
    if (get == nullptr || get()->version != kModuleVersion) return {nullptr, place + " belongs to another version of this program; build both together"};
    return {get(), {}};
  }
  return {nullptr, "no module of CUDA kernels in any of " + tried};
}

const Loaded& loaded() {
  static const Loaded once = load();
  return once;
}

}  // namespace

bool takes(const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (!q.is_cuda() || loaded().module == nullptr) return false;
  const auto wanted = [](const at::Tensor& x) { return x.defined() && x.requires_grad(); };
  bool gradient = wanted(q) || wanted(k) || wanted(v) || wanted(control.pair_bias) || (control.q_blend && (wanted(control.q_blend->q2) || wanted(control.q_blend->rows)));
  for (const at::Tensor& map : control.blend_weight_map) gradient |= wanted(map);
  for (const Source& s : control.sources)
    gradient |= wanted(s.k) || wanted(s.v) || wanted(s.log_weight_rows) || wanted(s.key_bias) || wanted(s.key_scale) || wanted(s.key_gain);
  return !(gradient && at::GradMode::is_enabled()) && loaded().module->takes(q, k, v);
}

AttentionResult attention(const AttentionControl& canonical, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, Wanted wanted) {
  return loaded().module->attention(canonical, q, k, v, wanted);
}

bool takes_regions(const at::Tensor& q, const at::Tensor& v) { return q.is_cuda() && loaded().module != nullptr && loaded().module->takes_regions(q, v); }
bool takes_warp(const at::Tensor& x) { return x.is_cuda() && loaded().module != nullptr && loaded().module->takes_warp(x); }

at::Tensor attend_regions(const RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return loaded().module->attend_regions(attention, q, k, v);
}

at::Tensor warp(const Warp& warp, const at::Tensor& x) { return loaded().module->warp(warp, x); }

std::string module_absence() { return loaded().absence; }

}  // namespace attelier::kernels::cuda
