// attelier train CONFIG.json [--resume | --restart] [--export]
#include <csignal>

#include <ATen/Parallel.h>

#include "app/cli/console.h"
#include "app/session/job.h"
#include "core/training/training_run.h"

namespace attelier {

void add_train_verb(CLI::App& app, Invocation& invocation) {
  auto* verb = app.add_subcommand("train", "Train a model, a LoRA or a ControlNet on your own pictures or on drawn ones");
  struct Options {
    std::string config, device = "auto";
    TrainingOptions training;
    int threads = 0;
  };
  auto options = std::make_shared<Options>();
  verb->add_option("config", options->config, "Training configuration (JSON); assets/examples/training holds some to start from")->required();
  auto* resume = verb->add_flag("--resume", options->training.resume, "Go on from the last checkpoint");
  verb->add_flag("--restart", options->training.restart, "Begin again although there is a checkpoint, which is removed")->excludes(resume);
  verb->add_flag("--export", options->training.export_only, "Train nothing: write the model, the sheet and the figures of the last checkpoint");
  verb->add_option("--device", options->device, "auto, cpu or cuda");
  verb->add_option("--threads", options->threads, "CPU threads, 0 = all")->check(CLI::Range(0, 4096));
  verb->callback([options, &invocation] {
    Context context = invocation.context();
    context.device = parse_device(options->device);
    if (options->threads > 0) at::set_num_threads(options->threads);
    try {
      const TrainingResult result = train(options->config, options->training, context);
      for (const Metric& metric : result.metrics) fmt::print("{}\t{:.4f}\n", metric.name, metric.value);
    } catch (const StateSaved&) {
      if (Invocation::signal_received() == SIGTERM) fail(ExitCode::kTemporary, "stopped; the state is saved, go on with {}", options->training.export_only ? "--export" : "--resume");
      throw;
    }
  });
}

}  // namespace attelier
