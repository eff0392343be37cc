// Any bytes as a job file or a picture with a job. Refusals are Error(kBadInput); anything else is a finding.
#include <cstdlib>

#include "app/session/job.h"
#include "core/base/error.h"
#include "core/base/json_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attelier;
  try {
    const JobDocument document = read_job(std::string(reinterpret_cast<const char*>(data), size), "fuzz", "/nonexistent");
    const Job job = parse_job(document.json, {document.name, document.text, {}});
    const Json canonical = job.to_json();
    if (parse_job(Json::parse(dump(canonical)), {}).to_json() != canonical) std::abort();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadInput) std::abort();
  }
  return 0;
}
