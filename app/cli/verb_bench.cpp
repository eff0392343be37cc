// attelier bench unet|vae|text [--model PATH | --random CONFIG_DIR], attelier bench attend|controls [--shape B,H,Lq,Lk,D]
#include <ATen/Parallel.h>

#include "app/cli/bench_attention.h"
#include "app/cli/console.h"
#include "app/session/job.h"
#include "app/session/model_bench.h"
#include "core/base/files.h"
#include "core/weights/model_store.h"

namespace attelier {
namespace {

struct BenchOptions {
  BenchSettings settings;
  std::string model, random, device = "cpu", dtype = "float32", baseline, json;
  AttentionBenchOptions attention;
};

void print_table(const BenchResult& result) {
  fmt::print("{:<10} {:>10} {:>10} {:>10} {:>12}\n", "", "median", "fastest", "slowest", "peak memory");
  const auto row = [](const char* name, const BenchTimes& times) {
    fmt::print("{:<10} {:>8.3f} s {:>8.3f} s {:>8.3f} s {:>9.2f} GB\n", name, times.median(), times.fastest(), times.slowest(), static_cast<double>(times.peak_bytes) / 1e9);
  };
  row("attelier", result.ours);
  if (result.baseline) {
    const bool plain = result.settings.with_program;
    row(plain ? "plain" : "torch", *result.baseline);
    if (plain) fmt::print("a program that answers nothing takes {:.4f} times as long as none (fastest runs)\n", result.ours.fastest() / result.baseline->fastest());
    else fmt::print("torch takes {:.2f} times as long\n", result.baseline->median() / result.ours.median());
  }
  if (result.multiply_adds > 0) fmt::print("{:.3f} G multiply-adds a picture of {} x {}\n", result.multiply_adds / 1e9, result.settings.width, result.settings.height);
  if (!result.profile.empty()) fmt::print("\n{:<44} {:>7} {:>12}\n", "operator", "calls", "time");
  for (const OperatorTime& time : result.profile) fmt::print("{:<44} {:>7} {:>9.1f} ms\n", time.name, time.calls, time.seconds * 1e3);
}

void bench(const BenchOptions& options, Invocation& invocation) {
  if (options.settings.what == "attend" || options.settings.what == "controls") {
    AttentionBenchOptions attention = options.attention;
    attention.what = options.settings.what;
    attention.dtype = options.dtype;
    attention.baseline = options.baseline;
    attention.json = options.json;
    attention.threads = options.settings.threads;
    attention.repeat = options.settings.repeat;
    attention.warmup = options.settings.warmup;
    return bench_attention_kernels(attention, invocation);
  }
  if (options.model.empty() == options.random.empty()) fail(ExitCode::kUsage, "bench needs either --model PATH or --random CONFIG_DIR");
  if (!options.baseline.empty() && options.baseline != "torch" && options.baseline != "plain")
    fail(ExitCode::kUsage, "--baseline is \"{}\"; allowed are torch and plain", options.baseline);
  BenchSettings settings = options.settings;
  settings.device = parse_device(options.device);
  settings.dtype = parse_dtype(options.dtype, settings.device);
  settings.with_baseline = options.baseline == "torch";
  settings.with_program = options.baseline == "plain";
  if (settings.threads > 0) at::set_num_threads(static_cast<int>(settings.threads));
  const bool random = !options.random.empty();
  const BenchResult result = bench_model(random ? std::filesystem::path(options.random) : resolve_model(options.model), random, settings, invocation.context());
  const std::string json = result.to_json().dump(2) + "\n";
  if (options.json == "-") {
    fmt::print("{}", json);
    return;
  }
  print_table(result);
  if (!options.json.empty()) write_file_atomically(options.json, json);
}

}  // namespace

void add_bench_verb(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<BenchOptions>();
  BenchSettings& settings = options->settings;
  CLI::App* verb = app.add_subcommand("bench", "Measure the speed and memory of one part of a model");
  verb->add_option("what", settings.what, "unet (one step), vae (one decode), text (one prompt), backbone (a batch of pictures), upscaler (a batch of small pictures), attend (one attention) or controls (all controls of attention)")
      ->required()
      ->check(CLI::IsMember({"unet", "vae", "text", "backbone", "upscaler", "attend", "controls"}));
  verb->add_option("--model", options->model, "A model's path or name")->type_name("PATH");
  verb->add_option("--random", options->random, "A folder with config.json (or unet/config.json, ...): random weights of those sizes")->type_name("CONFIG_DIR");
  verb->add_option("--height", settings.height, "Pixels; 0 = the model's own size")->check(CLI::Range(0, 65536));
  verb->add_option("--width", settings.width, "Pixels; 0 = the model's own size")->check(CLI::Range(0, 65536));
  verb->add_option("--batch", settings.batch, "Rows")->check(CLI::Range(1, 1024))->capture_default_str();
  verb->add_option("--device", options->device, "cpu or cuda")->capture_default_str();
  verb->add_option("--dtype", options->dtype, "float32, bfloat16 or float16")->capture_default_str();
  verb->add_option("--threads", settings.threads, "CPU threads, 0 = all")->check(CLI::Range(0, 4096));
  verb->add_option("--repeat", settings.repeat, "Measured runs")->check(CLI::Range(1, 100000))->capture_default_str();
  verb->add_option("--warmup", settings.warmup, "Runs before them")->check(CLI::Range(0, 100000))->capture_default_str();
  verb->add_flag("--tiling", settings.tiling, "vae: decode in tiles");
  verb->add_option("--shape", options->attention.shape, "attend, controls: B,H,Lq,Lk,D")->type_name("SIZES")->capture_default_str();
  verb->add_option("--control", options->attention.control, "attend: plain, style, bias_gain, col_sum, keys, blend, var or causal; on maps of Lq cells: regions, windows or warp")->type_name("NAME")->capture_default_str();
  verb->add_option("--baseline", options->baseline,
                   "torch: the same layers on libtorch's own operators, in the same process; adds the ratio. backbone: with keys gathered or sampled into memory. unet: or plain, to measure what a program costs that "
                   "answers nothing. attend, controls: or eager, the softmax of the whole matrix; both with libtorch's own memory instead of Attelier's")
      ->type_name("NAME");
  verb->add_flag("--profile", settings.with_profile, "Also one run with every operator timed: where the time goes");
  verb->add_option("--json", options->json, "Also write the result as JSON; - = standard output")->type_name("FILE");
  verb->footer("backbone and upscaler also say the multiply-adds of one picture, which papers call FLOPs: all products of convolutions, linear layers, attention (queries by keys, weights by "
               "values) and routing (regions by regions); no norms, activations, biases or sums.\n\nExamples:\n  attelier bench unet --model mini --batch 2 --repeat 5\n  attelier bench backbone --random CONFIG_DIR --height 640 --width 640 --baseline torch\n  attelier bench attend --shape 2,8,4096,77,40 --dtype bfloat16 --baseline torch");
  verb->callback([options, &invocation] { bench(*options, invocation); });
}

}  // namespace attelier
