#include "app/desktop/picture_loader.h"

#include <algorithm>
#include <vector>

#include "core/base/error.h"

namespace attelier::desktop {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 30;  // of decoded pictures that nobody shows

Image small(const Image& image) {
  const int64_t longest = std::max(image.width, image.height), side = PictureLoader::kThumbnailSide;
  if (longest <= side) return to_rgb(image);
  const auto scaled = [&](int64_t length) { return std::max<int64_t>(1, length * side / longest); };
  return resize_lanczos(to_rgb(image), scaled(image.width), scaled(image.height));
}

int64_t bytes(const SharedPicture& picture) { return picture ? static_cast<int64_t>(picture->image.pixels.size()) : 0; }

}  // namespace

PictureLoader::PictureLoader(std::function<void()> wake) : wake_(std::move(wake)), thread_([this](std::stop_token stop) { work(std::move(stop)); }) {}

PictureLoader::~PictureLoader() {
  thread_.request_stop();
  waiting_.notify_all();
}

SharedPicture PictureLoader::find(const std::filesystem::path& file, bool small) {
  std::error_code error;
  const auto changed = std::filesystem::last_write_time(file, error);
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[{file.string(), small}];
  entry.used = ++clock_;
  if (!error && entry.changed != changed) {
    entry.changed = changed;
    entry.problem.clear();
    entry.requested = false;
  }
  if (error) entry.problem = "the file is not there";
  if (!entry.requested && entry.problem.empty()) {
    entry.requested = true;
    requests_.push_back({file.string(), small});
    waiting_.notify_one();
  }
  return entry.picture;
}

SharedPicture PictureLoader::from_bytes(const std::string& name, const std::function<std::string()>& png) {
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[{name, true}];
    entry.used = ++clock_;
    if (entry.requested) return entry.picture;
    entry.requested = true;
  }
  SharedPicture picture;
  try {
    if (const std::string data = png(); !data.empty()) picture = make_picture(decode_image(data, name), name);
  } catch (const Error&) {  // a list without one picture is still a list
  }
  const std::lock_guard lock(mutex_);
  return entries_[{name, true}].picture = picture;
}

std::string PictureLoader::problem(const std::filesystem::path& file) const {
  const std::lock_guard lock(mutex_);
  for (const bool small : {false, true})
    if (const auto found = entries_.find({file.string(), small}); found != entries_.end() && !found->second.problem.empty()) return found->second.problem;
  return "";
}

bool PictureLoader::is_busy() const {
  const std::lock_guard lock(mutex_);
  return reading_ || !requests_.empty();
}

void PictureLoader::forget_old() {
  int64_t total = 0;
  std::vector<std::pair<uint64_t, Key>> unused;
  for (const auto& [key, entry] : entries_) {
    total += bytes(entry.picture);
    if (entry.picture && entry.picture.use_count() == 1 && entry.picture->texture.empty()) unused.emplace_back(entry.used, key);
  }
  std::sort(unused.begin(), unused.end());
  for (const auto& [used, key] : unused) {
    if (total <= kMostBytes) return;
    total -= bytes(entries_[key].picture);
    entries_.erase(key);
  }
}

void PictureLoader::work(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (waiting_.wait(lock, stop, [&] { return !requests_.empty(); })) {
    const Key key = requests_.front();
    requests_.pop_front();
    reading_ = true;
    lock.unlock();
    SharedPicture picture;
    std::string problem;
    try {
      const std::filesystem::path file = key.first;
      Image image = load_image(file);
      picture = make_picture(key.second ? small(image) : std::move(image), file.filename().string());
    } catch (const std::exception& error) {
      problem = error.what();
    }
    lock.lock();
    reading_ = false;
    Entry& entry = entries_[key];
    if (picture) entry.picture = picture;
    entry.problem = problem;
    forget_old();
    lock.unlock();
    if (wake_) wake_();
    lock.lock();
  }
}

}  // namespace attelier::desktop
