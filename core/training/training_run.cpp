#include "core/training/training_run.h"

#include <c10/core/GradMode.h>

#include <chrono>
#include <cmath>

#include "core/training/autocast.h"
#include "core/training/journal.h"
#include "core/training/objectives.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

OptimizerConfig optimizer_config(const Json& json) {
  return {.learning_rate = json.at("learning_rate"), .minimum_rate = json.at("minimum_rate"), .warm_up = json.at("warm_up"), .beta1 = json.at("beta1"), .beta2 = json.at("beta2"),
          .epsilon = json.at("epsilon"), .weight_decay = json.at("weight_decay"), .clip_norm = json.at("clip_norm"), .muon_rate = json.at("muon_rate"), .ema_decay = json.at("ema_decay")};
}

/// Due after so much time or so many steps.
class Alarm {
 public:
  Alarm(int64_t seconds, int64_t steps) : seconds_(seconds), steps_(steps), last_(Clock::now()) {}
  bool rings(int64_t steps_done) const { return Clock::now() - last_ > seconds_ || (steps_ > 0 && steps_done % steps_ == 0); }
  void reset() { last_ = Clock::now(); }

 private:
  std::chrono::seconds seconds_;
  int64_t steps_;
  Clock::time_point last_;
};

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::min(seconds, 3e9) + 0.5);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

bool goes_on(const TrainingOptions& options) { return options.resume || options.export_only; }

/// A checkpoint is needed by who goes on, and in the way of who begins.
void check_checkpoint(const fs::path& folder, const TrainingOptions& options) {
  std::error_code error;
  const bool exists = fs::exists(folder / "state.safetensors", error);
  if (goes_on(options) && !exists)
    fail(ExitCode::kBadInput, "/output: {} holds no checkpoint to go on from; start without {}", folder.string(), options.resume ? "--resume" : "--export");
  if (!goes_on(options) && !options.restart && exists)
    fail(ExitCode::kBadInput, "/output: {} holds the checkpoint of a run; go on with --resume, begin again with --restart, or choose another folder", folder.string());
}

/// With its first weights. Who goes on loses nothing by a stop here: the state is on the disk.
std::unique_ptr<Objective> make_objective(const CheckedConfig& checked, const fs::path& base, const TrainingOptions& options, const Context& context) {
  try {
    std::unique_ptr<Objective> objective = checked.kind->make(checked.config, base, context);
    objective->initialise(make_generator(checked.config.at("seed")), context.device);
    return objective;
  } catch (const Interrupted&) {
    if (goes_on(options)) throw StateSaved();
    throw;
  }
}

class Run {
 public:
  Run(Objective& objective, const Json& config, const fs::path& folder, const Context& context)
      : objective_(objective),
        context_(context),
        optimizer_(objective.module(), optimizer_config(config.at("optimizer"))),
        journal_(folder, config),
        total_(config.at("steps")),
        accumulate_(config.at("accumulate")),
        pictures_a_step_(config.at("batch").get<int64_t>() * accumulate_),
        save_(config.at("save_every_seconds"), config.at("save_every_steps")),
        show_(config.at("show_every_seconds"), config.at("show_every_steps")) {}

  TrainingResult go(const TrainingOptions& options) {
    journal_.remove_leftovers();
    if (goes_on(options)) saved_step_ = step_ = journal_.resume(optimizer_, context_);
    try {
      if (!options.export_only) work(options);
      show();
    } catch (const Interrupted&) {
      if (saved_step_ == step_) throw StateSaved();
      throw;
    }
    return {step_, journal_.smooth_loss(), metrics_};
  }

 private:
  void work(const TrainingOptions& options) {
    journal_.open(optimizer_);
    if (!goes_on(options)) journal_.discard_earlier_run();
    train_all();
    write_state();
  }

  void train_all() {
    if (step_ < total_) objective_.prepare(step_, context_);
    first_step_ = step_, first_time_ = Clock::now();
    save_.reset(), show_.reset();
    while (step_ < total_) {
      train_step();
      const bool stopping = context_.stop.stop_requested();
      if (stopping || (save_.rings(step_) && step_ < total_)) save(stopping);
      if (stopping) throw Interrupted();
      if (show_.rings(step_) && step_ < total_) show_on_the_way();
    }
  }

