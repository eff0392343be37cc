#include "core/scenes/world/kinds.h"

#include "core/scenes/world/functions.h"

namespace attelier::world {
namespace {

constexpr std::array<KindName, static_cast<size_t>(Kind::kCount)> kKinds = {{
    {"sky", "sky"}, {"ground", "ground"}, {"water", "water"}, {"path", "paths"}, {"wall", "walls"}, {"floor", "floor"}, {"ceiling", "ceiling"}, {"house front", "house fronts"}, {"greenery", "greenery"}, {"snow or rain", "snow or rain"},
    {"house", "houses"}, {"tower", "towers"}, {"lighthouse", "lighthouses"}, {"windmill", "windmills"}, {"castle", "castles"}, {"tent", "tents"}, {"well", "wells"}, {"fence", "fences"}, {"bridge", "bridges"},
    {"tree", "trees"}, {"pine tree", "pine trees"}, {"palm tree", "palm trees"}, {"bush", "bushes"}, {"cactus", "cactuses"}, {"flower", "flowers"}, {"mushroom", "mushrooms"}, {"rock", "rocks"},
    {"car", "cars"}, {"bus", "buses"}, {"train", "trains"}, {"boat", "boats"}, {"balloon", "balloons"}, {"aeroplane", "aeroplanes"},
    {"cat", "cats"}, {"dog", "dogs"}, {"bird", "birds"}, {"sheep", "sheep"}, {"cow", "cows"}, {"duck", "ducks"}, {"rabbit", "rabbits"}, {"penguin", "penguins"}, {"fish", "fish"},
    {"table", "tables"}, {"chair", "chairs"}, {"sofa", "sofas"}, {"bed", "beds"}, {"lamp", "lamps"}, {"bookshelf", "bookshelves"}, {"picture", "pictures"}, {"rug", "rugs"}, {"window", "windows"},
    {"door", "doors"}, {"potted plant", "potted plants"},
    {"apple", "apples"}, {"orange", "oranges"}, {"pear", "pears"}, {"lemon", "lemons"}, {"banana", "bananas"}, {"bunch of grapes", "bunches of grapes"}, {"melon", "melons"}, {"mug", "mugs"},
    {"bottle", "bottles"}, {"bowl", "bowls"}, {"vase", "vases"}, {"teapot", "teapots"}, {"cake", "cakes"}, {"candle", "candles"}, {"book", "books"},
    {"ball", "balls"}, {"cube", "cubes"}, {"snowman", "snowmen"}, {"robot", "robots"}, {"umbrella", "umbrellas"}, {"street lamp", "street lamps"}, {"bench", "benches"}, {"person", "people"},
    {"bear", "bears"}, {"fox", "foxes"},
}};
constexpr std::array<std::string_view, 12> kHues = {"red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "white", "grey", "black", "brown"};
constexpr std::array<Colour, 12> kHueColours = {{{0.83f, 0.17f, 0.15f}, {0.95f, 0.52f, 0.13f}, {0.98f, 0.82f, 0.24f}, {0.30f, 0.62f, 0.26f}, {0.16f, 0.68f, 0.66f}, {0.18f, 0.38f, 0.78f},
                                                {0.51f, 0.29f, 0.68f}, {0.95f, 0.56f, 0.68f}, {0.95f, 0.94f, 0.91f}, {0.56f, 0.57f, 0.60f}, {0.13f, 0.13f, 0.15f}, {0.50f, 0.32f, 0.19f}}};
constexpr std::array<std::string_view, 13> kPlaces = {"meadow", "forest", "mountains", "seaside", "desert", "snow", "lake", "street", "village", "living room", "bedroom", "kitchen", "still life"};
constexpr std::array<std::string_view, 4> kDaytimes = {"morning", "noon", "sunset", "night"};
constexpr std::array<std::string_view, 5> kWeathers = {"clear", "cloudy", "foggy", "snowing", "rainy"};
constexpr std::array<std::string_view, 10> kLooks = {"plain", "flat", "outline", "watercolour", "hatching", "stippling", "oil", "mosaic", "pixel-art", "ink"};

}  // namespace

const KindName& name_of(Kind kind) { return kKinds[static_cast<size_t>(kind)]; }
std::string_view name_of(Hue hue) { return kHues[static_cast<size_t>(hue)]; }
Colour colour_of(Hue hue) { return linear_from_display(kHueColours[static_cast<size_t>(hue)]); }
std::string_view name_of(Place place) { return kPlaces[static_cast<size_t>(place)]; }
std::string_view name_of(Daytime daytime) { return kDaytimes[static_cast<size_t>(daytime)]; }
std::string_view name_of(Weather weather) { return kWeathers[static_cast<size_t>(weather)]; }
std::string_view name_of(Look look) { return kLooks[static_cast<size_t>(look)]; }

}  // namespace attelier::world
