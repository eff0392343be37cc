#include "core/training/sample.h"

#include "core/scenes/small_world.h"
#include "core/training/pictures.h"
#include "core/training/rolling_pool.h"

namespace attelier {
namespace {

/// Flat scenes and textures.
class DrawnSource : public SampleSource {
 public:
  DrawnSource(double scene_share, uint64_t seed, int64_t size) : scene_share_(scene_share), seed_(seed), size_(size) {}
  Sample sample(int64_t number) const override {
    DrawnPicture picture = draw_picture(seed_, number, size_, scene_share_);
    return {.pixels = std::move(picture.pixels), .caption = std::move(picture.caption), .depth = std::move(picture.depth), .instances = std::move(picture.things)};
  }
  std::vector<std::string> captions(int64_t count, const Context&) const override { return caption_sample(count); }

 private:
  double scene_share_;
  uint64_t seed_;
  int64_t size_;
};

}  // namespace

std::vector<Sample> draw_samples(const SampleSource& source, int64_t first, int64_t count, int threads) {
  return make_side_by_side(first, count, threads, [&](int64_t number) { return source.sample(number); });
}

std::unique_ptr<SampleSource> make_drawn_source(double scene_share, uint64_t seed, int64_t size) { return std::make_unique<DrawnSource>(scene_share, seed, size); }

void check_data(const Json& data, const std::filesystem::path& base, ConfigProblems& problems) {
  const std::string source = data.at("source");
  check_world_names(data, problems);
  const auto only_for = [&](const char* owner, std::initializer_list<const char*> names) {
    if (source == owner) return;
    for (const char* name : names)
      if (!data.at(name).is_null()) problems.add(std::string("/data/") + name, "belongs to \"source\": \"{}\"; this source is \"{}\"", owner, source);
  };
  only_for("folder", {"path"});
  only_for("world", {"looks", "places", "characters"});
  if (source == "folder") check_folder(data, base, problems);
}

std::unique_ptr<SampleSource> make_sample_source(const Json& data, uint64_t seed, int64_t size, const std::filesystem::path& base, const Context& context) {
  const std::string source = data.at("source");
  if (source == "folder") return make_folder_source(data, seed, size, base, context);
  if (source == "world") return make_world_source(data, seed, size);
  return make_drawn_source(source == "textures" ? 0 : 1 - data.at("texture_share").get<double>(), seed, size);
}

}  // namespace attelier
