#include "core/attention/attention_recorder.h"

#include <algorithm>

namespace attelier {
namespace {

using kernels::AttentionControl;
using kernels::Source;

/// Row `b` of a tensor with one row for each of `batches`, or one for all.
at::Tensor row_of(const at::Tensor& tensor, int64_t b) {
  if (!tensor.defined()) return tensor;
  return (tensor.size(0) == 1 ? tensor : tensor.slice(0, b, b + 1)).to(at::kCPU);
}

/// The control as one batch row sees it.
AttentionControl row_of(AttentionControl control, int64_t b) {
  control.probes.clear();
  if (control.q_blend) {
    control.q_blend->q2 = row_of(control.q_blend->q2, b).contiguous();
    control.q_blend->rows = row_of(control.q_blend->rows, b);
  }
  for (size_t s = control.sources.size(); s-- > 0;) {
    Source& source = control.sources[s];
    const int64_t row = source.batch_map.empty() ? b : source.batch_map[static_cast<size_t>(b)];
    if (row < 0) {
      const auto at = static_cast<std::ptrdiff_t>(s);
      control.sources.erase(control.sources.begin() + at);
      if (!control.blend_weight.empty()) control.blend_weight.erase(control.blend_weight.begin() + at);
      if (!control.blend_weight_map.empty()) control.blend_weight_map.erase(control.blend_weight_map.begin() + at);
      continue;
    }
    source.batch_map.clear();
    if (source.k.defined()) source.v = source.k = row_of(source.k, row).contiguous();
    for (at::Tensor* tensor : {&source.log_weight_rows, &source.key_bias, &source.key_scale, &source.key_gain, &source.key_class}) *tensor = row_of(*tensor, b);
  }
  for (at::Tensor& map : control.blend_weight_map) map = row_of(map, b);
  if (control.pair_bias.defined()) control.pair_bias = control.pair_bias.to(at::kCPU);
  return control;
}

int64_t bytes_of(const at::Tensor& tensor) { return tensor.defined() ? static_cast<int64_t>(tensor.nbytes()) : 0; }

}  // namespace

int64_t CapturedAttention::bytes() const {
  int64_t bytes = bytes_of(q) + bytes_of(k);
  if (control.q_blend) bytes += bytes_of(control.q_blend->q2);
  for (const Source& source : control.sources) bytes += bytes_of(source.k);
  return bytes;
}

AttentionProgram* AttentionRecorder::over(std::shared_ptr<AttentionProgram> own) {
  own_ = std::move(own);
  const std::lock_guard lock(mutex_);
  captures_.clear();
  bytes_ = 0;
  stride_ = 1;
  incomplete_ = false;
  return this;
}

std::optional<AttentionControl> AttentionRecorder::control(const AttentionCall& call) {
  std::optional<AttentionControl> control;
  if (own_) control = own_->control(call);
  own_answered_ = control.has_value();
  if (call.site.model != "unet" || (call.site.kind != AttentionKind::kSelf && call.site.kind != AttentionKind::kCross) || call.step % stride_ != 0) return control;
  const auto row = std::find_if(call.rows.begin(), call.rows.end(), [&](const Row& r) { return r.branch == Row::Branch::kConditional && r.image == image_; });
  if (row == call.rows.end()) return control;
  const int64_t b = row - call.rows.begin();
  CapturedAttention capture{call.site, call.step, call.timestep, call.grid_height, call.grid_width, {}, {}, row_of(control.value_or(AttentionControl{}), b)};
  // Strided views of the projections: a copy keeps this row alone alive.
  const auto copy = [b](const at::Tensor& tensor) { return tensor.slice(0, b, b + 1).to(at::kCPU, false, true).contiguous(); };
  capture.q = copy(call.q);
  capture.k = copy(call.k);
  keep(std::move(capture));
  return control;
}

void AttentionRecorder::observe(const AttentionCall& call, const kernels::AttentionResult& result) {
  if (own_answered_) own_->observe(call, result);
}

void AttentionRecorder::keep(CapturedAttention capture) {
  const int64_t bytes = capture.bytes();
  const std::lock_guard lock(mutex_);
  while (bytes_ + bytes > maximum_bytes_) {
    const bool one_step_alone = std::all_of(captures_.begin(), captures_.end(), [&](const CapturedAttention& kept) { return kept.step == captures_.front().step; });
    if (one_step_alone && (captures_.empty() || capture.step == captures_.front().step)) {
      incomplete_ = true;
      return;
    }
    stride_ *= 2;
    std::erase_if(captures_, [&](const CapturedAttention& kept) { return kept.step % stride_ != 0; });
    bytes_ = 0;
    for (const CapturedAttention& kept : captures_) bytes_ += kept.bytes();
    if (capture.step % stride_ != 0) return;
  }
  bytes_ += bytes;
  captures_.push_back(std::move(capture));
}

std::vector<CapturedAttention> AttentionRecorder::captures() const {
  const std::lock_guard lock(mutex_);
  return captures_;
}

int64_t AttentionRecorder::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

int64_t AttentionRecorder::stride() const {
  const std::lock_guard lock(mutex_);
  return stride_;
}

bool AttentionRecorder::is_incomplete() const {
  const std::lock_guard lock(mutex_);
  return incomplete_;
}

}  // namespace attelier
