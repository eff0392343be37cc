// Contract 1: every attention layer calls attend() and knows nothing of methods; a method is an AttentionProgram.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/attention/site.h"
#include "kernels/attention.h"

namespace attelier {

/// What a batch row is; pipelines tag their rows so that programs can tell them apart.
struct Row {
  enum class Branch { kUnconditional, kConditional, kReference } branch = Branch::kConditional;
  int64_t image = 0;    // index of the picture in the batch
  int64_t frame = 0;    // of a video, view of a multi-view set
  int64_t subject = 0;  // style, character, ...
};

/// One call of one site. q [B,H,Lq,D], k and v [B,H,Lk,D], strided views of the projections.
struct AttentionCall {
  const AttentionSite& site;
  int64_t step = 0;        // index of the denoising step
  double timestep = 0;
  std::span<const Row> rows;
  int64_t grid_height = 0, grid_width = 0;  // token grid of the queries, 0 where tokens are not pixels
  at::Tensor q, k, v;
};

/// A method's hand on attention. Programs may keep state (features of another pass), so one object serves one run.
class AttentionProgram {
 public:
  virtual ~AttentionProgram() = default;
  /// What to do at this call; nothing = plain attention, at no cost.
  virtual std::optional<kernels::AttentionControl> control(const AttentionCall& call) = 0;
  /// Sees the outcome: the output [B,H,Lq,Dv] and the probes its own control asked for, in order.
  virtual void observe(const AttentionCall& call, const kernels::AttentionResult& result);
};

/// Applies both programs. Fields that only one of them sets are merged; a field that both set at the same call is an Error(kBadInput) naming the
/// field and the site, except that temperatures multiply and probes are concatenated. Each program observes only its own probes.
std::shared_ptr<AttentionProgram> compose(std::shared_ptr<AttentionProgram> a, std::shared_ptr<AttentionProgram> b);

/// What the layers of one forward pass share: the program, where the run stands, and how to stop it.
struct ForwardContext {
  AttentionProgram* program = nullptr;
  int64_t step = 0;
  double timestep = 0;
  std::vector<Row> rows;
  std::stop_token stop;
  bool recompute = false;  // training: blocks keep their inputs alone and compute again in the backward pass

  /// Throws Interrupted once a stop was requested; layers call it so that cancelling works inside a UNet step.
  void check_stop() const;
};

/// The one entry of every attention layer. q [B,H,Lq,D], k and v [B,Hkv,Lk,D] -> [B,H,Lq,D]. Without a program, or when it answers nothing, this is
/// kernels::plain_attention and nothing else. Differentiable in that case. `causal`: text token r sees tokens 0..r, with any program too.
at::Tensor attend(const AttentionSite& site, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const ForwardContext& context,
                  int64_t grid_height = 0, int64_t grid_width = 0, bool causal = false);

}  // namespace attelier
