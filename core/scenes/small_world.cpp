#include "core/scenes/small_world.h"

#include <fmt/format.h>

#include <array>
#include <span>

#include "core/scenes/drawing.h"

namespace attelier {
namespace {

using namespace drawing;

template <typename T, size_t N>
const T& pick(Random& random, const std::array<T, N>& values) {
  return values[static_cast<size_t>(random() % N)];
}

constexpr std::array<std::string_view, 12> kThings = {"house", "tree", "pine tree", "boat", "ball", "cat", "bird", "flower", "lighthouse", "car", "balloon", "mushroom"};
constexpr std::array<std::string_view, 10> kHues = {"red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black", "brown"};
constexpr std::array<std::array<std::string_view, 2>, 6> kPlaces = {{{"in a meadow", "on the grass"},
                                                                   {"by the sea", "on the beach"},
                                                                   {"in the mountains", "in front of mountains"},
                                                                   {"in the desert", "on the sand dunes"},
                                                                   {"in the snow", "in winter"},
                                                                   {"in a forest", "in the woods"}}};
constexpr std::array<std::array<std::string_view, 2>, 4> kDaytimes = {{{"", ""}, {"on a sunny day", "under a blue sky"}, {"at sunset", "in the evening"}, {"at night", "under the stars"}}};
constexpr std::array<std::string_view, 6> kStyles = {"", "a watercolour of ", "an oil painting of ", "a pencil drawing of ", "a poster of ", "a mosaic of "};

/// Hues that things of a kind come in.
std::span<const Hue> hues_of(Thing thing) {
  static constexpr std::array<Hue, 8> any = {Hue::kRed, Hue::kOrange, Hue::kYellow, Hue::kGreen, Hue::kBlue, Hue::kPurple, Hue::kPink, Hue::kWhite};
  static constexpr std::array<Hue, 4> tree = {Hue::kGreen, Hue::kOrange, Hue::kPink, Hue::kYellow};
  static constexpr std::array<Hue, 4> cat = {Hue::kBlack, Hue::kWhite, Hue::kOrange, Hue::kBrown};
  if (thing == Thing::kTree) return tree;
  if (thing == Thing::kPine) return std::span(tree).first(1);
  if (thing == Thing::kCat) return cat;
  return any;
}

double height_of(Thing thing) {
  switch (thing) {
    case Thing::kHouse: return 0.42;
    case Thing::kTree: return 0.52;
    case Thing::kPine: return 0.55;
    case Thing::kBoat: return 0.34;
    case Thing::kBall: return 0.22;
    case Thing::kCat: return 0.32;
    case Thing::kBird: return 0.2;
    case Thing::kFlower: return 0.36;
    case Thing::kLighthouse: return 0.62;
    case Thing::kCar: return 0.24;
    case Thing::kBalloon: return 0.36;
    default: return 0.28;
  }
}

std::string noun_phrase(const SceneObject& object) {
  const std::string_view hue = kHues[static_cast<size_t>(object.hue)];
  return fmt::format("{} {} {}", hue == "orange" ? "an" : "a", hue, kThings[static_cast<size_t>(object.thing)]);
}

}  // namespace

SceneDescription random_scene(uint64_t seed) {
  Random random(seed);
  SceneDescription scene;
  scene.place = static_cast<Place>(random() % 6);
  scene.daytime = static_cast<Daytime>(random() % 4);
  scene.style = chance(random, 0.5) ? Style::kPlain : static_cast<Style>(random() % 6);
  // Washes and hatching leave nothing to see of a night.
  if (scene.daytime == Daytime::kNight && (scene.style == Style::kWatercolour || scene.style == Style::kPencil)) scene.daytime = Daytime::kUnnamed;
  const size_t count = chance(random, 0.7) ? 1 : 2;
  for (size_t i = 0; i < count; ++i) {
    SceneObject object;
    do {
      object.thing = static_cast<Thing>(random() % kThings.size());
    } while ((object.thing == Thing::kBoat && scene.place != Place::kSea) || (i > 0 && object.thing == scene.objects[0].thing));
    const std::span<const Hue> hues = hues_of(object.thing);
    object.hue = hues[static_cast<size_t>(random() % hues.size())];
    // A thing alone is the subject: large, and near the middle.
    object.size = std::min(0.8, height_of(object.thing) * (count == 1 ? uniform(random, 1.2, 1.7) : uniform(random, 0.9, 1.25)));
    object.x = count == 1 ? uniform(random, 0.38, 0.62) : i == 0 ? uniform(random, 0.2, 0.34) : uniform(random, 0.66, 0.8);
    scene.objects.push_back(object);
  }
  return scene;
}

SceneDescription independent_scene(uint64_t seed) {
  Random random(seed);
  SceneDescription scene;
  scene.place = static_cast<Place>(random() % kPlaceCount);
  scene.style = static_cast<Style>(random() % kStyleCount);
  scene.daytime = static_cast<Daytime>(random() % kDaytimeCount);
  if (scene.daytime == Daytime::kNight && (scene.style == Style::kWatercolour || scene.style == Style::kPencil)) scene.daytime = Daytime::kUnnamed;
  const double draw = uniform(random);
  const int count = draw < 0.06 ? 0 : draw < 0.45 ? 1 : draw < 0.85 ? 2 : 3;
  const double cell = 0.76 / std::max(1, count);
  for (int i = 0; i < count; ++i) {
    SceneObject object;
    object.thing = i > 0 && chance(random, 0.2) ? scene.objects[0].thing : static_cast<Thing>(random() % kThingCount);
    object.hue = static_cast<Hue>(random() % kHueCount);
    object.size = std::min(0.8, height_of(object.thing) * (count == 1 ? uniform(random, 0.9, 1.7) : uniform(random, 0.75, 1.25)));
    // One cell of the picture's width each, so that none hides another.
    object.x = 0.12 + cell * (i + 0.5) + cell * uniform(random, -0.22, 0.22);
    scene.objects.push_back(object);
  }
  return scene;
}

std::string_view name_of(Thing thing) { return kThings[static_cast<size_t>(thing)]; }
std::string_view name_of(Hue hue) { return kHues[static_cast<size_t>(hue)]; }
std::string_view name_of(Place place) { return std::array<std::string_view, kPlaceCount>{"meadow", "sea", "mountains", "desert", "snow", "forest"}[static_cast<size_t>(place)]; }
std::string_view name_of(Daytime daytime) { return std::array<std::string_view, kDaytimeCount>{"unnamed", "day", "sunset", "night"}[static_cast<size_t>(daytime)]; }
std::string_view name_of(Style style) {
  return std::array<std::string_view, kStyleCount>{"plain", "watercolour", "oil painting", "pencil", "poster", "mosaic"}[static_cast<size_t>(style)];
}

std::string caption(const SceneDescription& scene, uint64_t wording_seed) {
  Random random(wording_seed ^ 0xca9710);
  std::string text(kStyles[static_cast<size_t>(scene.style)]);
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    if (i > 0) text += chance(random, 0.5) ? " and " : " next to ";
    text += noun_phrase(scene.objects[i]);
  }
  const std::string_view place = pick(random, kPlaces[static_cast<size_t>(scene.place)]), daytime = pick(random, kDaytimes[static_cast<size_t>(scene.daytime)]);
  text += fmt::format(" {}", place);
  if (!daytime.empty()) text += fmt::format(" {}", daytime);
  return text;
}

std::vector<std::string> caption_sample(int64_t count) {
  std::vector<std::string> captions;
  for (int64_t i = 0; i < count; ++i) captions.push_back(caption(random_scene(static_cast<uint64_t>(i)), static_cast<uint64_t>(i)));
  return captions;
}

}  // namespace attelier
