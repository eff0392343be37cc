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
/// Where the inversions of this picture are kept: in a folder `trajectories` beside it where there is one (a style of the library, whose inversions no
/// other picture's push out), otherwise in the cache's.
std::filesystem::path trajectory_folder(const std::filesystem::path& picture);
/// The stored latents, or undefined when there are none of this shape or the file is damaged. What only the cache has is then stored in `folder` too.
at::Tensor load_trajectory(const TrajectoryKey& key, at::IntArrayRef shape, const std::filesystem::path& folder = trajectory_folder());
/// Stores f32 latents; a folder that cannot be written is no error. Those not used for longest go when the folder exceeds `limit` bytes.
void save_trajectory(const TrajectoryKey& key, const at::Tensor& latents, const std::filesystem::path& folder = trajectory_folder(), uint64_t limit = uint64_t{1} << 30);

}  // namespace attelier
