#include "core/training/training_run.h"

#include <c10/core/GradMode.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <map>

#include "core/base/files.h"
#include "core/media/image.h"
#include "core/training/loss_curve.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

OptimizerConfig optimizer_config(const Json& json) {
  OptimizerConfig config;
  config.learning_rate = json.value("learning_rate", config.learning_rate);
  config.minimum_rate = json.value("minimum_rate", config.minimum_rate);
  config.warm_up = json.value("warm_up", config.warm_up);
  config.weight_decay = json.value("weight_decay", config.weight_decay);
  config.clip_norm = json.value("clip_norm", config.clip_norm);
  config.muon_rate = json.value("muon_rate", config.muon_rate);
  config.ema_decay = json.value("ema_decay", config.ema_decay);
  return config;
}

/// The files of one run and what has happened so far.
class Journal {
 public:
  explicit Journal(fs::path folder) : folder_(std::move(folder)) { fs::create_directories(folder_); }

  fs::path state_path() const { return folder_ / "state.safetensors"; }
  fs::path model_path() const { return folder_ / "model"; }

  int64_t resume(Optimizer& optimizer) {
    const auto source = open_tensors(state_path());
    const auto step = source->metadata().find("step");
    if (step == source->metadata().end()) fail(ExitCode::kModel, "{}: holds no training state", state_path().string());
    const int64_t steps = std::stoll(step->second);
    optimizer.restore(*source, steps);
    curve_ = read_losses(folder_ / "losses.csv", steps);
    return steps;
  }

  void record(int64_t step, double loss) { curve_.push_back({step, loss}); }

  void save(int64_t step, const Optimizer& optimizer) const {
    write_safetensors(state_path(), optimizer.state(), {{"step", std::to_string(step)}});
    write_losses(folder_ / "losses.csv", curve_);
    save_loss_curve(folder_ / "losses.png", curve_);
  }

  void show(const at::Tensor& sheet, int64_t step, const std::vector<Metric>& metrics) const {
    save_image(folder_ / "sheet.png", to_image(sheet.unsqueeze(0)));
    Json figures = {{"step", step}};
    for (const Metric& metric : metrics) figures[metric.name] = metric.value;
    write_file_atomically(folder_ / "figures.json", figures.dump(2) + "\n");
  }

 private:
  fs::path folder_;
  std::vector<LossPoint> curve_;
};

}  // namespace

TrainingResult train(const fs::path& config_path, bool resume, bool export_only, const Context& context) {
  Json config;
  try {
    config = Json::parse(read_file(config_path, 1 << 20));
  } catch (const Json::exception& error) {
    fail(ExitCode::kBadInput, "{}: is not JSON: {}", config_path.string(), error.what());
  }
  const fs::path base = config_path.parent_path();
  const auto objective = make_objective(config, base);
  const int64_t total = config.value("steps", int64_t{1000});
  const int64_t accumulate = config.value("accumulate", int64_t{1});
  const auto save_every = std::chrono::seconds(config.value("save_every_seconds", 300));
  const auto show_every = std::chrono::seconds(config.value("show_every_seconds", 900));

  nn::Module& module = objective->module();
  objective->initialise(make_generator(config.value("seed", uint64_t{0})));
  Optimizer optimizer(module, optimizer_config(config.value("optimizer", Json::object())));
  Journal journal(base / config.value("output", std::string("training")));
  int64_t step = 0;
  if (resume || export_only) step = journal.resume(optimizer);

  TrainingResult result;
  const auto show = [&] {
    optimizer.swap_average();
    {
      c10::NoGradGuard no_grad;
      result.metrics = objective->validate(context);
      journal.show(objective->sheet(context), step, result.metrics);
      objective->export_model(journal.model_path(), context);
    }
    optimizer.swap_average();
    for (const Metric& metric : result.metrics) context.info("step {}: {} = {:.4f}", step, metric.name, metric.value);
  };
  if (export_only) {
    show();
    result.steps = step;
    return result;
  }

  objective->prepare(step, context);
  auto last_save = std::chrono::steady_clock::now(), last_show = last_save;
  double smooth = 0;
  for (; step < total; ++step) {
    double loss_value = 0;
    for (int64_t micro = 0; micro < accumulate; ++micro) {
      const at::Tensor loss = objective->loss(step, micro, context);
      (loss / static_cast<double>(accumulate)).backward();
      loss_value += loss.item<double>() / static_cast<double>(accumulate);
    }
    const double norm = optimizer.step(step, total);
    objective->end_step();
    if (!std::isfinite(loss_value) || !std::isfinite(norm))
      fail(ExitCode::kNumerical, "step {}: the loss is {} and the gradient's norm {}; the last good state is in {}: lower the learning rate and --resume",
           step, loss_value, norm, journal.state_path().string());
    smooth = step == 0 || smooth == 0 ? loss_value : 0.98 * smooth + 0.02 * loss_value;
    if (step % 10 == 0) journal.record(step, smooth);
    if (step % 50 == 0) context.info("step {}: loss {:.5f}, gradient {:.3f}, rate {:.2e}", step, smooth, norm, optimizer.learning_rate(step, total));
    context.report("training", step + 1, total);
    const auto now = std::chrono::steady_clock::now();
    const bool stopping = context.stop.stop_requested();
    if (stopping || now - last_save > save_every) {
      journal.save(step + 1, optimizer);
      last_save = now;
    }
    if (stopping) throw Interrupted();
    if (now - last_show > show_every) {
      show();
      last_show = std::chrono::steady_clock::now();
    }
  }
  journal.save(step, optimizer);
  show();
  result.steps = step;
  result.loss = smooth;
  return result;
}

}  // namespace attelier
