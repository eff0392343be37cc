// attelier train CONFIG.json [--resume] [--export]
#include <ATen/Parallel.h>

#include "app/cli/console.h"
#include "app/session/job.h"
#include "core/training/training_run.h"

namespace attelier {

void add_train_verb(CLI::App& app, Invocation& invocation) {
  auto* verb = app.add_subcommand("train", "Train a model on pictures that the program draws itself");
  struct Options {
    std::string config, device = "auto";
    bool resume = false, export_only = false;
    int threads = 0;
  };
  auto options = std::make_shared<Options>();
  verb->add_option("config", options->config, "Training configuration (JSON); assets/mini/training holds those of the shipped model")->required();
  verb->add_flag("--resume", options->resume, "Go on from the last checkpoint");
  verb->add_flag("--export", options->export_only, "Train nothing: write the model, the sheet and the figures of the last checkpoint");
  verb->add_option("--device", options->device, "auto, cpu or cuda");
  verb->add_option("--threads", options->threads, "CPU threads, 0 = all");
  verb->callback([options, &invocation] {
    Context context = invocation.context();
    context.device = parse_device(options->device);
    if (options->threads > 0) at::set_num_threads(options->threads);
    const TrainingResult result = train(options->config, options->resume, options->export_only, context);
    for (const Metric& metric : result.metrics) fmt::print("{}\t{:.4f}\n", metric.name, metric.value);
  });
}

}  // namespace attelier
