#include "pipelines/style/trajectory_cache.h"

#include <algorithm>
#include <vector>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/weights/tensor_file.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

fs::path path_of(const TrajectoryKey& key) { return trajectory_folder() / (key.digest() + ".safetensors"); }

std::string_view bytes_of(const at::Tensor& contiguous) { return {static_cast<const char*>(contiguous.const_data_ptr()), contiguous.nbytes()}; }

void trim(uint64_t limit) {
  struct Entry {
    fs::path path;
    fs::file_time_type used;
    uint64_t size;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(trajectory_folder())) {
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

fs::path trajectory_folder() { return cache_folder() / "trajectories"; }

at::Tensor load_trajectory(const TrajectoryKey& key, at::IntArrayRef shape) {
  std::error_code error;
  if (!fs::exists(path_of(key), error)) return {};
  try {
    const auto file = open_tensors(path_of(key));
    const at::Tensor latents = file->read("latents").clone();
    if (latents.sizes() != shape || latents.scalar_type() != at::kFloat || file->metadata().at("sha256") != sha256(bytes_of(latents))) return {};
    fs::last_write_time(path_of(key), fs::file_time_type::clock::now(), error);
    return latents;
  } catch (const std::exception&) {
    return {};
  }
}

void save_trajectory(const TrajectoryKey& key, const at::Tensor& latents, uint64_t limit) {
  try {
    const at::Tensor plain = latents.to(at::kCPU).contiguous();
    fs::create_directories(trajectory_folder());
    write_safetensors(path_of(key), {{"latents", plain}}, {{"sha256", sha256(bytes_of(plain))}});
    trim(limit);
  } catch (const std::exception&) {
    // A full or read-only cache only costs time.
  }
}

}  // namespace attelier
