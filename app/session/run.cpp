#include "app/session/run.h"

#include <ATen/Parallel.h>
#include <torch/version.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <utility>

#include "app/session/failure.h"
#include "app/session/machine.h"
#include "app/session/output_names.h"
#include "app/session/provenance.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/weights/model_store.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Passes progress and log on, and keeps how long each stage took and what was warned of.
class Observer {
 public:
  explicit Observer(Context& context) : context_(context), progress_(context.progress), log_(context.log) {
    context.progress = [this](const Progress& report) {
      stages_[std::string(report.stage)] += seconds_since(last_);
      last_ = Clock::now();
      if (progress_) progress_(report);
    };
    context.log = [this](LogLevel level, const std::string& text) {
      if (level == LogLevel::kWarning && warnings_.size() < 100) warnings_.push_back(text);
      if (log_) log_(level, text);
    };
  }
  ~Observer() {
    context_.progress = progress_;
    context_.log = log_;
  }
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  const std::map<std::string, double>& stages() const { return stages_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  Context& context_;
  std::function<void(const Progress&)> progress_;
  std::function<void(LogLevel, const std::string&)> log_;
  std::map<std::string, double> stages_;
  std::vector<std::string> warnings_;
  Clock::time_point last_ = Clock::now();
};

bool to_stdout(const Job& job) { return job.output.folder == "-"; }

void check_output(const Job& job) {
  if (to_stdout(job)) {
    if (isatty(STDOUT_FILENO) == 1) fail(ExitCode::kUsage, "--out -: standard output is a terminal; send it to a file or another program");
    return;
  }
  int64_t pixels = 512 * 512;
  if (job.params.contains("size") && job.params["size"].is_array()) pixels = job.params["size"][0].get<int64_t>() * job.params["size"][1].get<int64_t>();
  check_folder(job.output.folder, pixels * 4 + 65536);
  int64_t index = 0;
  picture_path(job, job.params, index);  // refuses a taken name before the work, not after it
}

void set_threads(int64_t threads) {
  static const int all = at::get_num_threads();
  at::set_num_threads(threads > 0 ? static_cast<int>(threads) : all);
}

void write_to_stdout(const std::string& bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() || std::fflush(stdout) != 0)
    fail(ExitCode::kBadInput, "standard output cannot be written");
}

/// The parameters of each picture alone: picture N of several takes seed + N.
std::vector<Json> single_pictures(const Json& params) {
  std::vector<Json> pictures = {params};
  if (!params.contains("count") || !params.contains("seed")) return pictures;
  const int64_t count = std::exchange(pictures[0]["count"], Json(1)).get<int64_t>();
  if (params.contains("batch")) pictures[0]["batch"] = 1;
  for (int64_t i = 1; i < count; ++i) {
    pictures.push_back(pictures[0]);
    pictures.back()["seed"] = params["seed"].get<uint64_t>() + static_cast<uint64_t>(i);
  }
  return pictures;
}

/// Writes the pictures of one run.
class PictureWriter {
 public:
  PictureWriter(const Job& job, const Provenance& provenance, const RunHooks& hooks, JobResult& result)
      : job_(job), provenance_(provenance), hooks_(hooks), result_(result) {
    for (const fs::path& file : hooks.finished)
      if (const std::string id = run_id_of(file); !id.empty()) earlier_.emplace(id, file);
  }

  /// Whether pictures may be there already, so that each is asked for and made alone.
  bool is_continued() const { return job_.output.exists == "skip" || !earlier_.empty(); }

  /// Whether picture `index` is there already; otherwise the next picture that is written is this one.
  bool is_done(int64_t index, const Json& params) {
    index_ = index;
    if (to_stdout(job_)) return false;
    if (const auto found = earlier_.find(provenance_.run_id(params)); found != earlier_.end()) {
      skip(found->second);
      return true;
    }
    return is_finished(job_.output.folder / picture_name(job_, params, index), params);
  }

