#include "app/desktop/picture_loader.h"

#include <algorithm>
#include <new>

#include "core/base/error.h"
#include "core/base/files.h"

namespace attelier::desktop {
namespace {

constexpr size_t kMostWaiting = 256;               // of a lane: a list that is scrolled past asks for more than anybody will look at
constexpr uint64_t kLargestFile = uint64_t{1} << 31;

Image small(const Image& image) {
  const int64_t longest = std::max(image.width, image.height), side = PictureLoader::kThumbnailSide;
  if (longest <= side) return to_rgb(image);
  const auto scaled = [&](int64_t length) { return std::max<int64_t>(1, length * side / longest); };
  return resize_lanczos(to_rgb(image), scaled(image.width), scaled(image.height));
}

bool carries_job(const std::string& bytes, const std::filesystem::path& file) {
  if (file.extension() != ".png") return false;
  try {
    return read_png_texts(bytes, file.string()).contains("attelier-job");
  } catch (const Error&) {  // decoding says what is wrong with it
    return false;
  }
}

SharedPicture read_picture(const std::filesystem::path& file, bool wants_small) {
  std::string bytes = read_file(file, kLargestFile);
  const bool has_job = !wants_small && carries_job(bytes, file);
  Image image = decode_image(bytes, file.string());
  bytes = {};
  SharedPicture picture = make_picture(wants_small ? small(image) : std::move(image), file.filename().string());
  picture->carries_job = has_job;
  return picture;
}

}  // namespace

PictureLoader::PictureLoader(std::function<void()> wake) : wake_(std::move(wake)) {
  for (const Lane lane : {kWhole, kSmall}) threads_[lane] = std::jthread([this, lane](const std::stop_token& stop) { work(lane, stop); });
}

PictureLoader::~PictureLoader() {
  for (std::jthread& thread : threads_) thread.request_stop();
  for (std::jthread& thread : threads_) thread.join();
}

void PictureLoader::request(Entry& entry, const Key& key, Source source) {
  Requests& lane = requests_[key.second];
  entry.requested = true;
  lane.waiting.emplace_back(key, std::move(source));
  if (lane.waiting.size() > kMostWaiting) {
    entries_[lane.waiting.front().first].requested = false;
    lane.waiting.pop_front();
  }
  lane.changed.notify_one();
}

SharedPicture PictureLoader::find(const std::filesystem::path& file, Lane lane) {
  std::error_code error;
  const auto changed = std::filesystem::last_write_time(file, error);
  const std::lock_guard lock(mutex_);
  forget_old(lane);
  const Key key{file.string(), lane};
  Entry& entry = entries_[key];
  entry.used = ++clock_;
  if (!error && entry.changed != changed) {
    entry.changed = changed;
    entry.problem.clear();
    entry.requested = false;
  }
  if (error) entry.problem = "the file is not there";
  if (!entry.requested && entry.problem.empty()) request(entry, key, [file, lane] { return read_picture(file, lane == kSmall); });
  return entry.picture;
}

SharedPicture PictureLoader::from_bytes(const std::string& name, std::function<std::string()> png) {
  const std::lock_guard lock(mutex_);
  forget_old(kSmall);
  const Key key{name, kSmall};
  Entry& entry = entries_[key];
  entry.used = ++clock_;
  if (!entry.requested)
    request(entry, key, [name, png = std::move(png)]() -> SharedPicture {
      const std::string bytes = png();
      return bytes.empty() ? nullptr : make_picture(decode_image(bytes, name), name);
    });
  return entry.picture;
}

std::string PictureLoader::problem(const std::filesystem::path& file) const {
  const std::lock_guard lock(mutex_);
  for (const Lane lane : {kWhole, kSmall})
    if (const auto found = entries_.find({file.string(), lane}); found != entries_.end() && !found->second.problem.empty()) return found->second.problem;
  return "";
}

bool PictureLoader::is_busy() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(requests_.begin(), requests_.end(), [](const Requests& lane) { return lane.reading || !lane.waiting.empty(); });
}

void PictureLoader::forget_old(Lane lane) {
  replaced_.clear();
  if (!std::exchange(grown_[lane], false)) return;
  int64_t total = 0;
  std::vector<std::pair<uint64_t, Key>> unused;
  for (const auto& [key, entry] : entries_) {
    if (key.second != lane || !entry.picture) continue;
    total += entry.picture->bytes();
    if (entry.picture.use_count() == 1) unused.emplace_back(entry.used, key);
  }
  // The two that were asked for last stay, whatever their size: nobody holds a picture that was just read before it is asked for again.
  std::sort(unused.begin(), unused.end());
  unused.resize(unused.size() - std::min<size_t>(unused.size(), 2));
  for (const auto& [used, key] : unused) {
    if (total <= kMostBytes[lane]) return;
    total -= entries_[key].picture->bytes();
    entries_.erase(key);
  }
}

void PictureLoader::work(Lane lane, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  Requests& requests = requests_[lane];
  while (requests.changed.wait(lock, stop, [&] { return !requests.waiting.empty(); })) {
    // The newest first: what was scrolled past may wait.
    const auto [key, source] = std::move(requests.waiting.back());
    requests.waiting.pop_back();
    requests.reading = true;
    lock.unlock();
    SharedPicture picture;
    std::string problem;
    try {
      picture = source();
    } catch (const std::bad_alloc&) {
      problem = "there is not enough memory for it";
    } catch (const std::exception& error) {
      problem = error.what();
    }
    lock.lock();
    requests.reading = false;
    Entry& entry = entries_[key];
    if (picture) {
      if (entry.picture) replaced_.push_back(std::move(entry.picture));
      entry.picture = std::move(picture);
      grown_[lane] = true;
    }
    entry.problem = problem;
    lock.unlock();
    if (wake_) wake_();
    lock.lock();
  }
}

}  // namespace attelier::desktop
