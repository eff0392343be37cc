#include "core/media/video_file.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

#ifdef ATTELIER_WITH_VIDEO
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#endif

namespace attelier {
namespace {

std::string lower_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return extension;
}

}  // namespace

bool is_video_name(const std::filesystem::path& path) {
  constexpr std::array<std::string_view, 6> kExtensions = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"};
  return std::find(kExtensions.begin(), kExtensions.end(), lower_extension(path)) != kExtensions.end();
}

#ifdef ATTELIER_WITH_VIDEO

namespace {

constexpr double kUsualRate = 25;

cv::Mat as_bgr(const Image& frame) {
  cv::Mat bgr;
  cv::cvtColor(cv::Mat(static_cast<int>(frame.height), static_cast<int>(frame.width), CV_8UC3, const_cast<uint8_t*>(frame.pixels.data())), bgr, cv::COLOR_RGB2BGR);
  return bgr;
}

}  // namespace

struct VideoReader::State {
  std::string path;
  cv::VideoCapture capture;
};

VideoReader::VideoReader(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  state_->path = path.string();
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);  // the error says what there is to say
  bool opened = false;
  try {
    opened = state_->capture.open(path.string()) && width() > 0 && height() > 0;
  } catch (const cv::Exception&) {
  }
  if (!opened) fail(ExitCode::kBadInput, "{}: cannot be read as a video; convert it to .mp4 or .avi", path.string());
}
VideoReader::~VideoReader() = default;

int64_t VideoReader::width() const { return std::lround(state_->capture.get(cv::CAP_PROP_FRAME_WIDTH)); }
int64_t VideoReader::height() const { return std::lround(state_->capture.get(cv::CAP_PROP_FRAME_HEIGHT)); }
double VideoReader::frames_per_second() const {
  const double rate = state_->capture.get(cv::CAP_PROP_FPS);
  return std::isfinite(rate) && rate > 0 && rate < 10000 ? rate : kUsualRate;
}
int64_t VideoReader::frames() const {
  const double count = state_->capture.get(cv::CAP_PROP_FRAME_COUNT);
  return std::isfinite(count) && count > 0 && count < 1e9 ? std::lround(count) : 0;
}

bool VideoReader::read(Image& frame) {
  cv::Mat bgr, rgb;
  try {
    if (!state_->capture.read(bgr) || bgr.empty()) return false;
    cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
  } catch (const cv::Exception& error) {
    fail(ExitCode::kBadInput, "{}: a frame cannot be decoded: {}", state_->path, error.what());
  }
  frame = {rgb.cols, rgb.rows, 3, {}};
  frame.pixels.assign(rgb.datastart, rgb.dataend);
  return true;
}

bool VideoReader::skip() {
  try {
    return state_->capture.grab();
  } catch (const cv::Exception& error) {
    fail(ExitCode::kBadInput, "{}: a frame cannot be decoded: {}", state_->path, error.what());
  }
}

struct VideoWriter::State {
  std::string path;
  int64_t width = 0, height = 0;
  cv::VideoWriter writer;
};

VideoWriter::VideoWriter(const std::filesystem::path& path, int64_t width, int64_t height, double frames_per_second) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.path = path.string();
  s.width = width;
  s.height = height;
  const std::string extension = lower_extension(path);
  const bool jpeg = extension == ".avi" || extension == ".mkv";
  if (!jpeg && extension != ".mp4" && extension != ".m4v" && extension != ".mov") fail(ExitCode::kBadInput, "{}: videos are written as .mp4, .m4v, .mov, .avi or .mkv", path.string());
  bool opened = false;
  try {
    const int codec = jpeg ? cv::VideoWriter::fourcc('M', 'J', 'P', 'G') : cv::VideoWriter::fourcc('m', 'p', '4', 'v');
    opened = s.writer.open(path.string(), codec, frames_per_second, cv::Size(static_cast<int>(width), static_cast<int>(height)));
  } catch (const cv::Exception&) {
  }
  if (!opened) fail(ExitCode::kBadInput, "{}: a video of {} x {} pixels cannot be written there; try .avi, a smaller scale, or another folder", path.string(), width, height);
}
VideoWriter::~VideoWriter() = default;

void VideoWriter::write(const Image& frame) {
  if (frame.width != state_->width || frame.height != state_->height || frame.channels != 3)
    fail(ExitCode::kUnexpected, "{}: a frame of {}x{} with {} channels does not belong to a video of {}x{}", state_->path, frame.width, frame.height, frame.channels, state_->width,
         state_->height);
  state_->writer.write(as_bgr(frame));
}

void VideoWriter::finish() { state_->writer.release(); }

#else

namespace {

[[noreturn]] void no_video(const std::filesystem::path& path) { fail(ExitCode::kBadInput, "{}: this build reads no videos; install libopencv-videoio-dev and build again", path.string()); }

}  // namespace

struct VideoReader::State {};
VideoReader::VideoReader(const std::filesystem::path& path) { no_video(path); }
VideoReader::~VideoReader() = default;
int64_t VideoReader::width() const { return 0; }
int64_t VideoReader::height() const { return 0; }
double VideoReader::frames_per_second() const { return 0; }
int64_t VideoReader::frames() const { return 0; }
bool VideoReader::read(Image&) { return false; }
bool VideoReader::skip() { return false; }
struct VideoWriter::State {};
VideoWriter::VideoWriter(const std::filesystem::path& path, int64_t, int64_t, double) { no_video(path); }
VideoWriter::~VideoWriter() = default;
void VideoWriter::write(const Image&) {}
void VideoWriter::finish() {}

#endif

}  // namespace attelier
