#include "core/scenes/single_things.h"

#include <algorithm>
#include <functional>

#include "core/scenes/world/compose.h"
#include "core/scenes/world/contents.h"
#include "core/scenes/world/dice.h"
#include "core/scenes/world/painting.h"
#include "core/scenes/world/sequences.h"

namespace attelier {
namespace {

using namespace world;

constexpr int kTries = 6;
constexpr size_t kLeastShare = 50;  // one pixel of so many

/// Where this kind stands about; empty for what stands on tables.
std::vector<Place> places_of(Kind kind) {
  std::vector<Place> places;
  for (int i = 0; i < static_cast<int>(Place::kLivingRoom); ++i) {
    const std::vector<Kind> things = things_of(static_cast<Place>(i));
    if (std::find(things.begin(), things.end(), kind) != things.end()) places.push_back(static_cast<Place>(i));
  }
  return places;
}

std::vector<Kind> find_subject_kinds() {
  std::vector<Kind> kinds;
  for (int i = static_cast<int>(kFirstThing); i < kKindCount; ++i) {
    const Kind kind = static_cast<Kind>(i);
    if (stands_on_tables(kind) || !places_of(kind).empty()) kinds.push_back(kind);
  }
  return kinds;
}

/// Of a few scenes as `wish_for` wants them the first one in which the largest of the objects that are `wanted` has its share of the picture, else the best.
std::vector<float> draw_around(const std::function<Wish(uint64_t seed)>& wish_for, const std::function<bool(const Object&)>& wanted, Look look, uint64_t seed, int64_t size) {
  const int side = static_cast<int>(size);
  int64_t most = -1;
  Frame best;
  Camera camera;
  for (uint64_t attempt = 0; attempt < kTries; ++attempt) {
    const uint64_t own = mix64(seed, attempt);
    const Scene scene = compose(own, wish_for(own));
    const Camera eye = still_camera(scene, side, side);
    Frame frame = render(PosedScene(scene), eye);
    const auto seen = contents_of(scene, frame).objects;  // the largest first
    const auto largest = std::find_if(seen.begin(), seen.end(), [&](const VisibleObject& one) { return wanted(scene.objects[static_cast<size_t>(one.object)]); });
    const int64_t pixels = largest == seen.end() ? 0 : largest->pixels;
    if (pixels <= most) continue;
    most = pixels, best = std::move(frame), camera = eye;
    if (static_cast<size_t>(most) * kLeastShare >= best.pixels()) break;
  }
  return paint(best, camera, look, seed);
}

}  // namespace

const std::vector<Kind>& subject_kinds() {
  static const std::vector<Kind> kinds = find_subject_kinds();
  return kinds;
}

std::vector<float> draw_single_thing(Kind kind, Look look, uint64_t seed, int64_t size) {
  const std::vector<Place> places = places_of(kind);
  const auto wish_for = [&](uint64_t own) {
    Wish wish;
    wish.things = {kind};
    if (!places.empty()) wish.place = Dice(own, 0x91ace).pick(places);
    return wish;
  };
  return draw_around(wish_for, [kind](const Object& object) { return object.kind == kind; }, look, seed, size);
}

std::vector<float> draw_single_character(int number, Look look, uint64_t seed, int64_t size) {
  const auto wish_for = [number](uint64_t own) {
    Wish wish;
    wish.characters = {number};
    wish.place = static_cast<Place>(Dice(own, 0x91ace).below(static_cast<int>(Place::kStillLife)));
    return wish;
  };
  return draw_around(wish_for, [number](const Object& object) { return object.character == number; }, look, seed, size);
}

}  // namespace attelier
