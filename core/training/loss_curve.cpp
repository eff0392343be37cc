#include "core/training/loss_curve.h"

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

#include "core/base/files.h"
#include "core/media/image.h"

namespace attelier {

void write_losses(const std::filesystem::path& path, const std::vector<LossPoint>& points) {
  std::string text = "step,loss\n";
  for (const LossPoint& point : points) text += fmt::format("{},{:.6g}\n", point.step, point.loss);
  write_file_atomically(path, text);
}

std::vector<LossPoint> read_losses(const std::filesystem::path& path, int64_t step) {
  std::vector<LossPoint> points;
  std::ifstream stream(path);
  std::string line;
  std::getline(stream, line);
  while (std::getline(stream, line)) {
    LossPoint point;
    char comma = 0;
    std::istringstream fields(line);
    if (fields >> point.step >> comma >> point.loss && point.step < step) points.push_back(point);
  }
  return points;
}

void save_loss_curve(const std::filesystem::path& path, const std::vector<LossPoint>& points) {
  Image picture{640, 360, 3, std::vector<uint8_t>(640 * 360 * 3, 255)};
  const auto dot = [&](int64_t x, int64_t y, uint8_t red, uint8_t green, uint8_t blue) {
    if (x < 0 || y < 0 || x >= picture.width || y >= picture.height) return;
    uint8_t* pixel = &picture.pixels[static_cast<size_t>((y * picture.width + x) * 3)];
    pixel[0] = red, pixel[1] = green, pixel[2] = blue;
  };
  double lowest = 1e30, highest = 1e-30;
  for (const LossPoint& point : points)
    if (point.loss > 0) lowest = std::min(lowest, point.loss), highest = std::max(highest, point.loss);
  if (lowest < highest) {
    const double last = std::log(static_cast<double>(points.back().step) + 10);
    const auto column = [&](double step) { return static_cast<int64_t>(20 + 600 * (std::log(step + 10) - std::log(10.0)) / (last - std::log(10.0) + 1e-9)); };
    const auto row = [&](double loss) { return static_cast<int64_t>(340 - 320 * std::log(loss / lowest) / std::log(highest / lowest)); };
    for (int decade = -8; decade <= 4; ++decade)
      for (int64_t x = 20; x <= 620; x += 2) dot(x, row(std::pow(10.0, decade)), 210, 210, 210);
    for (int decade = 1; decade <= 7; ++decade)
      for (int64_t y = 20; y <= 340; y += 2) dot(column(std::pow(10.0, decade)), y, 210, 210, 210);
    for (size_t i = 1; i < points.size(); ++i) {
      const int64_t x0 = column(static_cast<double>(points[i - 1].step)), x1 = column(static_cast<double>(points[i].step));
      const int64_t y0 = row(points[i - 1].loss), y1 = row(points[i].loss);
      const int64_t n = std::max<int64_t>({std::abs(x1 - x0), std::abs(y1 - y0), 1});
      for (int64_t j = 0; j <= n; ++j)
        for (int64_t width = 0; width < 2; ++width) dot(x0 + (x1 - x0) * j / n, y0 + (y1 - y0) * j / n + width, 30, 90, 180);
    }
  }
  save_image(path, picture);
}

}  // namespace attelier
