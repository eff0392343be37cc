#include "core/scenes/world/sequences.h"

#include <fmt/format.h>

namespace attelier::world {
namespace {

void keep_above_ground(const Scene& scene, Vec3& eye) {
  if (!is_indoors(scene.place)) eye.y = std::max(eye.y, std::max(scene.ground_height(eye.x, eye.z), scene.water_level) + 0.4f);
}
void keep_inside(const Scene& scene, Vec3& eye) {
  if (!is_indoors(scene.place) || scene.place == Place::kStillLife) return;
  // Rooms are at least 5.4 x 4.8 metres around the origin.
  eye.x = std::clamp(eye.x, -2.4f, 2.4f), eye.z = std::clamp(eye.z, -2.1f, 2.4f), eye.y = std::clamp(eye.y, 0.4f, 2.4f);
}

}  // namespace

Camera still_camera(const Scene& scene, int width, int height) { return look_at(scene.view.eye, scene.view.target, scene.view.field_of_view, width, height); }

Camera moving_camera(const Scene& scene, float time, int width, int height) {
  Dice dice(scene.seed, 0xca3);
  Vec3 eye = scene.view.eye, target = scene.view.target;
  const Vec3 way = eye - target, side = normalised(cross({0, 1, 0}, way));
  const float distance = length(way), sign = dice.chance(0.5f) ? 1.f : -1.f, speed = dice.uniform(0.05f, 0.1f) * sign;
  switch (dice.below(4)) {
    case 0: eye = target + rotation_y(speed * time) * way; break;                                          // orbit
    case 1: eye = target + way * (1 - 0.07f * time / (1 + 0.07f * std::fabs(time))); break;                // dolly in, slowing down
    case 2: eye += side * (speed * distance * time), target += side * (0.6f * speed * distance * time); break;  // truck
    default: eye.y += 0.06f * distance * time, eye += side * (0.4f * speed * distance * time); break;      // crane
  }
  keep_above_ground(scene, eye), keep_inside(scene, eye);
  return look_at(eye, target, scene.view.field_of_view, width, height);
}

std::vector<Camera> surrounding_cameras(const Scene& scene, int count, float sweep, int width, int height) {
  std::vector<Camera> out;
  const bool room = is_indoors(scene.place) && scene.place != Place::kStillLife;
  const Vec3 target = room ? Vec3{scene.view.target.x, 0.9f, -0.4f} : scene.view.target, way = scene.view.eye - target;
  for (int i = 0; i < count; ++i) {
    const float angle = count > 1 ? sweep * (static_cast<float>(i) / static_cast<float>(count - 1) - 0.5f) : 0;
    Vec3 eye = target + rotation_y(angle) * way;
    keep_above_ground(scene, eye), keep_inside(scene, eye);
    out.push_back(look_at(eye, target, scene.view.field_of_view, width, height));
  }
  return out;
}

Camera panorama_camera(const Scene& scene, int height) {
  const bool room = is_indoors(scene.place) && scene.place != Place::kStillLife;
  // Nearer than the still picture: things should surround the viewer.
  Vec3 eye = room ? Vec3{0.1f, 1.45f, 1.2f} : mix(scene.view.target, scene.view.eye, 0.6f);
  keep_above_ground(scene, eye);
  return panorama_at(eye, scene.view.target - scene.view.eye, height);
}

PanoramaCrop crop_panorama(const Camera& panorama, const Frame& frame, const Camera& view) {
  PanoramaCrop out;
  const size_t n = static_cast<size_t>(view.width) * static_cast<size_t>(view.height);
  out.rgb.resize(frame.rgb.empty() ? 0 : 3 * n), out.depth.resize(n);
  for (int y = 0; y < view.height; ++y)
    for (int x = 0; x < view.width; ++x) {
      const size_t i = static_cast<size_t>(y) * static_cast<size_t>(view.width) + static_cast<size_t>(x);
      const Vec3 direction = view.ray(static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f).direction;
      const auto seen = panorama.project_infinite(direction);
      const float px = seen->x - 0.5f, py = seen->y - 0.5f, fx = floor_of(px), fy = floor_of(py), u = px - fx, v = py - fy;
      const auto index = [&](int dx, int dy) {
        // Columns wrap round; rows end at the poles.
        const int sx = ((static_cast<int>(fx) + dx) % frame.width + frame.width) % frame.width, sy = std::clamp(static_cast<int>(fy) + dy, 0, frame.height - 1);
        return frame.index(sx, sy);
      };
      if (!frame.rgb.empty())
        for (size_t c = 0; c < 3; ++c)
          out.rgb[3 * i + c] = mix(mix(frame.rgb[3 * index(0, 0) + c], frame.rgb[3 * index(1, 0) + c], u), mix(frame.rgb[3 * index(0, 1) + c], frame.rgb[3 * index(1, 1) + c], u), v);
      out.depth[i] = frame.depth[index(u > 0.5f ? 1 : 0, v > 0.5f ? 1 : 0)] * dot(view.axes.row[2], direction);
    }
  return out;
}

int removable_object(const Scene& scene, const Frame& frame) {
  std::vector<int64_t> pixels(scene.objects.size());
  for (const uint16_t instance : frame.instance)
    if (instance > 0) ++pixels[instance - 1u];
  for (const Object& object : scene.objects)
    if (object.support >= 0) pixels[static_cast<size_t>(object.support)] = 0;
  int best = -1;
  for (size_t i = 0; i < pixels.size(); ++i)
    if (pixels[i] > 0 && scene.objects[i].kind != Kind::kRug && (best < 0 || pixels[i] > pixels[static_cast<size_t>(best)])) best = static_cast<int>(i);
  return best;
}

std::vector<Episode> tell_story(uint64_t seed, int count) {
  Dice dice(seed, 0x570);
  const int who = dice.below(24);
  const Identity hero = identity(who);
  constexpr Place kOutdoors[] = {Place::kMeadow, Place::kForest, Place::kStreet, Place::kSeaside, Place::kMountains, Place::kVillage, Place::kLake, Place::kDesert, Place::kSnow};
  std::vector<Episode> out;
  Place last = Place::kBedroom;
  for (int i = 0; i < count; ++i) {
    Wish wish;
    wish.characters = {who};
    // Home, out into the day, and home again.
    const bool first = i == 0 && count > 2, end = i == count - 1 && count > 2;
    Place place = first ? Place::kBedroom : end ? Place::kLivingRoom : last;
    while (!first && !end && (place == last || is_indoors(place))) place = dice.pick(kOutdoors);
    wish.place = last = place;
    wish.daytime = static_cast<Daytime>(std::min(3, i * 4 / std::max(1, count)));
    wish.weather = Weather::kClear;
    Scene scene = compose(mix64(seed, static_cast<uint64_t>(i)), wish);
    std::string companion;
    for (const Object& object : scene.objects)
      if (!is_indoors(place) && object.character != who && companion.empty()) companion = fmt::format("{} {}", name_of(object.hue), name_of(object.kind).singular);
    static constexpr std::array<std::string_view, 13> kWhere = {"in the meadow", "in the forest", "in the mountains", "by the sea", "in the desert", "in the snow", "by the lake", "in the street", "in the village", "in the living room", "in the bedroom", "in the kitchen", "at the table"};
    static constexpr std::array<std::string_view, 4> kWhen = {"in the morning", "at noon", "at sunset", "at night"};
    const std::string_view where = kWhere[static_cast<size_t>(place)], when = kWhen[static_cast<size_t>(scene.daytime)];
    std::string sentence;
    if (first) sentence = fmt::format("{}, {}, wakes up {} {}.", hero.name, describe(hero), where, when);
    else if (end) sentence = fmt::format("{} is home again, {} {}.", hero.name, where, when);
    else if (!companion.empty()) sentence = fmt::format("{} finds a {} {} {}.", hero.name, companion, where, when);
    else sentence = fmt::format("{} walks {} {}.", hero.name, where, when);
    if (sentence.find(" a orange") != std::string::npos) sentence.replace(sentence.find(" a orange"), 9, " an orange");
    out.push_back({std::move(scene), std::move(sentence)});
  }
  return out;
}

}  // namespace attelier::world
