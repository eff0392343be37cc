#include "core/scenes/world/captions.h"

#include <fmt/format.h>

#include "core/scenes/world/dice.h"

namespace attelier::world {
namespace {

using Words = std::vector<std::string_view>;

const Words& style_words(Look look) {
  static const std::array<Words, static_cast<size_t>(Look::kCount)> words = {{
      {"", "", "a picture of ", "a rendering of "},
      {"a flat illustration of ", "a flat drawing of ", "a poster of "},
      {"an outline drawing of ", "a colouring book page of ", "a line drawing of "},
      {"a watercolour of ", "a watercolour painting of "},
      {"a hatched drawing of ", "a pencil drawing of ", "a pencil sketch of "},
      {"a stippled drawing of ", "a drawing in dots of "},
      {"an oil painting of ", "a painting in oil of "},
      {"a mosaic of ", "a tile mosaic of "},
      {"pixel art of ", "a pixel art picture of "},
      {"an ink drawing of ", "an ink painting of "},
  }};
  return words[static_cast<size_t>(look)];
}
const Words& place_words(Place place) {
  static const std::array<Words, static_cast<size_t>(Place::kCount)> words = {{
      {"in a meadow", "on the grass", "in the countryside"}, {"in a forest", "in the woods", "among the trees"}, {"in the mountains", "in front of mountains", "in a mountain valley"},
      {"by the sea", "at the seaside", "on the beach"}, {"in the desert", "on the sand", "among the dunes"}, {"in the snow", "on a snowy field", "in winter"}, {"by a lake", "at the lake", "on the shore of a lake"},
      {"in a street", "on a street", "in a town"}, {"in a village", "in the village"}, {"in a living room", "in the living room"}, {"in a bedroom", "in the bedroom"}, {"in a kitchen", "in the kitchen"},
      {"on a table", "in a still life"},
  }};
  return words[static_cast<size_t>(place)];
}
const Words& daytime_words(Daytime daytime) {
  static const std::array<Words, 4> words = {{{"in the morning", "early in the morning"}, {"at noon", "in daylight", "in the middle of the day"}, {"at sunset", "in the evening"}, {"at night", "by night"}}};
  return words[static_cast<size_t>(daytime)];
}
const Words& weather_words(Weather weather) {
  static const std::array<Words, 5> words = {{{"under a clear sky", "in fine weather"}, {"under a cloudy sky", "on a cloudy day"}, {"in fog", "in the mist"}, {"while it snows", "in falling snow"}, {"in the rain", "on a rainy day"}}};
  return words[static_cast<size_t>(weather)];
}

std::string with_article(std::string_view words) { return fmt::format("{} {}", std::string_view("aeiou").find(words[0]) != std::string_view::npos ? "an" : "a", words); }
std::string number_word(int n) {
  static constexpr std::array<std::string_view, 11> words = {"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"};
  return n < 11 ? std::string(words[static_cast<size_t>(n)]) : std::to_string(n);
}

/// Whether the kind comes in more than one colour that a viewer could name.
bool has_hue(Kind kind) {
  switch (kind) {
    case Kind::kPine: case Kind::kPalm: case Kind::kCactus: case Kind::kMelon: case Kind::kPenguin: case Kind::kStreetLamp: case Kind::kRock: case Kind::kBridge: case Kind::kOrange:
    case Kind::kLemon: case Kind::kBanana: case Kind::kSnowman: return false;
    default: return true;
  }
}
/// The plural with its number, or the singular with an article, and the hue.
std::string phrase(int count, Kind kind, Hue hue) {
  const KindName& name = name_of(kind);
  const std::string noun(count == 1 ? name.singular : name.plural), words = has_hue(kind) ? fmt::format("{} {}", name_of(hue), noun) : noun;
  return count == 1 ? with_article(words) : fmt::format("{} {}", number_word(count), words);
}

/// Objects that look the same to words, in the order of their sizes.
struct Group {
  Kind kind;
  Hue hue;
  std::vector<VisibleObject> members;
};
std::vector<Group> groups_of(const Scene& scene, const Frame& frame) {
  std::vector<Group> groups;
  for (const VisibleObject& seen : contents_of(scene, frame).objects) {
    if (!is_noticeable(seen, frame)) continue;
    const Object& object = scene.objects[static_cast<size_t>(seen.object)];
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& g) {
      return object.name.empty() && scene.objects[static_cast<size_t>(g.members[0].object)].name.empty() && g.kind == object.kind && (g.hue == object.hue || !has_hue(g.kind));
    });
    if (same != groups.end()) same->members.push_back(seen);
    else groups.push_back({object.kind, object.hue, {seen}});
  }
  return groups;
}

