// What was read out of attention during a run: which site, which step, which heads and tokens, and the values.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/attention/site.h"

namespace attelier {

struct AttentionCapture {
  AttentionSite site;
  int64_t step = 0;
  double timestep = 0;
  int64_t grid_height = 0, grid_width = 0;  // token grid of the queries, 0 where tokens are not pixels
  std::string what;                         // "q", "k", "v", "o" [B,H,L,D], "probe.I", or "probe.I.index"
  std::optional<std::vector<int64_t>> heads, rows, keys;  // of a probe; absent = all
  at::Tensor value;

  /// "record.STEP.PATH.WHAT", the name in a file.
  std::string name() const;
};

class AttentionRecord {
 public:
  void add(AttentionCapture capture) { captures_.push_back(std::move(capture)); }
  const std::vector<AttentionCapture>& captures() const { return captures_; }
  bool empty() const { return captures_.empty(); }
  /// By name(); a site that is called again in one step (a second pass) replaces its earlier capture.
  std::map<std::string, at::Tensor> tensors() const;

 private:
  std::vector<AttentionCapture> captures_;
};

}  // namespace attelier