  void write(const MethodOutput& output, const Json& facts) {
    if (output.image.width == 0 && !output.write) return;  // a finding without a picture
    if (to_stdout(job_)) {
      if (index_++ > 0) fail(ExitCode::kUsage, "--out -: the job makes several pictures, standard output takes one");
      if (output.write) fail(ExitCode::kUsage, "--out -: {} writes files; choose a folder", job_.method->name);
      write_to_stdout(encode_png(output.image, job_.output.embed_job ? provenance_.texts(output.params, output.image) : PngTexts{}));
      result_.files.push_back("-");
      return;
    }
    Job named = job_;
    if (!output.label.empty()) named.output.pattern.insert(named.output.pattern.rfind('.'), "_" + output.label);
    const ClaimedPath claimed(named, output.params, index_, output.extension);
    const fs::path& path = claimed.path();
    ++index_;
    if (is_finished(path, output.params)) return;
    const PngTexts texts = job_.output.embed_job && path.extension() == ".png" ? provenance_.texts(output.params, output.image) : PngTexts{};
    if (output.write)
      write_atomically(path, [&](const fs::path& file) { output.write(file, path.extension().string(), texts); });
    else
      save_image(path, output.image, texts);
    result_.files.push_back(path);
    // A video holds no texts: its job lies beside it.
    if (job_.output.record || !output.extension.empty() || !output.result.is_null()) write_record(path, output, facts);
    if (hooks_.picture) hooks_.picture(path, output.image);
  }

 private:
  void write_record(const fs::path& path, const MethodOutput& output, const Json& facts) {
    Json record = {{"job", provenance_.job(output.params)}};
    record["record"] = record["job"]["record"];
    record["job"].erase("record");
    record["record"].update(facts);
    if (!output.result.is_null()) record["result"] = output.result;
    record["record"]["picture"] = {{"file", path.filename().string()}, {"sha256", sha256_file(path)}};
    fs::path beside = path;
    beside += ".json";
    write_file_atomically(beside, dump(record, 2) + "\n");
  }

  /// With "skip": true if the file is this very picture. Another job's file is never taken for it, nor replaced.
  bool is_finished(const fs::path& path, const Json& params) {
    std::error_code error;
    if (job_.output.exists != "skip" || !fs::exists(path, error)) return false;
    const std::string id = run_id_of(path);
    if (id == provenance_.run_id(params)) {
      skip(path);
      return true;
    }
    fail(ExitCode::kBadInput, "{}: exists already and {}; choose another folder or name, or --exists number or overwrite", path.string(),
         id.empty() ? "does not say which job made it" : "was made by another job");
  }

  void skip(const fs::path& path) {
    result_.skipped.push_back(path);
    if (hooks_.picture) hooks_.picture(path, {});
  }

  const Job& job_;
  const Provenance& provenance_;
  const RunHooks& hooks_;
  JobResult& result_;
  std::map<std::string, fs::path> earlier_;  // by run id: what an earlier run finished
  int64_t index_ = 0;
};

fs::path model_path(const Job& job) {
  const fs::path path = resolve_model(job.model);
  return job.method->find_model ? job.method->find_model(path, job.params) : path;
}

/// The model of one run, unless its method opens it: from the cache where there is one, and back there afterwards.
class ModelLease {
 public:
  ModelLease(const Job& job, const Context& context, ModelCache* cache) : cache_(cache) {
    path_ = model_path(job);
    if (job.method->find_model) {
      opened_.sha256 = ModelFiles(path_).hash(&context);
      return;
    }
    if (cache_ != nullptr)
      opened_ = cache_->take(path_, context);
    else
      opened_.model = std::make_unique<DiffusionModel>(path_, context.device, context.dtype);
    // A missing tokenizer is said before time goes into the weights.
    if (const Json embeds = job.params.value("prompt_embeds", Json()); embeds.is_null() || embeds == "")
      for (const char* name : {"tokenizer", "tokenizer_2"}) model().files().tokenizer_folder(name);
    if (opened_.sha256.empty()) opened_.sha256 = model().files().hash(&context);
    int64_t parts = 0;
    for (const std::string& name : model().files().components()) parts += name == "unet" || name == "vae" || name.starts_with("text_encoder") ? 1 : 0;
    model().on_load([&context, parts, loaded = int64_t{0}](bool done) mutable { context.report("loading the model", done ? ++loaded : loaded, parts); });
  }
  ~ModelLease() {
    if (!opened_.model) return;
    model().on_load({});
    if (cache_ != nullptr && good_) cache_->put_back(std::move(opened_));
  }
  ModelLease(const ModelLease&) = delete;
  ModelLease& operator=(const ModelLease&) = delete;

