#include <algorithm>
#include <stdexcept>

#include "core/attention/program.h"
#include "core/base/error.h"

namespace attelier {

void ForwardContext::check_stop() const {
  if (stop.stop_requested()) throw Interrupted();
}

void AttentionProgram::observe(const AttentionCall&, const kernels::AttentionResult&) {}

at::Tensor attend(const AttentionSite& site, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const ForwardContext& context,
                  int64_t grid_height, int64_t grid_width, bool causal) {
  context.check_stop();
  if (context.program == nullptr) return kernels::plain_attention(q, k, v, std::nullopt, causal);
  const AttentionCall call{site, context.step, context.timestep, context.rows, grid_height, grid_width, q, k, v};
  std::optional<kernels::AttentionControl> control = context.program->control(call);
  if (!control) return kernels::plain_attention(q, k, v, std::nullopt, causal);
  if (causal) control->causal = kernels::Causal{std::min<int64_t>(0, control->causal ? control->causal->offset : 0)};
  kernels::AttentionResult result;
  try {
    result = kernels::attention(q, k, v, *control);
  } catch (const std::invalid_argument& error) {
    fail(ExitCode::kBadInput, "attention control at {} {}: {}", site.model, site.path, error.what());
  }
  context.program->observe(call, result);
  return result.o;
}

}  // namespace attelier
