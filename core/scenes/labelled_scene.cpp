#include "core/scenes/labelled_scene.h"

#include <algorithm>
#include <cmath>

#include "core/scenes/small_world.h"
#include "core/scenes/world/captions.h"
#include "core/scenes/world/dice.h"
#include "core/scenes/world/outlines.h"
#include "core/scenes/world/painting.h"
#include "core/scenes/world/sequences.h"

namespace attelier {
namespace {

template <typename Value>
std::vector<std::string> names(int first, int count) {
  std::vector<std::string> all;
  for (int i = first; i < count; ++i) {
    if constexpr (std::is_same_v<Value, world::Kind>)
      all.emplace_back(world::name_of(static_cast<Value>(i)).singular);
    else
      all.emplace_back(name_of(static_cast<Value>(i)));
  }
  return all;
}

WorldWords small_words() {
  // A day without a name is drawn as a day; night and sunset are always named.
  return {names<Thing>(0, kThingCount), names<Hue>(0, kHueCount),
          {{"place", names<Place>(0, kPlaceCount)}, {"daytime", names<Daytime>(1, kDaytimeCount)}, {"style", names<Style>(0, kStyleCount)}}};
}
WorldWords full_words() {
  using namespace world;
  const auto count = [](auto last) { return static_cast<int>(last); };
  return {names<Kind>(static_cast<int>(kFirstThing), kKindCount), names<world::Hue>(0, count(world::Hue::kCount)),
          {{"place", names<world::Place>(0, count(world::Place::kCount))}, {"daytime", names<world::Daytime>(0, count(world::Daytime::kCount))},
           {"weather", names<Weather>(0, count(Weather::kCount))}, {"style", names<Look>(0, count(Look::kCount))}}};
}

/// Labels in which nothing is known, and nothing is there where `known`.
SceneLabels blank(const WorldWords& words, bool known) {
  return {std::vector<int64_t>(words.kinds.size(), known ? 0 : -1), std::vector<int64_t>(words.kinds.size(), -1), std::vector<float>(words.kinds.size(), -1),
          std::vector<int64_t>(words.attributes.size(), -1)};
}

/// One more of a kind: hue and place are kept as long as they are the same for all.
void add_one(SceneLabels& labels, size_t kind, int64_t hue, float x) {
  const bool first = labels.count[kind] <= 0;
  labels.hue[kind] = first || labels.hue[kind] == hue ? hue : -1;
  labels.x[kind] = first ? x : -1;
  labels.count[kind] = std::min(std::max<int64_t>(0, labels.count[kind]) + 1, kMostCounted);
}

/// Contrast of neighbouring pixels, 1 from a luminance step of 0.15 on.
std::vector<float> contrast(const std::vector<float>& rgb, int64_t size) {
  std::vector<float> edges(static_cast<size_t>(size * size));
  const auto luminance = [&](int64_t x, int64_t y) {
    const float* p = rgb.data() + (std::clamp<int64_t>(y, 0, size - 1) * size + std::clamp<int64_t>(x, 0, size - 1)) * 3;
    return 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
  };
  for (int64_t y = 0; y < size; ++y)
    for (int64_t x = 0; x < size; ++x) {
      const float dx = luminance(x + 1, y) - luminance(x - 1, y), dy = luminance(x, y + 1) - luminance(x, y - 1);
      edges[static_cast<size_t>(y * size + x)] = std::min(1.f, std::sqrt(dx * dx + dy * dy) / 0.15f);
    }
  return edges;
}

LabelledScene draw_small(uint64_t seed, const LabelledSceneOptions& options) {
  const WorldWords& words = words_of(WorldName::kSmall);
  SceneDescription scene = options.independent ? independent_scene(seed) : random_scene(seed);
  if (options.style) scene.style = static_cast<Style>(*options.style);
  LabelledScene result;
  result.size = options.size;
  const auto pixels = static_cast<size_t>(options.size * options.size);
  result.rgb.resize(pixels * 3);
  const uint64_t hand = options.detail == 0 ? seed : world::mix64(seed, options.detail);
  StageMaps maps;
  draw_scene(scene, hand, options.size, result.rgb.data(), &maps);
  result.depth = std::move(maps.depth);
  result.things = std::move(maps.things);
  if (options.edges && scene.style == Style::kPlain) {
    result.edges = contrast(result.rgb, options.size);
  } else if (options.edges) {
    SceneDescription plain = scene;
    plain.style = Style::kPlain;
    std::vector<float> rgb(pixels * 3);
    draw_scene(plain, hand, options.size, rgb.data());
    result.edges = contrast(rgb, options.size);
  }
  result.labels = blank(words, true);
  for (const SceneObject& object : scene.objects) add_one(result.labels, static_cast<size_t>(object.thing), static_cast<int64_t>(object.hue), static_cast<float>(object.x));
  if (scene.style == Style::kPencil) std::fill(result.labels.hue.begin(), result.labels.hue.end(), -1);
  const int64_t daytime = std::max<int64_t>(0, static_cast<int64_t>(scene.daytime) - 1);
  result.labels.attributes = {static_cast<int64_t>(scene.place), daytime, static_cast<int64_t>(scene.style)};
  result.caption = caption(scene, seed);
  // Its captions name everything but, sometimes, the time of day.
  result.claims = result.labels;
  if (scene.daytime == Daytime::kUnnamed) result.claims.attributes[1] = -1;
  return result;
}

LabelledScene draw_full(uint64_t seed, const LabelledSceneOptions& options) {
  using namespace world;
  const WorldWords& words = words_of(WorldName::kFull);
  const auto kind_index = [](Kind kind) { return static_cast<size_t>(kind) - static_cast<size_t>(kFirstThing); };
  const Scene scene = compose(seed);
  const Camera camera = still_camera(scene, static_cast<int>(options.size), static_cast<int>(options.size));
  const Frame frame = render(PosedScene(scene), camera);
  const Look look = options.style ? static_cast<Look>(*options.style) : static_cast<Look>(mix64(seed, 0x100c) % static_cast<uint64_t>(Look::kCount));
  LabelledScene result;
  result.size = options.size;
  result.rgb = paint(frame, camera, look, options.detail == 0 ? seed : mix64(seed, options.detail));
  if (options.edges) {
    const std::vector<uint8_t> lines = outlines(maps_of(frame));
    result.edges.assign(lines.begin(), lines.end());
  }
  result.depth = frame.depth;
  result.things = frame.instance;
  result.labels = blank(words, true);
  for (const VisibleObject& seen : contents_of(scene, frame).objects) {
    const Object& object = scene.objects[static_cast<size_t>(seen.object)];
    const size_t kind = kind_index(object.kind);
    if (is_noticeable(seen, frame))
      add_one(result.labels, kind, static_cast<int64_t>(object.hue), seen.x);
    else if (result.labels.count[kind] == 0)
      result.labels.count[kind] = -1;  // a trace of it can be seen
  }
  const std::vector<int64_t> attributes = {static_cast<int64_t>(scene.place), static_cast<int64_t>(scene.daytime), static_cast<int64_t>(scene.weather), static_cast<int64_t>(look)};
  result.labels.attributes = attributes;
  const Caption text = world::caption(scene, frame, look, seed);
  result.caption = text.text;
  result.claims = blank(words, false);
  for (const Claim& claim : text.claims) {
    const size_t kind = kind_index(claim.kind);
    result.claims.count[kind] = std::min<int64_t>(kMostCounted, std::max<int64_t>(0, result.claims.count[kind]) + claim.count);
    result.claims.hue[kind] = result.labels.hue[kind];
    result.claims.x[kind] = result.labels.x[kind];
  }
  // "Two red houses" where a third one is blue says nothing of all houses.
  for (size_t kind = 0; kind < words.kinds.size(); ++kind)
    if (result.claims.count[kind] >= 0 && result.claims.count[kind] != result.labels.count[kind]) result.claims.count[kind] = result.claims.hue[kind] = -1, result.claims.x[kind] = -1;
  // Place and style are always said; time of day and weather only sometimes.
  result.claims.attributes = {attributes[0], -1, -1, attributes[3]};
  return result;
}

}  // namespace

std::string_view name_of(WorldName world) { return world == WorldName::kSmall ? "small" : "full"; }
std::optional<WorldName> world_of(std::string_view name) {
  if (name == "small") return WorldName::kSmall;
  if (name == "full") return WorldName::kFull;
  return std::nullopt;
}

int64_t WorldWords::attribute(std::string_view name) const {
  const auto found = std::find_if(attributes.begin(), attributes.end(), [&](const SceneAttribute& one) { return one.name == name; });
  return found == attributes.end() ? -1 : found - attributes.begin();
}
int64_t WorldWords::value(std::string_view attribute_name, std::string_view name) const {
  const int64_t index = attribute(attribute_name);
  if (index < 0) return -1;
  const std::vector<std::string>& values = attributes[static_cast<size_t>(index)].values;
  const auto found = std::find(values.begin(), values.end(), name);
  return found == values.end() ? -1 : found - values.begin();
}

const WorldWords& words_of(WorldName world) {
  static const WorldWords small = small_words(), full = full_words();
  return world == WorldName::kSmall ? small : full;
}

LabelledScene draw_labelled(WorldName world, uint64_t seed, const LabelledSceneOptions& options) {
  return world == WorldName::kSmall ? draw_small(seed, options) : draw_full(seed, options);
}

}  // namespace attelier
