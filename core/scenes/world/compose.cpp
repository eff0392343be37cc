#include "core/scenes/world/compose.h"

namespace attelier::world {
namespace {

/// 0 small (fits a lap), 1 the size of people, 2 the size of houses.
int size_class(Kind kind) {
  const float height = extent_of(kind).height;
  return height < 0.95f ? 0 : height < 2.45f ? 1 : 2;
}
bool flies(Kind kind) { return kind == Kind::kBalloon || kind == Kind::kAeroplane; }
bool swims(Kind kind) { return kind == Kind::kBoat || kind == Kind::kDuck; }
bool drives(Kind kind) { return kind == Kind::kCar || kind == Kind::kBus || kind == Kind::kTrain || kind == Kind::kAeroplane || kind == Kind::kBoat; }
bool walks(Kind kind) {
  return kind == Kind::kDog || kind == Kind::kSheep || kind == Kind::kCow || kind == Kind::kRabbit || kind == Kind::kPenguin || kind == Kind::kDuck || kind == Kind::kRobot;
}

struct Subject {
  Kind kind;
  int character = -1;
  float scale = 1;
  bool end_on = false;  // turned towards the viewer: takes less of the row
  float radius() const { return extent_of(kind).radius * scale * (end_on ? 0.6f : drives(kind) ? 1.1f : 1); }
  float height() const { return extent_of(kind).height * scale; }
};

std::vector<Subject> choose_subjects(const Scene& scene, Dice& dice, const Wish& wish) {
  std::vector<Subject> subjects;
  for (const int who : wish.characters) subjects.push_back({identity(who).species, who});
  if (!wish.things.empty()) {
    for (const Kind kind : wish.things) subjects.push_back({kind});
    return subjects;
  }
  const std::vector<Kind> choice = things_of(scene.place);
  if (subjects.empty() && dice.chance(0.25f)) {
    const int who = dice.below(24);
    subjects.push_back({identity(who).species, who});
  }
  // Sizes that go together: all within one class of the first, which decides how near the viewer stands.
  constexpr float kCounts[] = {0.3f, 0.65f, 0.88f, 1};
  const float draw = dice.uniform();
  size_t count = 1;
  while (draw > kCounts[count - 1]) ++count;
  count = std::max(count, subjects.size() + (subjects.empty() ? 0 : 1));
  for (int attempt = 0; attempt < 200 && subjects.size() < count; ++attempt) {
    const Kind kind = !subjects.empty() && subjects.back().character < 0 && dice.chance(0.2f) ? subjects.back().kind : dice.pick(choice);
    const bool fits = std::all_of(subjects.begin(), subjects.end(), [&](const Subject& s) { return std::abs(size_class(s.kind) - size_class(kind)) <= (s.character >= 0 ? 1 : 0) || (flies(kind) && size_class(s.kind) == 2); });
    if (!fits) continue;
    subjects.push_back({kind, -1, size_class(kind) == 0 ? dice.uniform(1, 1.3f) : dice.uniform(0.9f, 1.1f)});
  }
  for (size_t i = subjects.size(); i > 1; --i) std::swap(subjects[i - 1], subjects[static_cast<size_t>(dice.below(static_cast<int>(i)))]);
  return subjects;
}

void add_motion(Builder& b, const Subject& s) {
  if (drives(s.kind)) b.move({MotionKind::kTravel, {}, {1, 0, 0}, b.dice.uniform(0.5f, 1)});
  else if (s.kind == Kind::kBall) b.move({MotionKind::kBounce, {}, {0, 1, 0}, 0.7f, 0.5f, b.dice.uniform()}), b.move({MotionKind::kSpin, {0, 0.35f, 0}, {0, 0, 1}, 0, 0.2f, 0});
  else if (s.kind == Kind::kCube) b.move({MotionKind::kSpin, {}, {0, 1, 0}, 0, 0.08f, 0});
  else if (s.kind == Kind::kBird) b.move({MotionKind::kBounce, {}, {0, 1, 0}, 0.3f, 0.6f, 0});
  else if (walks(s.kind)) b.move({MotionKind::kTravel, {}, {0, 0, 1}, b.dice.uniform(0.15f, 0.35f)});
  else if (s.kind == Kind::kCat || s.kind == Kind::kSnowman) b.move({MotionKind::kSquash, {}, {0, 1, 0}, 0.04f, 0.5f, b.dice.uniform()});
}

/// Puts the subjects in a row, larger ones further back, and the viewer where they fill the picture.
void place_subjects(Builder& b, std::vector<Subject>& subjects, const Wish& wish, float stage) {
  Scene& scene = b.scene();
  float x = -stage;
  float tallest = 0.5f;
  for (const Subject& s : subjects) {
    const float r = s.radius();
    Vec3 at{x + r, 0, b.dice.uniform(-0.3f, 0.3f) * r - (s.height() > 3 ? 1.5f : 0)};
    if (subjects.size() == 1) at.x = b.dice.uniform(-0.25f, 0.25f) * r;
    x += 2 * r + std::min(0.6f, 0.4f * r);
    if (swims(s.kind) && scene.has_water()) {
      while (at.z > -60 && scene.ground_height(at.x, at.z) > scene.water_level - (s.kind == Kind::kBoat ? 0.5f : 0.15f)) at.z -= 0.25f;
      at.y = scene.water_level + (s.kind == Kind::kBoat ? -0.12f : -0.03f);
    } else {
      at.y = scene.ground_height(at.x, at.z) - 0.02f;
    }
    if (s.kind == Kind::kBalloon) at.y += b.dice.uniform(1.5f, 3.5f), at.z -= 3;
    if (s.kind == Kind::kAeroplane) at.y += b.dice.uniform(2.5f, 4), at.z -= 2;
    float yaw = b.dice.uniform(-0.55f, 0.55f);
    if (s.end_on) yaw = (b.dice.chance(0.5f) ? 0.5f : -0.5f) * kPi + b.dice.uniform(-0.3f, 0.3f);
    else if (drives(s.kind)) yaw = b.dice.uniform(-0.6f, 0.35f) + (b.dice.chance(0.5f) ? kPi : 0);
    if (s.kind == Kind::kFence || s.kind == Kind::kBridge) yaw *= 0.4f;
    if (s.character >= 0) {
      add_character(b, identity(s.character), at, yaw, wish.moving);
    } else {
      const Hue hue = hue_for(s.kind, b.dice);
      Hue second = hue_for(Kind::kBall, b.dice);
      if (second == hue) second = hue == Hue::kWhite ? Hue::kRed : Hue::kWhite;
      b.begin(s.kind, hue, at, yaw, s.scale);
      if (wish.moving) add_motion(b, s);
      build_thing(b, s.kind, hue, second);
    }
    tallest = std::max(tallest, at.y + s.height() - std::min(0.f, at.z) * 0.04f);
  }
  const float middle = scene.ground_height(0, 0);
  // Far enough for the row's width and the tallest, with air around.
  const float field = b.dice.uniform(0.72f, 0.86f), half = 0.5f * field, tangent = sine(half) / cosine(half);
  const float away = std::max(stage * b.dice.uniform(1.2f, 1.4f) / tangent, 0.5f * (tallest - middle) * b.dice.uniform(1.3f, 1.6f) / tangent) + 0.8f;
  const float turn = b.dice.uniform(-0.3f, 0.3f), lift = 0.16f * away + b.dice.uniform(0.1f, 0.5f);
  Vec3 eye{away * sine(turn), middle + lift, away * cosine(turn)};
  eye.y = std::max(eye.y, scene.ground_height(eye.x, eye.z) + 0.5f);
  scene.view = {eye, {0.12f * eye.x, middle + 0.45f * (tallest - middle) + 0.03f * away, -0.5f}, field};
}

void light_lamps(Builder& b) {
  Scene& scene = b.scene();
  if (scene.daytime != Daytime::kNight && scene.daytime != Daytime::kSunset) return;
  for (const Object& object : scene.objects) {
    if (object.kind == Kind::kStreetLamp) scene.light.lamps.push_back({object.position + Vec3{0, 3.1f, 0}, Colour{1.9f, 1.25f, 0.6f}, 2.6f, false});
    if (object.kind == Kind::kHouse) scene.light.lamps.push_back({object.position + Vec3{2.6f * sine(object.yaw), 1.5f, 2.6f * cosine(object.yaw)}, Colour{0.9f, 0.55f, 0.24f}, 1.6f, false});
  }
}

}  // namespace

std::vector<Kind> things_of(Place place) {
  const std::vector<Kind> anywhere = {Kind::kHouse, Kind::kCar, Kind::kCat, Kind::kDog, Kind::kBird, Kind::kRabbit, Kind::kBall, Kind::kRobot, Kind::kBalloon, Kind::kBench, Kind::kTent};
  std::vector<Kind> own;
  switch (place) {
    case Place::kMeadow: own = {Kind::kTree, Kind::kWindmill, Kind::kSheep, Kind::kCow, Kind::kFlower, Kind::kFlower, Kind::kMushroom, Kind::kFence, Kind::kWell, Kind::kBush, Kind::kTrain, Kind::kCastle, Kind::kAeroplane, Kind::kCube}; break;
    case Place::kForest: own = {Kind::kMushroom, Kind::kMushroom, Kind::kTree, Kind::kTower, Kind::kWell, Kind::kBush, Kind::kRock, Kind::kBridge}; break;
    case Place::kMountains: own = {Kind::kCastle, Kind::kTower, Kind::kPine, Kind::kSheep, Kind::kCow, Kind::kRock, Kind::kTrain, Kind::kAeroplane, Kind::kFlower}; break;
    case Place::kSeaside: return {Kind::kBoat, Kind::kBoat, Kind::kLighthouse, Kind::kUmbrella, Kind::kPalm, Kind::kBall, Kind::kDog, Kind::kBird, Kind::kCube, Kind::kHouse, Kind::kRobot, Kind::kBench, Kind::kBalloon};
    case Place::kDesert: return {Kind::kCactus, Kind::kCactus, Kind::kTent, Kind::kCar, Kind::kTower, Kind::kTrain, Kind::kAeroplane, Kind::kRobot, Kind::kRock, Kind::kBird, Kind::kBalloon, Kind::kPalm};
    case Place::kSnow: return {Kind::kSnowman, Kind::kSnowman, Kind::kPenguin, Kind::kPenguin, Kind::kHouse, Kind::kPine, Kind::kDog, Kind::kRabbit, Kind::kCastle, Kind::kTrain, Kind::kStreetLamp, Kind::kBench, Kind::kCar};
    case Place::kLake: return {Kind::kBoat, Kind::kDuck, Kind::kDuck, Kind::kTree, Kind::kHouse, Kind::kTent, Kind::kBench, Kind::kDog, Kind::kRabbit, Kind::kBush, Kind::kWindmill, Kind::kBridge, Kind::kFlower};
    case Place::kStreet: return {Kind::kCar, Kind::kCar, Kind::kBus, Kind::kBench, Kind::kDog, Kind::kCat, Kind::kUmbrella, Kind::kBall, Kind::kRobot, Kind::kPlant, Kind::kBird};
    case Place::kVillage: own = {Kind::kHouse, Kind::kHouse, Kind::kWell, Kind::kFence, Kind::kWindmill, Kind::kTower, Kind::kCow, Kind::kSheep, Kind::kTree}; break;
    default: return {Kind::kApple};
  }
  own.insert(own.end(), anywhere.begin(), anywhere.end());
  return own;
}

Hue hue_for(Kind kind, Dice& dice) {
  constexpr Hue kAny[] = {Hue::kRed, Hue::kOrange, Hue::kYellow, Hue::kGreen, Hue::kTurquoise, Hue::kBlue, Hue::kPurple, Hue::kPink, Hue::kWhite};
  constexpr Hue kTree[] = {Hue::kGreen, Hue::kGreen, Hue::kOrange, Hue::kYellow, Hue::kPink, Hue::kRed}, kCat[] = {Hue::kBlack, Hue::kWhite, Hue::kOrange, Hue::kBrown, Hue::kGrey}, kDog[] = {Hue::kBlack, Hue::kWhite, Hue::kBrown, Hue::kGrey};
  constexpr Hue kSheep[] = {Hue::kWhite, Hue::kWhite, Hue::kBlack}, kCow[] = {Hue::kWhite, Hue::kBrown, Hue::kBlack}, kApple[] = {Hue::kRed, Hue::kGreen, Hue::kYellow}, kPear[] = {Hue::kGreen, Hue::kYellow}, kGrape[] = {Hue::kPurple, Hue::kGreen, Hue::kRed};
  switch (kind) {
    case Kind::kTree: return dice.pick(kTree);
    case Kind::kPine: case Kind::kPalm: case Kind::kCactus: case Kind::kMelon: return Hue::kGreen;
    case Kind::kCat: return dice.pick(kCat);
    case Kind::kDog: case Kind::kRabbit: return dice.pick(kDog);
    case Kind::kSheep: return dice.pick(kSheep);
    case Kind::kCow: return dice.pick(kCow);
    case Kind::kDuck: return dice.chance(0.6f) ? Hue::kYellow : Hue::kWhite;
    case Kind::kPenguin: case Kind::kStreetLamp: return Hue::kBlack;
    case Kind::kRock: return Hue::kGrey;
    case Kind::kBridge: return Hue::kBrown;
    case Kind::kApple: return dice.pick(kApple);
    case Kind::kPear: return dice.pick(kPear);
    case Kind::kGrapes: return dice.pick(kGrape);
    case Kind::kOrange: return Hue::kOrange;
    case Kind::kLemon: case Kind::kBanana: return Hue::kYellow;
    default: return dice.pick(kAny);
  }
}

Scene compose(uint64_t seed, const Wish& wish) {
  Dice dice(seed, 0xc0);
  Scene scene;
  scene.seed = seed;
  scene.place = static_cast<Place>(dice.below(static_cast<int>(Place::kCount)));
  scene.daytime = static_cast<Daytime>(dice.below(static_cast<int>(Daytime::kCount)));
  const float draw = dice.uniform();
  scene.weather = draw < 0.6f ? Weather::kClear : draw < 0.8f ? Weather::kCloudy : draw < 0.9f ? Weather::kFoggy : Weather::kRainy;
  if (!wish.characters.empty() && !wish.place && scene.place == Place::kStillLife) scene.place = Place::kMeadow;  // nobody fits on a table
  if (!wish.things.empty()) scene.place = stands_on_tables(wish.things[0]) ? Place::kStillLife : static_cast<Place>(static_cast<int>(scene.place) % static_cast<int>(Place::kLivingRoom));
  if (wish.place) scene.place = *wish.place;
  if (wish.daytime) scene.daytime = *wish.daytime;
  if (scene.place == Place::kSnow && draw > 0.55f) scene.weather = Weather::kSnowing;
  if (is_indoors(scene.place)) scene.weather = Weather::kClear;
  if (wish.weather) scene.weather = *wish.weather;
  set_mood(scene, dice.fork(1));
  Builder builder(scene, dice.fork(2));
  if (scene.place == Place::kStillLife) {
    lay_still_life(builder, wish);
    return scene;
  }
  if (is_indoors(scene.place)) {
    furnish_room(builder, wish);
    return scene;
  }
  Dice choice = dice.fork(3);
  std::vector<Subject> subjects = choose_subjects(scene, choice, wish);
  for (Subject& s : subjects) s.end_on = scene.place == Place::kStreet && drives(s.kind);
  float stage = 0;
  const auto half_row = [](const Subject& s) { return s.radius() + 0.5f * std::min(0.6f, 0.4f * s.radius()); };
  for (const Subject& s : subjects) stage += half_row(s);
  // A street is only so wide.
  while (scene.place == Place::kStreet && stage > 4.2f && subjects.size() > 1) {
    const auto last = std::find_if(subjects.rbegin(), subjects.rend(), [](const Subject& s) { return s.character < 0; });
    if (last == subjects.rend()) break;
    stage -= half_row(*last), subjects.erase(std::next(last).base());
  }
  set_landscape(builder, stage);
  place_subjects(builder, subjects, wish, stage);
  light_lamps(builder);
  if (scene.weather == Weather::kSnowing) add_snowfall(builder, (scene.view.eye + scene.view.target) * 0.5f);
  if (scene.weather == Weather::kRainy) add_rainfall(builder, (scene.view.eye + scene.view.target) * 0.5f);
  return scene;
}

}  // namespace attelier::world
