// The app in its window on a screen of its own, with hands on mouse and keyboard.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/files.h"
#include "core/media/image.h"
#include "tests/desktop/screen.h"
#include "tests/e2e/program.h"
#include "tests/testing/sanitizers.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {

class DesktopFixture : public testing::Test {
 protected:
  using Json = nlohmann::json;
  static constexpr double kStart = 30, kJob = 120;  // seconds that nothing here may need even on a crowded machine
  static constexpr int kWidth = 1400, kHeight = 900;
  /// The window's number of threads: another one may change a last bit, as the kernels of libtorch split their sums by it on some processors.
  static inline const std::map<std::string, std::string> kOneThread = {{"OMP_NUM_THREADS", "1"}};

  void SetUp() override {
    if (!screen_.is_open()) GTEST_SKIP() << "Xvfb is not installed";
    pictures_ = home_.path() / "Pictures" / "Attelier";
  }

  /// Of the window. In a sanitizer build leaks are not looked for: the driver of software OpenGL leaves some 200 bytes, and they have no name to be told by.
  std::map<std::string, std::string> environment() const {
    std::map<std::string, std::string> all = {{"DISPLAY", screen_.display()}, {"LIBGL_ALWAYS_SOFTWARE", "1"}, {"OMP_NUM_THREADS", "1"}};
    if (kSanitized) all["ASAN_OPTIONS"] = "detect_leaks=0";
    return all;
  }
  std::unique_ptr<Program> open(std::vector<std::string> more = {}, uint64_t address_space = 0) {
    more.insert(more.begin(), {"gui", "--width", std::to_string(kWidth), "--height", std::to_string(kHeight), "--landmarks", (home_.path() / "landmarks.json").string()});
    auto program = std::make_unique<Program>(home_.path(), more, "", environment(), address_space);
    EXPECT_TRUE(screen_.focus("Attelier", kStart)) << program->finish().errors;
    usleep(500'000);
    return program;
  }
  void write_prompt(const std::string& text) const {
    screen_.key("ctrl+l");
    usleep(200'000);
    screen_.key("ctrl+a");
    screen_.type(text);
    screen_.key("Escape");
    usleep(200'000);
  }
  static std::vector<std::filesystem::path> pngs_in(const std::filesystem::path& folder, const std::string& start = "") {
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      const std::string name = entry.path().filename().string();
      if (entry.path().extension() == ".png" && name.starts_with(start) && name.find(".tmp-") == std::string::npos) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  /// What jobs made, without pictures of the window.
  std::vector<std::filesystem::path> pictures() const {
    std::vector<std::filesystem::path> files = pngs_in(pictures_);
    std::erase_if(files, [](const std::filesystem::path& file) { return file.filename().string().starts_with("window_"); });
    return files;
  }
  bool wait_for_pictures(size_t count) const {
    return wait_until(kJob, [&] { return pictures().size() >= count; });
  }
  /// The window as it is now, saved by the app itself (F12).
  Image look() const {
    const size_t before = pngs_in(pictures_, "window_").size();
    screen_.key("F12");
    EXPECT_TRUE(wait_until(kStart, [&] { return pngs_in(pictures_, "window_").size() > before; }));
    return load_image(pictures_ / ("window_" + std::to_string(before) + ".png"));
  }
  /// The pointer away from the canvas, where it leaves traces.
  Image look_at_canvas() const {
    screen_.hand({"mousemove", "700", "880"});
    usleep(150'000);
    return look();
  }
  /// The newest autosave: what the form holds, some seconds later.
  Json saved() const {
    std::filesystem::path newest;
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(home_.path() / "attelier" / "autosave", error)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("document-") && entry.path().extension() == ".json" && name > newest.filename().string()) newest = entry.path();
    }
    if (newest.empty() || !std::filesystem::exists(newest, error)) return {};
    return Json::parse(read_file(newest), nullptr, false);
  }
  /// Runs an action by the first words of its name.
  void palette(const std::string& words) const {
    screen_.key("ctrl+p");
    usleep(250'000);
    screen_.type(words);
    usleep(150'000);
    screen_.key("Return");
    usleep(250'000);
  }
  /// Where a control stands now, [left, top, right, bottom]; nothing where it is not in the window.
  std::optional<std::array<int, 4>> find_place(const std::string& name) const {
    std::error_code error;
    if (!std::filesystem::exists(home_.path() / "landmarks.json", error)) return std::nullopt;
    const Json all = Json::parse(read_file(home_.path() / "landmarks.json"), nullptr, false);
    if (!all.is_object() || !all.contains(name)) return std::nullopt;
    return all[name].get<std::array<int, 4>>();
  }
  /// Waits until it is there and stays where it is.
  std::array<int, 4> place(const std::string& name) const {
    std::optional<std::array<int, 4>> before, found;
    EXPECT_TRUE(wait_until(kStart, [&] {
      before = found;
      found = find_place(name);
      usleep(100'000);
      return found && found == before;
    })) << "no \"" << name << "\" in the window";
    return found.value_or(std::array<int, 4>{});
  }
  /// Clicks on it, at `share` of its width.
  void press(const std::string& name, int button = 1, double share = 0.5) const {
    // What has just appeared may still move: it is pressed where it stays.
    auto where = place(name);
    int x = 0, y = 0;
    for (int tries = 0; tries < 20; ++tries) {
      const auto [left, top, right, bottom] = where;
      x = left + static_cast<int>(share * (right - left)), y = (top + bottom) / 2;
      screen_.hand({"mousemove", std::to_string(x), std::to_string(y)});
      usleep(150'000);
      if (const auto now = place(name); now == where) break;
      else where = now;
    }
    screen_.click(x, y, button);
    usleep(250'000);
  }
  /// Of "quiet" in the file of --frame-times. A frame that waits for a file, a search or a picture is many times as long as those around it, however slowly
  /// the machine draws; and the usual one must do for a hand.
  static void expect_no_slow_frame(const Json& frames) {
    const double usual = frames["p50_ms"];
    EXPECT_GT(frames["frames"], 100);
    EXPECT_LT(usual, 120) << frames.dump();
    EXPECT_LT(frames["p95_ms"], std::max(60.0, 3 * usual)) << frames.dump();
    EXPECT_LT(frames["p99_ms"], std::max(100.0, 5 * usual)) << frames.dump();
  }
  /// Chooses a file in the file browser that this control opens.
  void choose_file(const std::string& control, const std::string& file) const {
    press(control);
    press("folder");
    screen_.key("ctrl+a");
    screen_.type(file);
    screen_.key("Return");
    EXPECT_TRUE(wait_until(kStart, [&] { return !find_place("folder"); })) << file << " was not taken";
  }
  static constexpr int kMiddleX = 740, kMiddleY = 370;  // of the canvas, and so of a picture that is fitted into it
  static std::array<int, 3> pixel(const Image& image, int x, int y) {
    const uint8_t* const p = image.pixels.data() + (y * image.width + x) * 3;
    return {p[0], p[1], p[2]};
  }
  /// The largest difference of a channel.
  static int difference(const Image& a, const Image& b, int x, int y) {
    int far = 0;
    for (size_t c = 0; c < 3; ++c) far = std::max(far, std::abs(pixel(a, x, y)[c] - pixel(b, x, y)[c]));
    return far;
  }
  static Json job_of(const std::filesystem::path& picture) { return Json::parse(read_png_texts(read_file(picture), picture.string()).at("attelier-job")); }
  ProgramResult quit(Program& program) const {
    screen_.key("ctrl+q");
    return program.finish();
  }
  /// A job file; few steps keep tests short.
  std::string job(const std::string& name, const Json& params, const Json& inputs = Json::object()) const {
    Json all = {{"prompt", "a red house"}, {"steps", 2}, {"seed", 7}};
    all.update(params);
    home_.write(name, Json{{"job", 1}, {"method", "generate"}, {"inputs", inputs}, {"params", all}}.dump());
    return (home_.path() / name).string();
  }
  /// A job file of the method style, ready to be opened.
  std::string style_job(const Json& inputs, int steps = 8) const {
    home_.write("style.json", Json{{"job", 1}, {"method", "style"}, {"inputs", inputs}, {"params", {{"steps", steps}}}}.dump());
    return (home_.path() / "style.json").string();
  }
  static std::string example(const std::string& name) { return std::string(ATTELIER_SOURCE_DIR) + "/assets/examples/" + name; }

  TemporaryFolder home_;
  Screen screen_;
  std::filesystem::path pictures_;
};

}  // namespace attelier