  DiffusionModel* pointer() { return opened_.model.get(); }
  const fs::path& path() const { return path_; }
  const std::string& sha256() const { return opened_.sha256; }
  /// The model is freed after the run.
  void give_up() { good_ = false; }

 private:
  DiffusionModel& model() { return *opened_.model; }

  fs::path path_;
  ModelCache* cache_;
  ModelCache::Model opened_;
  bool good_ = true;
};

}  // namespace

JobResult run_job(const Job& job, Context& context, Trace* trace, const RunHooks& hooks) {
  const Clock::time_point start = Clock::now();
  const Observer observer(context);
  if (trace == nullptr) check_output(job);
  context.device = parse_device(job.run.device);
  context.dtype = parse_dtype(job.run.dtype, context.device);
  set_threads(job.run.threads);
  ModelLease lease(job, context, hooks.models);
  const std::string& model_sha256 = lease.sha256();
  if (!job.model_sha256.empty() && job.model_sha256 != model_sha256)
    context.warn("the model {} (sha256 {}...) is not the one that the job was made with ({}...): the picture will differ", job.model, model_sha256.substr(0, 12),
                 job.model_sha256.substr(0, 12));
  const Provenance provenance(job, model_sha256, context.device, context.dtype);
  JobResult result;
  const auto facts = [&]() -> Json {
    return {{"seconds", seconds_since(start)}, {"stages", observer.stages()}, {"peak_bytes", peak_memory()}, {"warnings", observer.warnings()}};
  };
  PictureWriter writer(job, provenance, hooks, result);
  Json findings = Json::array();
  const auto make = [&](const Json& params) {
    job.method->run({params, job.inputs, lease.pointer(), trace, lease.path(), hooks.watch}, context, [&](const MethodOutput& output) {
      if (trace == nullptr) writer.write(output, facts());
      result.text += output.text;
      if (output.image.width == 0 && !output.write && !output.result.is_null()) findings.push_back(output.result);
    });
  };
  try {
    if (trace == nullptr && writer.is_continued()) {
      const std::vector<Json> pictures = single_pictures(job.params);
      for (size_t i = 0; i < pictures.size(); ++i)
        if (!writer.is_done(static_cast<int64_t>(i), pictures[i])) make(pictures[i]);
    } else {
      make(job.params);
    }
  } catch (...) {
    // Methods leave the model as it was, whatever they throw; memory that ran out wants it freed.
    const ExitCode code = as_error(std::current_exception()).code();
    if (code == ExitCode::kOutOfMemory || code == ExitCode::kUnexpected) lease.give_up();
    throw;
  }
  result.record = provenance.job(job.params)["record"];
  result.record.update(facts());
  if (!findings.empty()) result.record["results"] = findings;
  result.record["method"] = job.method->name;
  result.record["model"] = job.model;
  result.record["model_sha256"] = model_sha256;
  result.record["files"] = result.record["skipped"] = Json::array();
  for (const fs::path& path : result.files) result.record["files"].push_back(path.string());
  for (const fs::path& path : result.skipped) result.record["skipped"].push_back(path.string());
  return result;
}

Json plan_job(const Job& job) {
  if (!to_stdout(job)) check_folder(job.output.folder, 4096);
  const at::Device device = parse_device(job.run.device);
  const at::ScalarType dtype = parse_dtype(job.run.dtype, device);
  const ModelFiles files(model_path(job));
  int64_t elements = 0;
  for (const std::string& component : files.components()) {
    if (component.starts_with("tokenizer") || component == "scheduler") continue;
    for (const auto& [name, info] : files.weights(component)->tensors()) elements += c10::multiply_integers(info.shape);
  }
  int64_t index = 0;
  return {{"model", files.path().string()},
          {"family", files.family()},
          {"device", device.is_cuda() ? "cuda" : "cpu"},
          {"dtype", dtype_name(dtype)},
          {"threads", job.run.threads > 0 ? job.run.threads : at::get_num_threads()},
          {"weight_bytes", elements * static_cast<int64_t>(c10::elementSize(dtype))},
          {"first_file", to_stdout(job) ? "-" : picture_path(job, job.params, index).string()}};
}

}  // namespace attelier
