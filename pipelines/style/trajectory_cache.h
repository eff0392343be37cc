// Inversions kept on disk: the second style of the same photograph costs only the sampling.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace attelier {

/// Everything that decides an inversion, hashed: pixels after resizing, prompt, model, steps, variant, dtype.
class TrajectoryKey {
 public:
  TrajectoryKey& add(std::string_view text);
  TrajectoryKey& add(const at::Tensor& tensor);
  const std::string& digest() const { return digest_; }

 private:
  std::string digest_ = "attelier-trajectory-1";
};

/// The folder of the stored inversions, under the user's cache folder.
std::filesystem::path trajectory_folder();
/// The stored latents, or undefined when there are none of this shape or the file is damaged.
at::Tensor load_trajectory(const TrajectoryKey& key, at::IntArrayRef shape);
/// Stores f32 latents; a cache that cannot be written is no error. Those not used for longest go when the cache exceeds `limit` bytes.
void save_trajectory(const TrajectoryKey& key, const at::Tensor& latents, uint64_t limit = uint64_t{1} << 30);

}  // namespace attelier
