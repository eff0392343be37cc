// People, bears, foxes and rabbits with an identity that recurs from scene to scene.
#pragma once

#include <cstdint>
#include <string>

#include "core/scenes/world/builder.h"

namespace attelier::world {

enum class Hat : unsigned char { kNone, kTopHat, kPointedHat, kCap, kWoollyHat, kCrown, kCount };

/// Who somebody is. The same identity looks the same in every scene.
struct Identity {
  int number = 0;
  std::string name;
  Kind species = Kind::kPerson;  // kPerson, kBear, kFox or kRabbit
  Hue body = Hue::kBrown;        // hair of people, fur of animals
  Hue shirt = Hue::kRed, trousers = Hue::kBlue, hat_hue = Hue::kGreen;
  Hat hat = Hat::kNone;
  bool scarf = false, glasses = false;
  Hue scarf_hue = Hue::kYellow;
  float skin = 0.5f;             // 0 dark to 1 light
  float girth = 1, stature = 1;
};

/// So many characters have a name of their own; then the names come again.
constexpr int kNamedCharacters = 24;

/// Whom a number stands for.
Identity identity(int number);
/// "a fox with a red coat and a blue pointed hat"
std::string describe(const Identity& identity);
/// Builds the character as a new object that stands at `position`; returns its number. `walking` moves the legs and arms.
int add_character(Builder& builder, const Identity& identity, const Vec3& position, float yaw, bool walking);

}  // namespace attelier::world