  void train_step() {
    double loss = 0, norm = 0;
    try {
      for (int64_t micro = 0; micro < accumulate_; ++micro) {
        const at::Tensor one = objective_.loss(step_, micro, context_) / static_cast<double>(accumulate_);
        one.backward();
        loss += one.item<double>();
      }
      norm = optimizer_.step(step_, total_);
    } catch (...) {
      objective_.abandon_step();
      throw;
    }
    objective_.end_step();
    if (!std::isfinite(loss) || !std::isfinite(norm)) {
      std::error_code error;
      fail(ExitCode::kNumerical, "step {}: the loss is {} and the gradient's norm {}; {}: lower the learning rate and go on with --resume", step_, loss, norm,
           fs::exists(journal_.state_path(), error) ? "the last good state is in " + journal_.state_path().string() : "no state was written yet");
    }
    journal_.record(step_, loss);
    if (step_ % 50 == 0) log(norm);
    context_.report("training", ++step_, total_);
  }

  void log(double norm) const {
    const double seconds = std::chrono::duration<double>(Clock::now() - first_time_).count(), each = seconds / static_cast<double>(step_ + 1 - first_step_);
    context_.info("step {}: loss {:.5f}, gradient {:.3f}, rate {:.2e}, {:.1f} pictures/s, {} left", step_, journal_.smooth_loss(), norm, optimizer_.learning_rate(step_, total_),
                  static_cast<double>(pictures_a_step_) / each, duration_text(each * static_cast<double>(total_ - step_ - 1)));
  }

  void write_state() {
    journal_.save(step_, optimizer_);
    saved_step_ = step_;
  }

  /// A full disk in the middle of a run costs a checkpoint, not the run.
  void save(bool last) {
    try {
      write_state();
    } catch (const Error& error) {
      if (last || error.code() != ExitCode::kBadInput) throw;
      context_.warn("step {}: the checkpoint failed, the run goes on with the one before: {}", step_, error.what());
    }
    save_.reset();
  }

  void show_on_the_way() {
    try {
      show();
    } catch (const Interrupted&) {
      save(true);
      throw;
    } catch (const Error& error) {
      if (error.code() != ExitCode::kBadInput) throw;
      context_.warn("step {}: the sheet or the model could not be written, the run goes on: {}", step_, error.what());
    }
    show_.reset();
  }

  void show() {
    try {
      show_average();
    } catch (const std::filesystem::filesystem_error& error) {
      fail(ExitCode::kBadInput, "/output: the sheet or the model cannot be written: {}; free some space, then --export writes them from the checkpoint", error.what());
    }
  }

  void show_average() {
    c10::NoGradGuard no_grad;
    optimizer_.swap_average();
    try {
      metrics_ = objective_.validate(context_);
      journal_.show(objective_.sheet(context_), step_, metrics_);
      journal_.write_model([this](const fs::path& folder) { objective_.export_model(folder, context_); });
    } catch (...) {
      optimizer_.swap_average();
      throw;
    }
    optimizer_.swap_average();
    for (const Metric& metric : metrics_) context_.info("step {}: {} = {:.4f}", step_, metric.name, metric.value);
  }

  Objective& objective_;
  const Context& context_;
  Optimizer optimizer_;
  Journal journal_;
  int64_t total_, accumulate_, pictures_a_step_;
  Alarm save_, show_;
  int64_t step_ = 0, first_step_ = 0;
  int64_t saved_step_ = -1;  // of the state on the disk
  Clock::time_point first_time_;
  std::vector<Metric> metrics_;
};

}  // namespace

void Objective::initialise(at::Generator generator, at::Device device) {
  module().initialise(generator);
  module().to(device, at::kFloat);
}

TrainingResult train(const fs::path& config_path, const TrainingOptions& options, const Context& context) {
  const CheckedConfig checked = check_config(read_config(config_path), config_path);
  const fs::path base = config_path.parent_path(), folder = base / checked.config.at("output").get<std::string>();
  check_checkpoint(folder, options);  // before anything is made
  const FileLock lock = lock_run(folder);
  check_checkpoint(folder, options);  // and of what a process that has ended meanwhile has left
  std::error_code none;
  if (!goes_on(options)) fs::remove(folder / "tokenizer" / "vocab.json", none);  // of an earlier run; learnt anew
  if (checked.config.at("bfloat16") && !multiplies_bfloat16(context.device.type())) context.info("bfloat16: this processor has no instructions for it; float32 is faster and is used");
  const std::unique_ptr<Objective> objective = make_objective(checked, base, options, context);
  return Run(*objective, checked.config, folder, context).go(options);
}

}  // namespace attelier
