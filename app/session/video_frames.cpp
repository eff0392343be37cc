#include "app/session/video_frames.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/media/video_file.h"

namespace attelier {
namespace {

Image reduced(const Image& image) {
  const int64_t longest = std::max(image.width, image.height), side = VideoFrames::kThumbnailSide;
  if (longest <= side) return image;
  const auto scaled = [&](int64_t length) { return std::max<int64_t>(1, length * side / longest); };
  return resize_lanczos(image, scaled(image.width), scaled(image.height));
}

}  // namespace

VideoFrames::VideoFrames(const std::filesystem::path& path, std::function<void()> wake, int64_t budget) : path_(path), wake_(std::move(wake)), budget_(budget) {
  near_.reader = std::make_unique<VideoReader>(path);
  width_ = near_.reader->width();
  height_ = near_.reader->height();
  frames_per_second_ = near_.reader->frames_per_second();
  count_ = near_.reader->frames();
  thread_ = std::jthread([this](std::stop_token stop) { work(std::move(stop)); });
}

VideoFrames::~VideoFrames() = default;

int64_t VideoFrames::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

VideoFrames::Frame VideoFrames::frame(int64_t index) {
  const std::lock_guard lock(mutex_);
  if (wanted_ != index) {
    wanted_ = index;
    waiting_.notify_one();
  }
  const auto found = frames_.find(index);
  return found == frames_.end() ? nullptr : found->second;
}

std::vector<VideoFrames::Frame> VideoFrames::thumbnails(const std::vector<int64_t>& indices) {
  const std::lock_guard lock(mutex_);
  std::vector<Frame> found;
  for (const int64_t index : indices) {
    const auto one = thumbnails_.find(index);
    found.push_back(one == thumbnails_.end() ? nullptr : one->second);
  }
  if (wanted_thumbnails_ != indices) {
    wanted_thumbnails_ = indices;
    std::sort(wanted_thumbnails_.begin(), wanted_thumbnails_.end());
    waiting_.notify_one();
  }
  return found;
}

bool VideoFrames::is_busy() {
  const std::lock_guard lock(mutex_);
  return next().head != nullptr;
}

std::string VideoFrames::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

VideoFrames::Target VideoFrames::next() {
  if (!problem_.empty()) return {};
  for (int64_t index = std::max<int64_t>(0, wanted_); index <= wanted_ + kAhead; ++index)
    if (!is_past_end(index) && frames_.count(index) == 0) return {&near_, index};
  for (const int64_t index : wanted_thumbnails_)
    if (index >= 0 && !is_past_end(index) && thumbnails_.count(index) == 0) return {&far_, index};
  if (!counted_) return {&far_, far_.position};
  return {};
}

void VideoFrames::keep(int64_t index, Image image) {
  if (std::binary_search(wanted_thumbnails_.begin(), wanted_thumbnails_.end(), index) && thumbnails_.count(index) == 0)
    thumbnails_[index] = std::make_shared<const Image>(reduced(image));
  if (!is_near(index)) return;
  const auto bytes = static_cast<int64_t>(image.pixels.size());
  frames_[index] = std::make_shared<const Image>(std::move(image));
  // The one farthest from what is looked at goes first, and never that one or those that are read ahead.
  while (static_cast<int64_t>(frames_.size()) * bytes > budget_) {
    const auto first = frames_.begin(), last = std::prev(frames_.end());
    const auto farthest = wanted_ - first->first >= last->first - wanted_ ? first : last;
    if (farthest->first >= wanted_ && farthest->first <= wanted_ + kAhead) break;
    frames_.erase(farthest);
  }
}

void VideoFrames::work(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (waiting_.wait(lock, stop, [&] { return next().head != nullptr; })) {
    const auto [head, target] = next();
    const bool opens = !head->reader || target < head->position;
    if (opens) head->position = 0;
    const int64_t position = head->position;
    const bool reads = head == &near_ ? is_near(position) : position == target && thumbnails_.count(target) == 0;
    lock.unlock();
    Image image;
    bool is_there = false;
    std::string problem;
    try {
      if (opens) head->reader = std::make_unique<VideoReader>(path_);
      is_there = reads ? head->reader->read(image) : head->reader->skip();
    } catch (const std::exception& error) {
      problem = error.what();
    }
    lock.lock();
    problem_ = problem;
    if (is_there) {
      if (reads) keep(position, std::move(image));
      count_ = std::max(count_, ++head->position);
    } else if (problem.empty()) {
      counted_ = true;
      count_ = position;
    }
    const bool tells = !is_there || (reads && position == wanted_) || (reads && head == &far_);
    lock.unlock();
    if (tells && wake_) wake_();
    lock.lock();
  }
}

void save_video_range(const std::filesystem::path& video, int64_t first, int64_t last, const std::filesystem::path& file, const std::stop_token& stop,
                      const std::function<void(int64_t done)>& progress) {
  if (first < 0 || last < first) fail(ExitCode::kBadInput, "frames {} to {} are no range; the first comes before the last, from 0", first, last);
  VideoReader reader(video);
  write_atomically(file, [&](const std::filesystem::path& temporary) {
    std::filesystem::path named = temporary;  // the writer goes by the name's end
    named.concat(file.extension().string());
    try {
      VideoWriter writer(named, reader.width(), reader.height(), reader.frames_per_second());
      Image frame;
      for (int64_t index = 0; index <= last; ++index) {
        if (stop.stop_requested()) throw Interrupted();
        if (!(index < first ? reader.skip() : reader.read(frame))) fail(ExitCode::kBadInput, "{} ends after {} frames; frames {} to {} were asked for", video.string(), index, first, last);
        if (index < first) continue;
        writer.write(frame);
        if (progress) progress(index - first + 1);
      }
      writer.finish();
      std::filesystem::rename(named, temporary);
    } catch (...) {
      std::error_code error;
      std::filesystem::remove(named, error);
      throw;
    }
  });
}

}  // namespace attelier