std::string group_phrase(const Scene& scene, const Group& group, Dice& dice) {
  const Object& first = scene.objects[static_cast<size_t>(group.members[0].object)];
  if (!first.name.empty()) return dice.chance(0.5f) ? fmt::format("{}, {},", first.name, first.description) : dice.chance(0.5f) ? fmt::format("{} the {}", first.name, name_of(first.kind).singular) : first.description;
  return phrase(static_cast<int>(group.members.size()), group.kind, group.hue);
}

/// A relation from a to b that the picture plainly shows.
Relation relation_between(const Scene& scene, const VisibleObject& a, const VisibleObject& b, Dice& dice) {
  if (scene.objects[static_cast<size_t>(a.object)].support == b.object) return Relation::kOn;
  const float apart = b.x - a.x;
  const bool overlap = a.left <= b.right && b.left <= a.right;
  if (overlap && a.depth < 0.8f * b.depth) return Relation::kInFrontOf;
  if (overlap && b.depth < 0.8f * a.depth) return Relation::kBehind;
  if (std::fabs(apart) < 0.12f) return Relation::kNone;
  if (!overlap && dice.chance(0.25f) && std::fabs(a.depth - b.depth) < 0.35f * std::min(a.depth, b.depth)) return Relation::kNextTo;
  return apart > 0 ? Relation::kLeftOf : Relation::kRightOf;
}
std::string_view words_of(Relation relation, Dice& dice) {
  static const std::array<Words, 7> words = {{{"and"}, {"to the left of", "left of"}, {"to the right of", "right of"}, {"in front of", "before"}, {"behind"}, {"next to", "beside"}, {"on"}}};
  return dice.pick(words[static_cast<size_t>(relation)]);
}

}  // namespace

Caption caption(const Scene& scene, const Frame& frame, Look look, uint64_t wording) {
  Dice dice(wording, 0xca);
  Caption out;
  std::vector<Group> groups = groups_of(scene, frame);
  const size_t most = is_indoors(scene.place) ? 4 : 3;
  if (groups.size() > most) groups.resize(most);
  if (groups.size() > 2 && dice.chance(0.3f)) groups.resize(2);
  out.text = dice.pick(style_words(look));
  const auto claim = [&](const Group& g) { out.claims.push_back({static_cast<int>(g.members.size()), g.kind, g.hue, g.members[0].object}); };
  const auto trimmed = [](std::string words) {
    if (!words.empty() && words.back() == ',') words.pop_back();
    return words;
  };
  for (const Group& g : groups) claim(g);
  if (groups.empty()) {
    out.text += is_indoors(scene.place) ? "a quiet scene" : "a landscape";
  } else if (groups.size() == 2 && groups[0].members.size() == 1 && groups[1].members.size() == 1 && dice.chance(0.75f)) {
    const Relation relation = relation_between(scene, groups[0].members[0], groups[1].members[0], dice);
    out.text += group_phrase(scene, groups[0], dice);
    out.text += fmt::format(" {} ", words_of(relation, dice)) + trimmed(group_phrase(scene, groups[1], dice));
    out.claims[0].relation = relation, out.claims[0].other_object = relation == Relation::kNone ? -1 : groups[1].members[0].object;
  } else {
    // Listed from left to right.
    std::stable_sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.members[0].x < b.members[0].x; });
    for (size_t i = 0; i < groups.size(); ++i) {
      const std::string words = trimmed(group_phrase(scene, groups[i], dice));
      out.text += i == 0 ? words : i + 1 < groups.size() ? ", " + words : (groups.size() == 2 && dice.chance(0.4f) ? " with " : " and ") + words;
    }
  }
  out.text += fmt::format(" {}", dice.pick(place_words(scene.place)));
  if (dice.chance(0.8f)) out.text += fmt::format(" {}", dice.pick(daytime_words(scene.daytime)));
  if (!is_indoors(scene.place) && (scene.weather != Weather::kClear || dice.chance(0.3f)) && !(scene.weather == Weather::kClear && scene.daytime == Daytime::kNight)) out.text += fmt::format(" {}", dice.pick(weather_words(scene.weather)));
  return out;
}

