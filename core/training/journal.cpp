#include "core/training/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "core/base/files.h"
#include "core/media/image.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kCurveSteps = 10;  // between two points of the curve

/// Leaves of two configurations that differ: "/optimizer/learning_rate: 0.1 -> 0.2".
void list_changes(const Json& before, const Json& now, std::vector<std::string>& changes) {
  for (const Json& step : Json::diff(before, now)) {
    const std::string at = step.at("path");
    const Json::json_pointer pointer(at);
    changes.push_back(fmt::format("{}: {} -> {}", at, before.contains(pointer) ? before.at(pointer).dump() : "absent", now.contains(pointer) ? now.at(pointer).dump() : "absent"));
  }
}

/// `made` takes the place of `folder`: in one step where the file system can exchange two names; elsewhere there is neither for a moment, but never a part.
void put_in_place(const fs::path& made, const fs::path& folder) {
  if (!fs::exists(fs::symlink_status(folder))) return fs::rename(made, folder);
  fs::path old = made;
  if (renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) != 0) {
    old += "-old";
    fs::rename(folder, old);
    fs::rename(made, folder);
  }
  std::error_code ignored;
  fs::remove_all(old, ignored);
}

/// "state.safetensors.tmp-4711" or "model.tmp-4711-old"; of folders no other than the model's, for a run may lie among files that are not its own.
bool is_leftover(const fs::directory_entry& entry) {
  constexpr std::string_view kMark = ".tmp-";
  const std::string name = entry.path().filename().string();
  const size_t mark = name.find(kMark);
  std::error_code ignored;
  return mark != std::string::npos && std::isdigit(static_cast<unsigned char>(name[mark + kMark.size()])) != 0 && (!entry.is_directory(ignored) || name.starts_with("model.tmp-"));
}

/// "0000840.png", as show() names them.
bool is_sheet(const fs::path& file) {
  const std::string name = file.filename().string();
  return name.size() == 11 && name.ends_with(".png") && std::all_of(name.begin(), name.begin() + 7, [](unsigned char c) { return std::isdigit(c) != 0; });
}

}  // namespace

FileLock lock_run(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ExitCode::kBadInput, "/output: {}: cannot be created: {}; choose another folder", folder.string(), error.message());
  const fs::path file = folder / "lock";
  if (std::optional<FileLock> lock = FileLock::take(file)) return std::move(*lock);
  fail(ExitCode::kBadInput, "/output: {} is in use, {} trains there; wait until it ends, stop it, or choose another folder", folder.string(), FileLock::holder(file));
}

Journal::Journal(fs::path folder, Json config) : folder_(std::move(folder)), config_(std::move(config)) {}

void Journal::remove_leftovers() const {
  std::error_code ignored;
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, ignored))
    if (is_leftover(entry)) leftovers.push_back(entry.path());
  for (const fs::path& leftover : leftovers) fs::remove_all(leftover, ignored);
}

void Journal::open(const Optimizer& optimizer) const {
  std::error_code error;
  write_file_atomically(folder_ / "config.json", config_.dump(2) + "\n");
  const int64_t state = optimizer.state_bytes(), needed = state + state / 8 + (fs::exists(state_path(), error) ? 0 : state);
  const fs::space_info space = fs::space(folder_, error);
  if (!error && space.available < static_cast<uintmax_t>(needed))
    fail(ExitCode::kBadInput, "/output: {} has {:.1f} MB free; {:.1f} MB are needed for a checkpoint, its successor and the model: free some space or choose another folder",
         folder_.string(), static_cast<double>(space.available) / 1e6, static_cast<double>(needed) / 1e6);
}

void Journal::discard_earlier_run() const {
  std::error_code error;
  std::vector<fs::path> sheets;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_ / "sheets", error))
    if (is_sheet(entry.path())) sheets.push_back(entry.path());
  for (const fs::path& sheet : sheets) fs::remove(sheet, error);
  error.clear();
  fs::remove(state_path(), error);
  if (error) fail(ExitCode::kBadInput, "/output: {}: cannot be removed: {}; remove it, or choose another folder", state_path().string(), error.message());
}

int64_t Journal::resume(Optimizer& optimizer, const Context& context) {
  const auto source = open_tensors(state_path());
  const auto& metadata = source->metadata();
  if (!metadata.contains("step")) fail(ExitCode::kModel, "{}: holds no training state; choose another output or start again with --restart", state_path().string());
  const int64_t step = std::stoll(metadata.at("step"));
  optimizer.restore(*source, step);
  curve_ = read_losses(folder_ / "losses.csv", step);
  if (metadata.contains("smooth_loss")) smooth_ = std::stod(metadata.at("smooth_loss")), any_ = true;
  if (metadata.contains("config")) {
    std::vector<std::string> changes;
    list_changes(Json::parse(metadata.at("config"), nullptr, false), config_, changes);
    for (const std::string& change : changes) context.warn("the configuration has changed since the checkpoint: {}", change);
  }
  return step;
}

void Journal::record(int64_t step, double loss) {
  smooth_ = any_ ? 0.98 * smooth_ + 0.02 * loss : loss;
  any_ = true;
  if (step % kCurveSteps == 0) curve_.push_back({step, smooth_});
}

void Journal::save(int64_t step, const Optimizer& optimizer) const {
  if (const std::string name = optimizer.not_finite(); !name.empty())
    fail(ExitCode::kNumerical, "step {}: the weight {} holds NaN or Inf; {}: lower the learning rate and go on with --resume", step, name,
         fs::exists(state_path()) ? "the last good state is in " + state_path().string() : "no state was written yet");
  // The curve first: what it has beyond the state is cut off when a run resumes.
  write_losses(folder_ / "losses.csv", curve_);
  save_loss_curve(folder_ / "losses.png", curve_);
  write_safetensors(state_path(), optimizer.state(), {{"step", std::to_string(step)}, {"smooth_loss", fmt::format("{}", smooth_)}, {"config", config_.dump()}});
}

void Journal::write_model(const std::function<void(const fs::path& folder)>& write) const {
  fs::path beside = model_path();
  beside += fmt::format(".tmp-{}", getpid());
  try {
    fs::create_directories(beside / "training");
    write(beside);
    write_file_atomically(beside / "training" / (config_.at("objective").get<std::string>() + ".json"), config_.dump(2) + "\n");
    put_in_place(beside, model_path());
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(beside, ignored);
    throw;
  }
}

void Journal::show(const at::Tensor& sheet, int64_t step, const std::vector<Metric>& metrics) const {
  if (sheet.defined()) {
    const Image picture = to_image(sheet.unsqueeze(0));
    fs::create_directories(folder_ / "sheets");
    save_image(folder_ / "sheets" / fmt::format("{:07}.png", step), picture);
    save_image(folder_ / "sheet.png", picture);
  }
  Json figures = {{"step", step}, {"loss", smooth_}};
  for (const Metric& metric : metrics) figures[metric.name] = metric.value;
  write_file_atomically(folder_ / "figures.json", figures.dump(2) + "\n");
}

}  // namespace attelier
