#include "core/nn/recompute.h"

#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace attelier::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What a block runs under.
struct State : torch::CustomClassHolder {
  State(Block work, at::DeviceType type) : block(std::move(work)), device(type), autocast(at::autocast::is_autocast_enabled(type)), dtype(at::autocast::get_autocast_dtype(type)) {}
  Block block;
  at::DeviceType device;
  bool autocast;
  at::ScalarType dtype;
};

class SameAutocast {
 public:
  explicit SameAutocast(const State& state) : device_(state.device), before_(at::autocast::is_autocast_enabled(device_)), dtype_(at::autocast::get_autocast_dtype(device_)) {
    at::autocast::set_autocast_enabled(device_, state.autocast);
    at::autocast::set_autocast_dtype(device_, state.dtype);
  }
  ~SameAutocast() {
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, before_);
    at::autocast::set_autocast_dtype(device_, dtype_);
  }
  SameAutocast(const SameAutocast&) = delete;
  SameAutocast& operator=(const SameAutocast&) = delete;

 private:
  at::DeviceType device_;
  bool before_;
  at::ScalarType dtype_;
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  /// `anchor` wants a gradient, so that the result does too where only parameters inside the block do.
  static at::Tensor forward(AutogradContext* context, const c10::intrusive_ptr<State>& state, const at::Tensor& /*anchor*/, at::TensorList inputs) {
    context->saved_data["state"] = c10::IValue::make_capsule(state);
    context->save_for_backward(inputs.vec());
    return state->block(inputs.vec());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto state = c10::static_intrusive_pointer_cast<State>(context->saved_data["state"].toCapsule());
    std::vector<at::Tensor> inputs;
    for (const at::Tensor& saved : context->get_saved_variables())
      inputs.push_back(saved.defined() ? saved.detach().set_requires_grad(saved.requires_grad()) : saved);
    at::Tensor result;
    {
      const at::AutoGradMode with_gradients(true);
      const SameAutocast autocast(*state);
      result = state->block(inputs);
    }
    if (result.requires_grad()) torch::autograd::backward({result}, {gradients[0]});
    variable_list own(2);  // of state and anchor
    for (const at::Tensor& input : inputs) own.push_back(input.defined() ? input.grad() : at::Tensor());
    return own;
  }
};

}  // namespace

at::Tensor recomputed(Block block, const std::vector<at::Tensor>& inputs) {
  const auto state = c10::make_intrusive<State>(std::move(block), inputs.at(0).device().type());
  return Recomputed::apply(state, at::empty({0}).set_requires_grad(true), at::TensorList(inputs));
}

}  // namespace attelier::nn