std::vector<Question> questions(const Scene& scene, const Frame& frame, Look look, uint64_t wording) {
  Dice dice(wording, 0x9e);
  std::vector<Question> out;
  const std::vector<Group> groups = groups_of(scene, frame);
  std::array<int, kKindCount> count_of{};
  for (const Group& g : groups) count_of[static_cast<size_t>(g.kind)] += static_cast<int>(g.members.size());
  for (const Group& g : groups) {
    const KindName& name = name_of(g.kind);
    const Object& first = scene.objects[static_cast<size_t>(g.members[0].object)];
    const int count = count_of[static_cast<size_t>(g.kind)];
    if (!first.name.empty()) {
      out.push_back({"character", fmt::format("who is {}?", first.description), first.name});
      continue;
    }
    out.push_back({"count", fmt::format("how many {} are there?", name.plural), number_word(count)});
    if (has_hue(g.kind) && count == 1) out.push_back({"colour", fmt::format("what colour is the {}?", name.singular), std::string(name_of(g.hue))});
    out.push_back({"existence", fmt::format("is there {}?", phrase(1, g.kind, g.hue)), "yes"});
  }
  for (int i = 0; i < 2; ++i) {
    // Something that cannot be seen at all, not even a little.
    const Contents contents = contents_of(scene, frame);
    for (int attempt = 0; attempt < 20; ++attempt) {
      const int kind = static_cast<int>(kFirstThing) + dice.below(kKindCount - static_cast<int>(kFirstThing));
      if (contents.pixels_of[static_cast<size_t>(kind)] > 0 || kind == static_cast<int>(Kind::kWindow) || kind == static_cast<int>(Kind::kDoor)) continue;
      out.push_back({"existence", fmt::format("is there {}?", with_article(name_of(static_cast<Kind>(kind)).singular)), "no"});
      break;
    }
  }
  if (groups.size() >= 2 && groups[0].members.size() == 1 && groups[1].members.size() == 1) {
    const VisibleObject &a = groups[0].members[0], &b = groups[1].members[0];
    const auto the = [&](const Group& g) {
      const Object& o = scene.objects[static_cast<size_t>(g.members[0].object)];
      return !o.name.empty() ? o.name : has_hue(g.kind) ? fmt::format("the {} {}", name_of(g.hue), name_of(g.kind).singular) : fmt::format("the {}", name_of(g.kind).singular);
    };
    if (std::fabs(a.x - b.x) > 0.1f) out.push_back({"position", fmt::format("is {} left or right of {}?", the(groups[0]), the(groups[1])), a.x < b.x ? "left" : "right"});
    if (std::max(a.depth, b.depth) > 1.2f * std::min(a.depth, b.depth)) out.push_back({"depth", fmt::format("which is nearer, {} or {}?", the(groups[0]), the(groups[1])), a.depth < b.depth ? the(groups[0]) : the(groups[1])});
  }
  out.push_back({"place", "where is this?", std::string(place_words(scene.place)[0])});
  out.push_back({"daytime", "what time of day is it?", std::string(name_of(scene.daytime))});
  if (!is_indoors(scene.place)) out.push_back({"weather", "what is the weather like?", std::string(name_of(scene.weather))});
  out.push_back({"style", "in which style is it made?", std::string(name_of(look))});
  return out;
}

}  // namespace attelier::world
