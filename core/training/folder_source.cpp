// Training pictures of a user's own folder.
#include <numeric>

#include "core/media/image.h"
#include "core/scenes/world/parallel.h"
#include "core/training/folder_listing.h"
#include "core/training/pictures.h"
#include "core/training/sample.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kLongest = 4;  // times the short side: what is looked at of a strip

fs::path folder_of(const Json& data, const fs::path& base) { return base / data.at("path").get<std::string>(); }

class FolderSource : public SampleSource {
 public:
  FolderSource(const Json& data, uint64_t seed, int64_t size, const fs::path& folder, const Context& context)
      : seed_(seed), size_(size), random_crop_(data.at("crop") == "random"), flip_(data.at("flip").get<bool>()), zoom_(data.at("zoom").get<double>()) {
    FolderListing listing = list_pictures(folder, data.at("caption").get<std::string>());
    std::vector<std::string> left_out = std::move(listing.left_out);
    const std::vector<std::string> faults = check(listing.pictures, static_cast<int>(data.at("drawing_threads").get<int64_t>()), context);
    for (size_t i = 0; i < faults.size(); ++i) {
      if (faults[i].empty()) pictures_.push_back(std::move(listing.pictures[i]));
      else left_out.push_back(faults[i]);
    }
    for (const std::string& reason : left_out) context.warn("left out: {}", reason);
    if (!left_out.empty()) context.warn("{} of {} pictures of {} are left out", left_out.size(), left_out.size() + pictures_.size(), folder.string());
    for (const fs::path& run : listing.runs) context.info("{}: the sheets and the loss curve of this run are no training pictures", run.string());
    if (pictures_.empty()) fail(ExitCode::kBadInput, "/data/path: {} has no picture that can be read; put PNG, JPEG or WebP files there", folder.string());
    context.info("{} pictures in {}; all of them are trained on, so sheets and figures show no others", pictures_.size(), folder.string());
    const auto given = std::count_if(pictures_.begin(), pictures_.end(), [](const ListedPicture& picture) { return !picture.condition.empty(); });
    has_condition_ = given == static_cast<int64_t>(pictures_.size());
  }

  std::vector<std::string> captions(int64_t, const Context&) const override {
    std::vector<std::string> all;
    for (const ListedPicture& picture : pictures_) all.push_back(picture.caption);
    return all;
  }
  std::optional<int64_t> count() const override { return static_cast<int64_t>(pictures_.size()); }
  std::vector<fs::path> uncaptioned() const override {
    std::vector<fs::path> files;
    for (const ListedPicture& picture : pictures_)
      if (picture.caption.empty()) files.push_back(picture.file);
    return files;
  }
  bool has_condition() const override { return has_condition_; }

  Sample sample(int64_t number) const override {
    const int64_t count = *this->count();
    if (number < 0) return prepare(pictures_[static_cast<size_t>((-1 - number) % count)], 1, 0.5, 0.5, false);
    // Every picture once before any comes again, in an order of its own for each round.
    const int64_t round = number / count;
    const uint64_t own = sample_seed(seed_, number);
    const auto unit = [&](uint64_t stream) { return static_cast<double>(sample_seed(own, 0, stream) >> 11) * 0x1p-53; };
    const double scale = 1 + (zoom_ - 1) * unit(1);
    const double x = random_crop_ ? unit(2) : 0.5, y = random_crop_ ? unit(3) : 0.5;
    return prepare(pictures_[static_cast<size_t>(order(round, count)[static_cast<size_t>(number % count)])], scale, x, y, flip_ && unit(4) < 0.5);
  }

