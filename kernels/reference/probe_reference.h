// Probes of the double-precision reference, read row by row.
#pragma once

#include <vector>

#include "kernels/attention.h"

namespace attelier::kernels::reference {

/// What one row of one head offers to probes. Vectors run over the keys of all sources.
struct CapturedRow {
  double lse = 0;
  std::vector<double> pre, post;  // P and P'
  std::vector<int64_t> classes;
};

/// Collects one probe. Values f64 in the shapes of ProbeResult.
class ProbeReading {
 public:
  ProbeReading(const Probe& probe, int64_t batches, int64_t heads, int64_t rows, int64_t keys);
  /// Query row r of batch row b; `heads` holds every head of the call.
  void add(int64_t b, int64_t r, const std::vector<CapturedRow>& heads);
  ProbeResult result() const { return result_; }

 private:
  void add_row(double* out, int64_t b, int64_t slot, int64_t r, const CapturedRow& row, double factor) const;
  void pick_largest(int64_t b, int64_t slot, const std::vector<std::vector<double>>& rows);

  Probe probe_;
  std::vector<int64_t> heads_, rows_, keys_;
  ProbeResult result_;
};

}  // namespace attelier::kernels::reference
