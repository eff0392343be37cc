#include "app/desktop/comparison.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "app/desktop/widgets.h"

namespace attelier::desktop {

void Comparison::draw(const SharedPicture& a, const SharedPicture& b, const Theme& theme) {
  if (coming_.valid() && coming_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) known_ = coming_.get();
  if (!coming_.valid() && (a != a_ || b != b_)) {
    a_ = a;
    b_ = b;
    known_.reset();
    coming_ = std::async(std::launch::async, [a = &a->image, b = &b->image] { return difference_between(*a, *b); });
  }
  section("COMPARED", theme);
  faint(theme, fitted("with " + b->name, ImGui::GetContentRegionAvail().x));
  if (coming_.valid()) return faint(theme, "measuring…");
  if (!known_) return faint(theme, fmt::format("{} x {} px: of another size", b->image.width, b->image.height));
  if (known_->largest == 0) return faint(theme, "Every pixel is the same.");
  ImGui::PushFont(theme.fonts().mono);
  const auto line = [&](const char* name, const std::string& value, const char* help) {
    faint(theme, fmt::format("{:<9}{:>12}", name, value));
    tooltip(help);
  };
  line("largest", fmt::format("{} / 255", known_->largest), "The largest difference of any channel of any pixel");
  line("mean", fmt::format("{:.2f} / 255", known_->mean), "The mean absolute difference of all channels");
  line("changed", fmt::format("{:.1f} %", 100 * known_->changed), "Pixels that differ at all");
  line("PSNR", fmt::format("{:.2f} dB", known_->psnr), "Peak signal-to-noise ratio: 30 dB and more look alike, 50 dB are hardly told apart");
  if (known_->ssim) line("SSIM", fmt::format("{:.4f}", *known_->ssim), "Structural similarity of the luminance (Wang et al. 2004); 1 = the same");
  ImGui::PopFont();
}

}  // namespace attelier::desktop
