// Training pictures of the 3D world, with captions and truth.
#include <thread>

#include "core/scenes/texture_pictures.h"
#include "core/scenes/world/captions.h"
#include "core/scenes/world/compose.h"
#include "core/scenes/world/dice.h"
#include "core/scenes/world/painting.h"
#include "core/scenes/world/parallel.h"
#include "core/scenes/world/sequences.h"
#include "core/training/pictures.h"
#include "core/training/sample.h"
#include "core/training/world_names.h"

namespace attelier {
namespace {

class WorldSource : public SampleSource {
 public:
  WorldSource(const Json& data, uint64_t seed, int64_t size)
      : seed_(seed),
        size_(size),
        texture_share_(data.at("texture_share").get<double>()),
        looks_(all_named<world::Look>(data.at("looks"))),
        places_(all_named<world::Place>(data.at("places"))),
        characters_(data.at("characters").is_null() ? std::vector<int>() : data.at("characters").get<std::vector<int>>()) {}

  /// Of small pictures: what is noticeable depends little on the size. Each is rendered, so that they are no more than its words need.
  std::vector<std::string> captions(int64_t count, const Context& context) const override {
    constexpr int kSide = 48;
    constexpr int64_t kTogether = 64;  // between two looks at the stop token
    count = std::min<int64_t>(count, 5000);
    std::vector<std::string> all(static_cast<size_t>(count));
    const auto caption_of = [&](int64_t i) {
      const Draw draw = plan(i);
      const world::Scene scene = world::compose(draw.seed, draw.wish);
      const world::Frame frame = world::render(world::PosedScene(scene), world::still_camera(scene, kSide, kSide), {.colour = false});
      all[static_cast<size_t>(i)] = world::caption(scene, frame, draw.look, draw.wording).text;
    };
    for (int64_t first = 0; first < count; first += kTogether) {
      context.check_stop();
      context.report("reading captions", first, count);
      world::for_each_row(static_cast<int>(std::min(kTogether, count - first)), static_cast<int>(std::max(1u, std::thread::hardware_concurrency())), [&](int row) { caption_of(first + row); });
    }
    return all;
  }

  Sample sample(int64_t number) const override {
    const Draw draw = plan(number);
    if (draw.texture) return texture(draw.seed);
    const world::Scene scene = world::compose(draw.seed, draw.wish);
    const world::PosedScene posed(scene);
    const world::Camera camera = world::still_camera(scene, static_cast<int>(size_), static_cast<int>(size_));
    const world::Frame frame = world::render(posed, camera);
    std::vector<float> rgb = world::paint(frame, camera, draw.look, draw.seed);
    Sample sample;
    sample.pixels = to_bytes(rgb, size_);
    sample.caption = world::caption(scene, frame, draw.look, draw.wording).text;
    sample.depth = plane(frame.depth, at::kFloat);
    sample.kinds = plane(frame.kind, at::kByte);
    sample.instances = plane(frame.instance, at::kUInt16).to(at::kInt);
    at::Tensor axes = at::empty({3, 3}, at::kFloat);
    for (int row = 0; row < 3; ++row) axes[row].copy_(at::tensor({camera.axes.row[row].x, camera.axes.row[row].y, camera.axes.row[row].z}));
    sample.normals = at::matmul(at::from_blob(const_cast<float*>(frame.normal.data()), {size_, size_, 3}, at::kFloat), axes.t());
    return sample;
  }

 private:
  /// What picture `number` shall be.
  struct Draw {
    uint64_t seed = 0, wording = 0;
    bool texture = false;
    world::Wish wish{};
    world::Look look = world::Look::kPlain;
  };
  Draw plan(int64_t number) const {
    Draw draw{.seed = sample_seed(seed_, number)};
    world::Dice dice(draw.seed);
    draw.texture = dice.uniform() < static_cast<float>(texture_share_);
    if (!places_.empty()) draw.wish.place = dice.pick(places_);
    if (!characters_.empty()) {
      draw.wish.characters = {dice.pick(characters_)};
      if (!draw.wish.place) draw.wish.place = static_cast<world::Place>(dice.below(static_cast<int>(world::Place::kStillLife)));
    }
    if (!looks_.empty()) draw.look = dice.pick(looks_);
    else draw.look = dice.chance(1.f / 3) ? world::Look::kPlain : static_cast<world::Look>(1 + dice.below(static_cast<int>(world::Look::kCount) - 1));
    draw.wording = dice.next();
    return draw;
  }

  template <typename Value>
  at::Tensor plane(const std::vector<Value>& values, at::ScalarType type) const {
    return at::from_blob(const_cast<Value*>(values.data()), {size_, size_}, type).clone();
  }

  /// Without meaning, and flat before nothing: a wall of sky.
  Sample texture(uint64_t own) const {
    std::vector<float> rgb(static_cast<size_t>(size_ * size_ * 3));
    draw_texture_picture(own, size_, rgb.data());
    return {.pixels = to_bytes(rgb, size_), .depth = at::zeros({size_, size_}), .normals = at::zeros({size_, size_, 3}), .kinds = at::zeros({size_, size_}, at::kByte),
            .instances = at::zeros({size_, size_}, at::kInt)};
  }

  uint64_t seed_;
  int64_t size_;
  double texture_share_;
  std::vector<world::Look> looks_;
  std::vector<world::Place> places_;
  std::vector<int> characters_;
};

}  // namespace

void check_world_names(const Json& data, ConfigProblems& problems) {
  check_names(data.at("looks"), "/data/looks", all_of<world::Look>(), problems);
  check_names(data.at("places"), "/data/places", all_of<world::Place>(), problems);
  if (!data.at("characters").is_array()) return;
  if (data.at("characters").empty()) problems.add("/data/characters", "is empty; leave it out, or name the numbers of characters");
  for (const world::Place place : all_named<world::Place>(data.at("places")))
    if (place == world::Place::kStillLife) problems.add("/data/places", "names a still life, where nobody stands; \"characters\" need other places");
}

std::unique_ptr<SampleSource> make_world_source(const Json& data, uint64_t seed, int64_t size) { return std::make_unique<WorldSource>(data, seed, size); }

}  // namespace attelier
