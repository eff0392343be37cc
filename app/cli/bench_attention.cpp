#include "app/cli/bench_attention.h"

#include <ATen/Parallel.h>

#include "app/session/attention_bench.h"
#include "app/session/job.h"
#include "core/base/files.h"

namespace attelier {
namespace {

/// "B,H,Lq,Lk,D", each from 1 on.
void parse_shape(const std::string& text, AttentionBenchSettings& settings) {
  constexpr int64_t kLargest = 1 << 20;
  int64_t* const sizes[] = {&settings.batch, &settings.heads, &settings.queries, &settings.keys, &settings.width};
  size_t at = 0, count = 0;
  for (; count < 5 && at < text.size(); ++count) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, end - at);
    const bool digits = !part.empty() && part.size() <= 7 && part.find_first_not_of("0123456789") == std::string::npos;
    *sizes[count] = digits ? std::stoll(part) : 0;
    if (*sizes[count] < 1 || *sizes[count] > kLargest) break;
    at = end + 1;
  }
  if (count != 5 || at != text.size() + 1) fail(ExitCode::kUsage, "--shape is \"{}\"; it must be B,H,Lq,Lk,D, five whole numbers from 1 to {}, such as 2,8,4096,77,40", text, kLargest);
}

void print_table(const std::vector<AttentionBenchResult>& results, const AttentionBenchSettings& settings) {
  fmt::print("{:<10} {:>11} {:>11} {:>11} {:>10} {:>9} {:>12}", "", "median", "fastest", "slowest", "GFLOP/s", "roofline", "of plain");
  if (!settings.baseline.empty()) fmt::print(" {:>11} {:>7}", settings.baseline, "ratio");
  fmt::print("\n");
  for (const AttentionBenchResult& r : results) {
    fmt::print("{:<10} {:>8.3f} ms {:>8.3f} ms {:>8.3f} ms {:>10.1f} {:>7.0f} %", r.control, r.ours.median() * 1e3, r.ours.fastest() * 1e3, r.ours.slowest() * 1e3,
               r.operations / r.ours.median() / 1e9, 100 * r.roofline());
    fmt::print(" {:>12}", r.plain ? fmt::format("{:.2f}", r.ours.median() / r.plain->median()) : "");
    if (r.baseline) fmt::print(" {:>8.3f} ms {:>7.2f}", r.baseline->median() * 1e3, r.baseline->median() / r.ours.median());
    fmt::print("\n");
  }
  fmt::print("roofline: attainable time (multiply-adds in registers, memory copies; measured now) over measured time; ratio: {} over attelier\n",
             settings.baseline.empty() ? "the baseline" : settings.baseline);
}

}  // namespace

void bench_attention_kernels(const AttentionBenchOptions& options, Invocation& invocation) {
  AttentionBenchSettings settings;
  parse_shape(options.shape, settings);
  settings.dtype = parse_dtype(options.dtype, at::kCPU);
  settings.repeat = options.repeat;
  settings.warmup = options.warmup;
  settings.baseline = options.baseline;
  if (!options.baseline.empty() && options.baseline != "torch" && options.baseline != "eager")
    fail(ExitCode::kUsage, "--baseline is \"{}\"; allowed are torch (libtorch's fused attention) and eager (softmax of the whole matrix)", options.baseline);
  settings.controls = options.what == "controls" ? attention_bench_controls() : std::vector<std::string>{options.control};
  if (options.threads > 0) at::set_num_threads(static_cast<int>(options.threads));
  const std::vector<AttentionBenchResult> results = bench_attention(settings, invocation.context());

  nlohmann::json json;
  if (options.what == "attend") {
    json = results[0].to_json(settings);
  } else {
    for (const AttentionBenchResult& result : results) json["controls"].push_back(result.to_json(settings));
  }
  json["what"] = options.what;
  const std::string text = json.dump(2) + "\n";
  if (options.json == "-") {
    fmt::print("{}", text);
    return;
  }
  print_table(results, settings);
  if (!options.json.empty()) write_file_atomically(options.json, text);
}

}  // namespace attelier
