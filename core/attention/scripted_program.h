// Attention controlled and recorded from files, by site: `forward --controls` and `--record`.
//
// Controls: {"tensors": "FILE", "SITE": {control, "steps": [n, ...]}, ...}, with the fields of control_json.h; absent steps mean all.
// Record:   {"SITE": {"tensors": ["q", "k", "v", "o"], "probes": [...], "steps": [n, ...]}, ...}.
// SITE is a module path, in which * stands for any text, or the site's index, as text; "MODEL:" before it narrows it to one model.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/attention/control_json.h"
#include "core/attention/program.h"
#include "core/attention/record.h"

namespace attelier {

class ScriptedProgram : public AttentionProgram {
 public:
  /// Either may be null. Throws Error(kBadInput) with the JSON pointer of what is wrong. Captures of one call above `maximum_capture_bytes` are
  /// refused when the site is reached.
  ScriptedProgram(const nlohmann::json& controls, const nlohmann::json& record, const TensorTable& tensors, int64_t maximum_capture_bytes = int64_t{1} << 30);

  /// The file that the controls take their tensors from, "" if none.
  static std::string tensor_file(const nlohmann::json& controls);

  std::optional<kernels::AttentionControl> control(const AttentionCall& call) override;
  void observe(const AttentionCall& call, const kernels::AttentionResult& result) override;

  const AttentionRecord& record() const { return record_; }
  /// The sites named in the files that no call has met so far.
  std::vector<std::string> unused_sites() const;

 private:
  struct Entry {
    std::string site, pointer;
    nlohmann::json json;  // the control, for messages
    std::vector<int64_t> steps;
    kernels::AttentionControl control;
    std::vector<std::string> tensors;
    bool used = false;
    bool applies_to(const AttentionCall& call) const;
  };

  void capture(const AttentionCall& call, const std::string& what, const at::Tensor& value, const kernels::Probe* probe = nullptr);

  std::vector<Entry> controls_, records_;
  int64_t maximum_capture_bytes_;
  AttentionRecord record_;
  std::vector<kernels::Probe> pending_;  // of the call between control() and observe()
  bool pending_output_ = false;
};

}  // namespace attelier
