#include "pipelines/style/trajectory_cache.h"

#include <algorithm>
#include <vector>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/weights/tensor_file.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolderName = "trajectories";

fs::path path_of(const TrajectoryKey& key, const fs::path& folder) { return folder / (key.digest() + ".safetensors"); }

std::string_view bytes_of(const at::Tensor& contiguous) { return {static_cast<const char*>(contiguous.const_data_ptr()), contiguous.nbytes()}; }

/// The latents of one file, undefined where it is not whole.
at::Tensor read(const fs::path& path, at::IntArrayRef shape) {
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  try {
    const auto file = open_tensors(path);
    const at::Tensor latents = file->read("latents").clone();
    if (latents.sizes() != shape || latents.scalar_type() != at::kFloat || file->metadata().at("sha256") != sha256(bytes_of(latents))) return {};
    fs::last_write_time(path, fs::file_time_type::clock::now(), error);
    return latents;
  } catch (const std::exception&) {
    return {};
  }
}

void trim(const fs::path& folder, uint64_t limit) {
  struct Entry {
    fs::path path;
    fs::file_time_type used;
    uint64_t size;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    entries.push_back({entry.path(), entry.last_write_time(), entry.file_size()});
    total += entries.back().size;
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
  for (const Entry& entry : entries) {
    if (total <= limit) return;
    fs::remove(entry.path);
    total -= entry.size;
  }
}

}  // namespace

TrajectoryKey& TrajectoryKey::add(std::string_view text) {
  digest_ = sha256(digest_ + "|" + std::string(text));
  return *this;
}

TrajectoryKey& TrajectoryKey::add(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.to(at::kCPU).contiguous();
  return add(fmt::format("{} [{}]", c10::toString(plain.scalar_type()), fmt::join(plain.sizes(), ","))).add(bytes_of(plain));
}

fs::path trajectory_folder() { return cache_folder() / kFolderName; }

fs::path trajectory_folder(const fs::path& picture) {
  const fs::path own = picture.parent_path() / kFolderName;
  std::error_code error;
  return fs::is_directory(own, error) ? own : trajectory_folder();
}

at::Tensor load_trajectory(const TrajectoryKey& key, at::IntArrayRef shape, const fs::path& folder) {
  const at::Tensor latents = read(path_of(key, folder), shape);
  if (latents.defined() || folder == trajectory_folder()) return latents;
  const at::Tensor cached = read(path_of(key, trajectory_folder()), shape);
  if (cached.defined()) save_trajectory(key, cached, folder);
  return cached;
}

void save_trajectory(const TrajectoryKey& key, const at::Tensor& latents, const fs::path& folder, uint64_t limit) {
  try {
    const at::Tensor plain = latents.to(at::kCPU).contiguous();
    fs::create_directories(folder);
    write_safetensors(path_of(key, folder), {{"latents", plain}}, {{"sha256", sha256(bytes_of(plain))}});
    trim(folder, limit);
  } catch (const std::exception&) {
    // A full or read-only folder only costs time.
  }
}

}  // namespace attelier
