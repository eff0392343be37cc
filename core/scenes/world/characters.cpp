#include "core/scenes/world/characters.h"

namespace attelier::world {
namespace {

constexpr const char* kNames[] = {"Mia", "Otto", "Luna", "Felix", "Ida", "Bruno", "Nora", "Hugo", "Ella", "Theo", "Frida", "Emil", "Rosa", "Anton", "Lily", "Max", "Clara", "Oskar", "Maya", "Leo", "Greta", "Finn", "Zoe", "Paul"};
static_assert(std::size(kNames) == kNamedCharacters);
constexpr Hue kBright[] = {Hue::kRed, Hue::kOrange, Hue::kYellow, Hue::kGreen, Hue::kTurquoise, Hue::kBlue, Hue::kPurple, Hue::kPink, Hue::kWhite};
constexpr std::string_view kHats[] = {"", "top hat", "pointed hat", "cap", "woolly hat", "crown"};

void wear_hat(Builder& b, const Identity& who, const Vec3& crown, float size) {
  const Colour colour = colour_of(who.hat_hue);
  const int cloth = b.plain(colour, 0.15f), band = b.plain(colour * 0.45f);
  const auto at = [&](float x, float y, float z) { return crown + Vec3{x, y, z} * size; };
  switch (who.hat) {
    case Hat::kTopHat:
      b.tube(at(0, -0.05f, 0), at(0, 0, 0), 1.25f * size, 1.25f * size, cloth), b.tube(at(0, 0, 0), at(0, 1.05f, 0), 0.82f * size, 0.88f * size, cloth), b.tube(at(0, 0.02f, 0), at(0, 0.2f, 0), 0.85f * size, 0.85f * size, band);
      break;
    case Hat::kPointedHat:
      b.tube(at(0, -0.12f, 0), at(0, -0.04f, 0), 1.3f * size, 1.2f * size, cloth), b.tube(at(0, -0.05f, 0), at(0.1f, 1.7f, -0.1f), 0.92f * size, 0.03f * size, b.patterned(Pattern::kSpots, colour, shown(1, 0.9f, 0.5f), 0.09f));
      break;
    case Hat::kCap: b.ball(at(0, -0.2f, 0), Vec3{1.02f, 0.75f, 1.02f} * size, cloth), b.rounded(at(0, -0.12f, 0.95f), Vec3{0.7f, 0.06f, 0.55f} * size, 0.05f * size, band); break;
    case Hat::kWoollyHat:
      b.ball(at(0, -0.2f, 0), Vec3{1.04f, 0.95f, 1.04f} * size, b.patterned(Pattern::kStripes, colour, mix(colour, shown(1, 1, 1), 0.55f), 0.09f)), b.ring(at(0, -0.22f, 0), 0.93f * size, 0.17f * size, cloth), b.ball(at(0, 0.85f, 0), Vec3{0.27f, 0.27f, 0.27f} * size, b.plain(shown(0.97f, 0.96f, 0.93f)));
      break;
    case Hat::kCrown: {
      const int gold = b.plain(shown(0.95f, 0.75f, 0.25f), 0.9f);
      b.tube(at(0, -0.15f, 0), at(0, 0.2f, 0), 0.8f * size, 0.85f * size, gold);
      for (int i = 0; i < 7; ++i) {
        const Vec3 side{0.75f * cosine(0.8976f * static_cast<float>(i) + 0.22f), 0, 0.75f * sine(0.8976f * static_cast<float>(i) + 0.22f)};
        b.tube(at(side.x, 0.15f, side.z), at(1.15f * side.x, 0.62f, 1.15f * side.z), 0.22f * size, 0.03f * size, gold), b.ball(at(1.15f * side.x, 0.64f, 1.15f * side.z), Vec3{0.09f, 0.09f, 0.09f} * size, b.plain(colour, 0.9f));
      }
      break;
    }
    default: break;
  }
}

}  // namespace

Identity identity(int number) {
  Dice dice(0x1de7717, static_cast<uint64_t>(number));
  constexpr Kind kSpecies[] = {Kind::kPerson, Kind::kPerson, Kind::kBear, Kind::kFox, Kind::kRabbit};
  constexpr Hue kHair[] = {Hue::kBlack, Hue::kBrown, Hue::kOrange, Hue::kYellow, Hue::kGrey}, kFur[] = {Hue::kBrown, Hue::kWhite, Hue::kGrey, Hue::kBlack};
  Identity who;
  who.number = number;
  who.name = kNames[static_cast<size_t>(number) % std::size(kNames)];
  who.species = dice.pick(kSpecies);
  who.body = who.species == Kind::kPerson ? dice.pick(kHair) : who.species == Kind::kFox ? Hue::kOrange : dice.pick(kFur);
  who.shirt = dice.pick(kBright);
  do who.trousers = dice.pick(kBright);
  while (who.trousers == who.shirt);
  who.hat = static_cast<Hat>(dice.below(static_cast<int>(Hat::kCount)));
  do who.hat_hue = dice.pick(kBright);
  while (who.hat_hue == who.shirt);
  who.scarf = dice.chance(0.4f), who.glasses = dice.chance(0.25f);
  do who.scarf_hue = dice.pick(kBright);
  while (who.scarf_hue == who.shirt);
  who.skin = dice.uniform(), who.girth = dice.uniform(0.88f, 1.2f), who.stature = dice.uniform(0.85f, 1.15f);
  return who;
}

std::string describe(const Identity& who) {
  const auto a = [](std::string_view word) { return std::string(std::string_view("aeiou").find(word[0]) != std::string_view::npos ? "an " : "a ") + std::string(word); };
  std::string text = a(name_of(who.species).singular) + " in " + a(name_of(who.shirt)) + (who.species == Kind::kPerson ? " shirt" : " coat");
  if (who.hat != Hat::kNone && who.hat != Hat::kCrown) text += " with " + a(name_of(who.hat_hue)) + " " + std::string(kHats[static_cast<size_t>(who.hat)]);
  if (who.hat == Hat::kCrown) text += " with a crown";
  if (who.scarf) text += std::string(who.hat == Hat::kNone ? " with " : " and ") + a(name_of(who.scarf_hue)) + " scarf";
  return text;
}

int add_character(Builder& b, const Identity& who, const Vec3& position, float yaw, bool walking) {
  const int number = b.begin(who.species, who.shirt, position, yaw, who.stature);
  Object& object = b.object();
  object.name = who.name, object.description = describe(who), object.character = who.number;
  const bool animal = who.species != Kind::kPerson;
  const Colour skin_colour = mix(shown(0.36f, 0.22f, 0.15f), shown(0.96f, 0.78f, 0.66f), who.skin), fur_colour = who.species == Kind::kFox ? shown(0.88f, 0.45f, 0.14f) : colour_of(who.body);
  const int skin = animal ? b.material({.base = fur_colour, .second = fur_colour * 0.75f, .pattern = Pattern::kFur, .scale = 0.16f, .bump = 0.005f, .softness = 0.35f}) : b.material({.base = skin_colour, .second = skin_colour, .gloss = 0.1f, .softness = 0.3f});
  const int pale = b.plain(mix(fur_colour, shown(0.98f, 0.95f, 0.9f), 0.75f)), shirt = b.material({.base = colour_of(who.shirt), .second = colour_of(who.shirt) * 0.85f, .pattern = Pattern::kWeave, .scale = 0.03f, .softness = 0.2f});
  const int trousers = b.plain(colour_of(who.trousers) * 0.9f), shoe = b.plain(shown(0.25f, 0.17f, 0.13f), 0.4f), dark = b.plain(shown(0.05f, 0.05f, 0.06f), 0.8f), shine = b.glowing(shown(1, 1, 1), 0.8f);
  const float g = who.girth, pace = walking ? 0.9f : 0.3f, stride = walking ? 0.5f : 0.02f;
  if (walking) b.move({MotionKind::kBounce, {}, {0, 1, 0}, 0.05f, pace, 0});
  else b.move({MotionKind::kSquash, {}, {0, 1, 0}, 0.012f, 0.3f, b.dice.uniform()});
  for (const float side : {-1.f, 1.f}) {
    b.hinge({MotionKind::kSwing, {side * 0.12f * g, 0.45f, 0}, {1, 0, 0}, stride, pace, side > 0 ? 0 : 0.5f});
    b.limb({side * 0.12f * g, 0.45f, 0}, {side * 0.13f * g, 0.12f, 0}, 0.085f, trousers), b.ball({side * 0.13f * g, 0.06f, 0.05f}, {0.095f, 0.07f, 0.15f}, shoe), b.steady();
    b.hinge({MotionKind::kSwing, {side * 0.25f * g, 0.85f, 0}, {1, 0, 0}, walking ? 0.6f : 0.08f, pace, side > 0 ? 0.5f : 0});
    b.limb({side * 0.25f * g, 0.86f, 0}, {side * 0.36f * g, 0.58f, 0.06f}, 0.07f, shirt), b.ball({side * 0.37f * g, 0.51f, 0.08f}, {0.075f, 0.075f, 0.075f}, animal ? pale : skin), b.steady();
  }
  b.lathe_body({0, 0.36f, 0}, 0.66f, 0.27f * g, {0.85f, 1, 1.02f, 0.92f, 0.75f, 0.3f}, shirt);
  for (int i = 0; i < 3; ++i) b.ball({0, 0.58f + 0.12f * static_cast<float>(i), (0.275f - 0.012f * static_cast<float>(i)) * g}, {0.018f, 0.018f, 0.01f}, b.plain(mix(colour_of(who.trousers), shown(1, 1, 1), 0.4f), 0.5f));
  const Vec3 head{0, 1.24f, 0.02f};
  const float r = 0.27f;
  b.ball(head, {r * 1.02f, r * 0.98f, r}, skin);
  if (animal) {
    const float snout = who.species == Kind::kFox ? 0.16f : 0.1f;
    if (who.species == Kind::kFox) b.tube(head + Vec3{0, -0.06f, 0.18f}, head + Vec3{0, -0.07f, 0.42f}, 0.14f, 0.04f, pale);
    else b.ball(head + Vec3{0, -0.07f, 0.22f}, {0.12f, 0.09f, snout}, pale);
    b.ball(head + Vec3{0, -0.03f, who.species == Kind::kFox ? 0.43f : 0.32f}, {0.04f, 0.032f, 0.03f}, dark);
    for (const float side : {-1.f, 1.f}) {
      const int inner = b.plain(shown(0.92f, 0.66f, 0.62f));
      if (who.species == Kind::kRabbit) b.ball(head + Vec3{side * 0.13f, 0.42f, -0.02f}, {0.075f, 0.28f, 0.05f}, skin, rotation_z(-0.15f * side)), b.ball(head + Vec3{side * 0.132f, 0.42f, 0.018f}, {0.042f, 0.22f, 0.025f}, inner, rotation_z(-0.15f * side));
      else if (who.species == Kind::kFox) b.tube(head + Vec3{side * 0.17f, 0.15f, 0}, head + Vec3{side * 0.24f, 0.42f, 0}, 0.11f, 0.01f, skin), b.tube(head + Vec3{side * 0.172f, 0.17f, 0.05f}, head + Vec3{side * 0.235f, 0.37f, 0.035f}, 0.07f, 0.008f, pale);
      else b.ball(head + Vec3{side * 0.21f, 0.2f, 0}, {0.1f, 0.1f, 0.06f}, skin), b.ball(head + Vec3{side * 0.21f, 0.2f, 0.04f}, {0.06f, 0.06f, 0.03f}, inner);
    }
    if (who.species == Kind::kFox) b.limb({0, 0.45f, -0.25f}, {0.15f, 0.4f, -0.5f}, 0.1f, skin), b.ball({0.22f, 0.5f, -0.6f}, {0.12f, 0.16f, 0.14f}, pale);
  } else {
    const int hair = b.material({.base = who.body == Hue::kYellow ? shown(0.92f, 0.75f, 0.38f) : who.body == Hue::kOrange ? shown(0.78f, 0.38f, 0.14f) : colour_of(who.body), .second = colour_of(who.body) * 0.6f, .pattern = Pattern::kFur, .scale = 0.12f, .bump = 0.006f});
    b.ball(head + Vec3{0, 0.06f, -0.05f}, {r * 1.07f, r * 1.02f, r}, hair);
    if (who.number % 2) b.ball(head + Vec3{0, -0.12f, -0.13f}, {r * 1.08f, r * 1.15f, r * 0.72f}, hair);
    else b.ball(head + Vec3{0.08f, 0.24f, 0.1f}, {0.2f, 0.08f, 0.14f}, hair, rotation_z(-0.3f));
    b.ball(head + Vec3{0, -0.04f, r}, {0.035f, 0.035f, 0.04f}, skin);
    for (const float side : {-1.f, 1.f}) b.ball(head + Vec3{side * 0.15f, -0.09f, 0.215f}, {0.05f, 0.035f, 0.02f}, b.plain(mix(skin_colour, shown(0.93f, 0.4f, 0.4f), 0.4f)));
    b.rounded(head + Vec3{0, -0.135f, 0.235f}, {0.06f, 0.013f, 0.012f}, 0.012f, b.plain(shown(0.6f, 0.2f, 0.2f)), rotation_x(0.4f));
  }
  for (const float side : {-1.f, 1.f}) {
    const Vec3 eye = head + Vec3{side * 0.1f, 0.04f, 0.245f};
    b.ball(eye, {0.034f, 0.045f, 0.02f}, dark), b.ball(eye + Vec3{0.012f, 0.018f, 0.016f}, {0.011f, 0.011f, 0.007f}, shine);
    if (who.glasses) b.ring(eye + Vec3{0, 0, 0.015f}, 0.075f, 0.01f, dark, rotation_x(0.5f * kPi));
  }
  if (who.glasses) b.limb(head + Vec3{-0.03f, 0.05f, 0.27f}, head + Vec3{0.03f, 0.05f, 0.27f}, 0.009f, dark);
  if (who.scarf) {
    const int wool = b.patterned(Pattern::kRings, colour_of(who.scarf_hue), mix(colour_of(who.scarf_hue), shown(1, 1, 1), 0.5f), 0.1f);
    b.ring({0, 0.99f, 0.01f}, 0.17f, 0.075f, wool), b.rounded({0.1f, 0.8f, 0.23f * g}, {0.06f, 0.17f, 0.025f}, 0.025f, wool, rotation_x(-0.12f));
  }
  wear_hat(b, who, head + Vec3{0, 0.2f, 0}, 0.24f);
  b.steady();
  return number;
}

}  // namespace attelier::world
