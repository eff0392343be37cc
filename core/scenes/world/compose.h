// From a seed to a scene: place, time of day, weather, what is there and where, light, and where the picture is best taken from.
#pragma once

#include <optional>
#include <vector>

#include "core/scenes/world/characters.h"

namespace attelier::world {

/// What is wanted; everything absent is drawn from the seed.
struct Wish {
  std::optional<Place> place;
  std::optional<Daytime> daytime;
  std::optional<Weather> weather;
  std::vector<Kind> things;      // subjects, left to right; rooms furnish themselves. Without a place one is drawn that can hold them
  std::vector<int> characters;   // identities that must be there
  bool moving = false;           // subjects walk, drive, fly and bounce
};

Scene compose(uint64_t seed, const Wish& wish = {});

/// Sky, light, fog for place, daytime and weather, which must be set. Falling snow and rain are added around the middle of the view.
void set_mood(Scene& scene, Dice dice);
void add_snowfall(Builder& builder, const Vec3& middle);
void add_rainfall(Builder& builder, const Vec3& middle);
/// Ground, water and background of an outdoor place. `stage` is the half width of the subjects' row at the origin.
void set_landscape(Builder& builder, float stage);
/// Whole indoor scenes, subjects and viewpoint included.
void furnish_room(Builder& builder, const Wish& wish);
void lay_still_life(Builder& builder, const Wish& wish);

/// Fruit, crockery and other things that only still lifes hold.
inline bool stands_on_tables(Kind kind) { return kind >= Kind::kApple && kind <= Kind::kBook; }
/// Kinds that a place's subjects are drawn from.
std::vector<Kind> things_of(Place place);
/// A hue that the kind comes in.
Hue hue_for(Kind kind, Dice& dice);

}  // namespace attelier::world
