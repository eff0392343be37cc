// The loss of a training run as CSV and as a picture.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace attelier {

struct LossPoint {
  int64_t step = 0;
  double loss = 0;
};

void write_losses(const std::filesystem::path& path, const std::vector<LossPoint>& points);
/// The points before `step`; none when the file does not exist.
std::vector<LossPoint> read_losses(const std::filesystem::path& path, int64_t step);
/// A 640x360 PNG, both axes logarithmic.
void save_loss_curve(const std::filesystem::path& path, const std::vector<LossPoint>& points);

}  // namespace attelier
