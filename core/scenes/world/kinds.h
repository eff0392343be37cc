// The names of things: classes, colours, places, times of day, weather and styles. Masks store the numbers, captions the words.
#pragma once

#include <array>
#include <string_view>

#include "core/scenes/world/geometry.h"

namespace attelier::world {

/// The class of a pixel. First the surroundings, then (from kFirstThing) the things; the numbers are what class masks hold.
enum class Kind : unsigned char {
  kSky, kGround, kWater, kPath, kWall, kFloor, kCeiling, kFront, kGreenery, kFlake,
  kHouse, kTower, kLighthouse, kWindmill, kCastle, kTent, kWell, kFence, kBridge,
  kTree, kPine, kPalm, kBush, kCactus, kFlower, kMushroom, kRock,
  kCar, kBus, kTrain, kBoat, kBalloon, kAeroplane,
  kCat, kDog, kBird, kSheep, kCow, kDuck, kRabbit, kPenguin, kFish,
  kTable, kChair, kSofa, kBed, kLamp, kBookshelf, kPicture, kRug, kWindow, kDoor, kPlant,
  kApple, kOrange, kPear, kLemon, kBanana, kGrapes, kMelon, kMug, kBottle, kBowl, kVase, kTeapot, kCake, kCandle, kBook,
  kBall, kCube, kSnowman, kRobot, kUmbrella, kStreetLamp, kBench, kPerson, kBear, kFox,
  kCount,
};
inline constexpr int kKindCount = static_cast<int>(Kind::kCount);
inline constexpr Kind kFirstThing = Kind::kHouse;

struct KindName {
  std::string_view singular, plural;
};
const KindName& name_of(Kind kind);

enum class Hue : unsigned char { kRed, kOrange, kYellow, kGreen, kTurquoise, kBlue, kPurple, kPink, kWhite, kGrey, kBlack, kBrown, kCount };
std::string_view name_of(Hue hue);
/// Linear reflectance of the hue's middle.
Colour colour_of(Hue hue);

enum class Place : unsigned char { kMeadow, kForest, kMountains, kSeaside, kDesert, kSnow, kLake, kStreet, kVillage, kLivingRoom, kBedroom, kKitchen, kStillLife, kCount };
std::string_view name_of(Place place);
inline bool is_indoors(Place place) { return place >= Place::kLivingRoom; }

enum class Daytime : unsigned char { kMorning, kNoon, kSunset, kNight, kCount };
std::string_view name_of(Daytime daytime);

enum class Weather : unsigned char { kClear, kCloudy, kFoggy, kSnowing, kRainy, kCount };
std::string_view name_of(Weather weather);

enum class Look : unsigned char { kPlain, kFlat, kOutline, kWatercolour, kHatching, kStippling, kOil, kMosaic, kPixelArt, kInk, kCount };
std::string_view name_of(Look look);

}  // namespace attelier::world