 private:
  /// What is wrong with each picture, empty if nothing.
  static std::vector<std::string> check(const std::vector<ListedPicture>& pictures, int threads, const Context& context) {
    std::vector<std::string> faults(pictures.size());
    constexpr size_t kTogether = 64;  // between two looks at the stop token
    for (size_t first = 0; first < pictures.size(); first += kTogether) {
      context.check_stop();
      context.report("checking pictures", static_cast<int64_t>(first), static_cast<int64_t>(pictures.size()));
      const size_t count = std::min(kTogether, pictures.size() - first);
      world::for_each_row(static_cast<int>(count), threads, [&](int row) {
        const ListedPicture& picture = pictures[first + static_cast<size_t>(row)];
        try {
          load_image(picture.file);
          if (!picture.condition.empty()) load_image(picture.condition);
        } catch (const std::exception& error) {
          faults[first + static_cast<size_t>(row)] = error.what();
        }
      });
    }
    return faults;
  }

  std::vector<int64_t> order(int64_t round, int64_t count) const {
    std::vector<int64_t> numbers(static_cast<size_t>(count));
    std::iota(numbers.begin(), numbers.end(), int64_t{0});
    for (size_t i = numbers.size(); i > 1; --i) std::swap(numbers[i - 1], numbers[sample_seed(seed_ ^ 0x0de7, round, i) % i]);
    return numbers;
  }

  /// The square at (x, y) in 0..1 of the free way, of the picture whose short side is scale * size.
  at::Tensor square(const fs::path& file, double scale, double x, double y, bool mirrored) const {
    Image image = to_rgb(load_image(file));
    // Of a long strip the part around (x, y): enlarged as a whole it could be larger than the memory.
    const int64_t longest = kLongest * std::min(image.width, image.height);
    if (std::max(image.width, image.height) > longest) {
      const int64_t width = std::min(image.width, longest), height = std::min(image.height, longest);
      const auto start = [](double at, int64_t way) { return static_cast<int64_t>(std::llround(at * static_cast<double>(way))); };
      image = crop(image, start(x, image.width - width), start(y, image.height - height), width, height);
    }
    const double factor = std::max(1.0, scale) * static_cast<double>(size_) / static_cast<double>(std::min(image.width, image.height));
    const auto side = [&](int64_t length) { return std::max(size_, static_cast<int64_t>(std::llround(factor * static_cast<double>(length)))); };
    image = resize_lanczos(image, side(image.width), side(image.height));
    const auto offset = [&](double at, int64_t length) { return static_cast<int64_t>(std::llround(at * static_cast<double>(length - size_))); };
    image = crop(image, offset(x, image.width), offset(y, image.height), size_, size_);
    const at::Tensor pixels = at::from_blob(image.pixels.data(), {size_, size_, 3}, at::kByte).permute({2, 0, 1});
    return (mirrored ? pixels.flip(2) : pixels).contiguous().clone();
  }

  Sample prepare(const ListedPicture& picture, double scale, double x, double y, bool mirrored) const {
    Sample sample{.pixels = square(picture.file, scale, x, y, mirrored), .caption = picture.caption};
    if (!picture.condition.empty()) sample.condition = square(picture.condition, scale, x, y, mirrored);
    return sample;
  }

  uint64_t seed_;
  int64_t size_;
  bool random_crop_, flip_, has_condition_ = false;
  double zoom_;
  std::vector<ListedPicture> pictures_;
};

}  // namespace

void check_folder(const Json& data, const fs::path& base, ConfigProblems& problems) {
  if (data.at("path").is_null()) return problems.add("/data/path", "is missing: the folder with the pictures");
  std::error_code error;
  const fs::path folder = folder_of(data, base);
  if (!fs::is_directory(folder, error)) return problems.add("/data/path", "is {}, and there is no folder {}", data.at("path").dump(), folder.string());
  if (list_pictures(folder, "").pictures.empty()) problems.add("/data/path", "is {}, which holds no pictures (PNG, JPEG, WebP, BMP or TIFF) and no metadata.jsonl", data.at("path").dump());
}

std::unique_ptr<SampleSource> make_folder_source(const Json& data, uint64_t seed, int64_t size, const fs::path& base, const Context& context) {
  return std::make_unique<FolderSource>(data, seed, size, folder_of(data, base), context);
}

}  // namespace attelier
