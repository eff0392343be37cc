// Running a job.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "app/session/job.h"
#include "app/session/model_cache.h"
#include "core/base/context.h"

namespace attelier {

struct JobResult {
  std::vector<std::filesystem::path> files;    // written, in order
  std::vector<std::filesystem::path> skipped;  // found finished: made by the same job
  /// run_id, files, skipped, seconds in all and per stage, peak_bytes, versions, device, dtype, threads, model and its hash, warnings; and what was found
  /// without pictures, if anything was, as a list "results".
  Json record;
  std::string text;  // what was found, for people
};

/// What a face that stays open gives a run. All may be absent.
struct RunHooks {
  ModelCache* models = nullptr;  // where the model comes from and goes back to
  /// After each picture that was written or found finished, in order; `picture` has no pixels where the method wrote the file itself or it was found.
  std::function<void(const std::filesystem::path& file, const Image& picture)> picture;
  std::vector<std::filesystem::path> finished;  // by an earlier run of this job that was cut short: what is still there and its own is not made again
  AttentionWatch* watch = nullptr;  // sees the attention of the first picture
};

/// Checks where the pictures go, opens the model, runs the method and writes each picture, whole, with its job inside. Sets the context's device and
/// dtype. With a trace no picture is written. Throws Error; Interrupted when the context was stopped (finished pictures stay).
JobResult run_job(const Job& job, Context& context, Trace* trace = nullptr, const RunHooks& hooks = {});

/// What run_job would do, as JSON: model, device, dtype, planned first file, bytes of the weights. Touches nothing.
Json plan_job(const Job& job);

}  // namespace attelier
