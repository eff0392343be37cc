// Furniture, and what stands on tables.
#include "core/scenes/world/builder.h"

namespace attelier::world {
namespace {

int wood(Builder& b, const Colour& colour = shown(0.62f, 0.43f, 0.26f)) { return b.patterned(Pattern::kWood, colour, colour * 0.72f, 0.5f, 0, 0.3f); }
int cloth(Builder& b, const Colour& colour) { return b.material({.base = colour, .second = colour * 0.82f, .pattern = Pattern::kWeave, .scale = 0.05f, .softness = 0.3f}); }
int glaze(Builder& b, Hue hue) { return b.plain(colour_of(hue), 0.75f); }

void table(Builder& b, Hue hue) {
  const int board = wood(b, mix(colour_of(hue), shown(0.62f, 0.43f, 0.26f), 0.4f));
  b.rounded({0, 0.72f, 0}, {0.9f, 0.03f, 0.55f}, 0.02f, board);
  for (const float x : {-0.78f, 0.78f})
    for (const float z : {-0.44f, 0.44f}) b.tube({x, 0, z}, {x, 0.7f, z}, 0.035f, 0.05f, board);
}

void chair(Builder& b, Hue hue) {
  const int frame = wood(b, mix(colour_of(hue), shown(0.62f, 0.43f, 0.26f), 0.35f)), seat = cloth(b, colour_of(hue));
  b.rounded({0, 0.46f, 0}, {0.24f, 0.035f, 0.24f}, 0.03f, seat);
  for (const float x : {-0.2f, 0.2f}) b.tube({x, 0, 0.2f}, {x, 0.45f, 0.2f}, 0.022f, 0.028f, frame), b.tube({x, 0, -0.2f}, {x, 0.95f, -0.26f}, 0.022f, 0.025f, frame);
  for (const float y : {0.62f, 0.76f, 0.9f}) b.rounded({0, y, -0.21f - 0.1f * (y - 0.45f)}, {0.21f, 0.04f, 0.018f}, 0.015f, frame);
}

void sofa(Builder& b, Hue hue, Hue second) {
  const int fabric = cloth(b, colour_of(hue)), feet = wood(b);
  b.rounded({0, 0.28f, 0}, {1, 0.16f, 0.42f}, 0.1f, fabric), b.rounded({0, 0.55f, -0.34f}, {1, 0.36f, 0.16f}, 0.14f, fabric);
  for (const float x : {-1.f, 1.f}) b.rounded({x, 0.42f, 0}, {0.15f, 0.26f, 0.44f}, 0.13f, fabric);
  for (const float x : {-0.45f, 0.45f}) b.rounded({x, 0.47f, 0.06f}, {0.43f, 0.1f, 0.36f}, 0.09f, fabric);
  b.rounded({-0.62f, 0.7f, -0.1f}, {0.22f, 0.2f, 0.09f}, 0.09f, b.patterned(Pattern::kChecks, colour_of(second), mix(colour_of(second), shown(1, 1, 1), 0.4f), 0.12f), rotation_x(-0.3f) * rotation_z(0.2f));
  for (const float x : {-0.9f, 0.9f})
    for (const float z : {-0.32f, 0.32f}) b.tube({x, 0, z}, {x, 0.14f, z}, 0.025f, 0.035f, feet);
}

void bed(Builder& b, Hue hue, Hue second) {
  const int frame = wood(b), sheet = cloth(b, shown(0.95f, 0.94f, 0.91f)), cover = b.material({.base = colour_of(hue), .second = mix(colour_of(hue), colour_of(second), 0.35f), .pattern = Pattern::kChecks, .scale = 0.36f, .softness = 0.3f});
  b.rounded({0, 0.25f, 0}, {0.85f, 0.12f, 1.1f}, 0.04f, frame), b.rounded({0, 0.42f, 0}, {0.8f, 0.14f, 1.05f}, 0.1f, sheet), b.rounded({0, 0.46f, 0.28f}, {0.86f, 0.15f, 0.8f}, 0.12f, cover);
  b.rounded({0, 0.55f, -1.1f}, {0.88f, 0.45f, 0.05f}, 0.05f, frame);
  for (const float x : {-0.38f, 0.38f}) b.rounded({x, 0.62f, -0.78f}, {0.32f, 0.11f, 0.22f}, 0.1f, sheet, rotation_x(0.25f));
}

void lamp(Builder& b, Hue hue) {
  const int brass = b.plain(shown(0.75f, 0.6f, 0.32f), 0.7f);
  b.tube({0, 0, 0}, {0, 0.04f, 0}, 0.2f, 0.18f, brass), b.tube({0, 0.04f, 0}, {0, 1.25f, 0}, 0.02f, 0.02f, brass);
  b.tube({0, 1.2f, 0}, {0, 1.6f, 0}, 0.28f, 0.17f, b.material({.base = mix(colour_of(hue), shown(1, 0.9f, 0.7f), 0.35f), .second = shown(1, 0.9f, 0.7f), .emission = 0.75f, .softness = 0.8f}));
}

void bookshelf(Builder& b, Hue hue) {
  const int board = wood(b, mix(colour_of(hue), shown(0.55f, 0.38f, 0.24f), 0.5f));
  b.block({0, 0.95f, -0.17f}, {0.6f, 0.95f, 0.015f}, board);
  for (const float x : {-0.6f, 0.6f}) b.block({x, 0.95f, 0}, {0.025f, 0.95f, 0.18f}, board);
  for (int i = 0; i <= 4; ++i) b.block({0, 0.03f + 0.46f * static_cast<float>(i), 0}, {0.6f, 0.02f, 0.18f}, board);
  int covers[6];
  for (int& cover : covers) cover = b.plain(mix(colour_of(static_cast<Hue>(b.dice.below(12))), shown(0.55f, 0.45f, 0.35f), 0.25f), 0.2f);
  for (int row = 0; row < 4; ++row)
    for (float x = -0.54f; x < 0.45f;) {
      const float thick = b.dice.uniform(0.022f, 0.045f), tall = b.dice.uniform(0.13f, 0.19f);
      if (b.dice.chance(0.85f)) b.block({x + thick, 0.055f + 0.46f * static_cast<float>(row) + tall, 0.02f}, {thick * 0.94f, tall, 0.12f}, covers[b.dice.below(6)]);
      x += 2 * thick + (b.dice.chance(0.12f) ? 0.1f : 0.002f);
    }
}

void picture(Builder& b, Hue hue, Hue second) {
  // A framed landscape: sky, sun, hills.
  b.block({0, 0.35f, 0}, {0.5f, 0.36f, 0.02f}, wood(b)), b.block({0, 0.35f, 0.012f}, {0.44f, 0.3f, 0.012f}, b.plain(mix(colour_of(second), shown(0.85f, 0.9f, 0.95f), 0.6f)));
  b.ball({0.14f, 0.45f, 0.026f}, {0.08f, 0.08f, 0.003f}, b.plain(shown(0.98f, 0.85f, 0.45f)));
  b.roof({-0.12f, 0.21f, 0.027f}, {0.32f, 0.16f, 0.003f}, b.plain(colour_of(hue))), b.roof({0.16f, 0.17f, 0.031f}, {0.27f, 0.12f, 0.003f}, b.plain(colour_of(hue) * 0.6f));
}

void rug(Builder& b, Hue hue, Hue second) {
  for (int i = 0; i < 4; ++i) {
    const float r = 1.3f - 0.3f * static_cast<float>(i), y = 0.004f * static_cast<float>(i + 1);
    b.tube({0, 0, 0}, {0, y, 0}, r, r, cloth(b, i % 2 ? mix(colour_of(second), shown(0.95f, 0.92f, 0.85f), 0.5f) : colour_of(hue)));
  }
}

void fruit(Builder& b, const Colour& colour, const Colour& blush, float height, float radius, const std::array<float, 6>& profile, bool leaf) {
  b.lathe_body({0, 0, 0}, height, radius, profile, b.material({.base = colour, .second = blush, .pattern = Pattern::kMottled, .scale = 0.06f, .gloss = 0.5f}));
  b.tube({0, height * 0.94f, 0}, {0.006f, height + 0.02f, 0}, 0.0035f, 0.003f, b.plain(shown(0.35f, 0.24f, 0.14f)));
  if (leaf) b.ball({0.022f, height + 0.012f, 0}, {0.022f, 0.0025f, 0.01f}, b.plain(shown(0.35f, 0.58f, 0.22f)), rotation_z(0.4f));
}

void banana(Builder& b) {
  const int peel = b.material({.base = shown(0.98f, 0.83f, 0.25f), .second = shown(0.93f, 0.74f, 0.18f), .pattern = Pattern::kMottled, .scale = 0.05f, .gloss = 0.25f}), tip = b.plain(shown(0.35f, 0.25f, 0.12f));
  for (int hand = 0; hand < 3; ++hand) {
    const float z = 0.028f * static_cast<float>(hand - 1);
    Vec3 last{};
    for (int i = 0; i <= 6; ++i) {
      const float angle = -1.05f + 0.35f * static_cast<float>(i);
      const Vec3 at{0.09f * sine(angle), 0.112f - 0.09f * cosine(angle) , z * (1 - 0.1f * static_cast<float>(i))};
      if (i > 0) b.limb(last, at, i == 1 || i == 6 ? 0.013f : 0.017f, peel);
      last = at;
    }
    b.ball(last, {0.009f, 0.009f, 0.009f}, tip);
  }
}

void grapes(Builder& b, Hue hue) {
  const int skin = b.plain(mix(colour_of(hue), shown(0.35f, 0.15f, 0.4f), hue == Hue::kGreen ? 0 : 0.3f), 0.6f);
  for (int i = 0; i < 24; ++i) {
    const float f = static_cast<float>(i) / 23, angle = 2.4f * static_cast<float>(i), r = 0.045f * (1 - 0.7f * f);
    b.ball({-0.06f + 0.12f * f + 0.01f * cosine(angle), 0.02f + 0.03f * (1 - f) * (0.9f + sine(angle)), r * cosine(angle)}, {0.018f, 0.018f, 0.018f}, skin);
  }
  b.tube({-0.07f, 0.05f, 0}, {-0.1f, 0.08f, 0}, 0.004f, 0.004f, b.plain(shown(0.4f, 0.35f, 0.15f)));
}

void mug(Builder& b, Hue hue) {
  const int body = glaze(b, hue);
  b.tube({0, 0, 0}, {0, 0.1f, 0}, 0.04f, 0.044f, body), b.ring({0, 0.1f, 0}, 0.042f, 0.003f, body), b.tube({0, 0.1f, 0}, {0, 0.1005f, 0}, 0.04f, 0.04f, b.plain(shown(0.22f, 0.12f, 0.07f), 0.8f));
  b.ring({0.05f, 0.05f, 0}, 0.026f, 0.006f, body, rotation_x(0.5f * kPi));
}

void bottle(Builder& b, Hue hue) {
  const int body = b.plain(mix(colour_of(hue), shown(0.1f, 0.2f, 0.12f), 0.35f), 1);
  b.tube({0, 0, 0}, {0, 0.17f, 0}, 0.04f, 0.04f, body), b.lathe_body({0, 0.17f, 0}, 0.12f, 0.04f, {1, 1, 0.75f, 0.38f, 0.34f, 0.34f}, body);
  b.tube({0, 0.05f, 0}, {0, 0.13f, 0}, 0.0405f, 0.0405f, b.plain(shown(0.95f, 0.92f, 0.84f))), b.tube({0, 0.28f, 0}, {0, 0.3f, 0}, 0.013f, 0.013f, b.plain(shown(0.7f, 0.52f, 0.33f)));
}

void bowl(Builder& b, Hue hue) {
  b.lathe_body({0, 0, 0}, 0.085f, 0.12f, {0.4f, 0.45f, 0.75f, 0.93f, 1, 1.03f}, b.patterned(Pattern::kStripes, colour_of(hue), mix(colour_of(hue), shown(0.97f, 0.96f, 0.92f), 0.75f), 0.05f, 0, 0.7f));
  b.ring({0, 0.085f, 0}, 0.121f, 0.004f, glaze(b, hue)), b.tube({0, 0.085f, 0}, {0, 0.0855f, 0}, 0.117f, 0.117f, b.plain(shown(0.25f, 0.2f, 0.17f)));
}

void vase(Builder& b, Hue hue, Hue second) {
  b.lathe_body({0, 0, 0}, 0.24f, 0.1f, {0.55f, 0.85f, 1.1f, 0.8f, 0.4f, 0.62f}, b.patterned(Pattern::kStripes, colour_of(hue), mix(colour_of(hue), shown(0.98f, 0.97f, 0.93f), 0.5f), 0.09f, 0, 0.75f));
  const int stem = b.plain(shown(0.3f, 0.5f, 0.22f)), heart = b.plain(shown(0.96f, 0.78f, 0.22f)), petal = b.material({.base = colour_of(second), .second = colour_of(second) * 0.8f, .softness = 0.5f});
  for (int i = 0; i < 5; ++i) {
    const float angle = 1.257f * static_cast<float>(i) + 0.3f, lean = i == 0 ? 0 : 0.1f, tall = i == 0 ? 0.46f : 0.38f + 0.02f * static_cast<float>(i % 2);
    const Vec3 head{lean * cosine(angle), tall, lean * sine(angle)};
    b.tube({0.2f * head.x, 0.2f, 0.2f * head.z}, head, 0.004f, 0.004f, stem), b.ball(mix({0, 0.24f, 0}, head, 0.5f), {0.035f, 0.005f, 0.014f}, stem, rotation_y(-angle) * rotation_z(0.6f));
    const Mat3 face = rotation_y(-angle + 0.5f * kPi) * rotation_x(0.9f - 0.2f * lean);
    for (int k = 0; k < 7; ++k) {
      const Mat3 turn = face * rotation_y(0.8976f * static_cast<float>(k));
      b.ball(head + turn * Vec3{0.03f, 0, 0}, {0.024f, 0.006f, 0.015f}, petal, turn);
    }
    b.ball(head, {0.016f, 0.012f, 0.016f}, heart, face);
  }
}

void teapot(Builder& b, Hue hue) {
  const int body = glaze(b, hue), knob = b.plain(colour_of(hue) * 0.7f, 0.7f);
  b.lathe_body({0, 0, 0}, 0.13f, 0.09f, {0.6f, 0.95f, 1.12f, 1.05f, 0.8f, 0.5f}, body), b.lathe_body({0, 0.125f, 0}, 0.03f, 0.05f, {1, 0.95f, 0.7f, 0.4f, 0.2f, 0.15f}, body), b.ball({0, 0.162f, 0}, {0.012f, 0.012f, 0.012f}, knob);
  b.tube({0.08f, 0.05f, 0}, {0.15f, 0.12f, 0}, 0.022f, 0.012f, body), b.ring({-0.1f, 0.07f, 0}, 0.042f, 0.009f, body, rotation_x(0.5f * kPi));
}

void cake(Builder& b, Hue hue) {
  const int icing = b.plain(mix(colour_of(hue), shown(0.98f, 0.95f, 0.92f), 0.45f), 0.3f), sponge = b.patterned(Pattern::kMottled, shown(0.85f, 0.65f, 0.38f), shown(0.72f, 0.5f, 0.27f), 0.03f), cream = b.plain(shown(0.98f, 0.96f, 0.92f), 0.2f), berry = b.plain(shown(0.8f, 0.1f, 0.14f), 0.6f);
  b.tube({0, 0, 0}, {0, 0.012f, 0}, 0.16f, 0.17f, cream), b.tube({0, 0.012f, 0}, {0, 0.06f, 0}, 0.125f, 0.125f, sponge), b.tube({0, 0.055f, 0}, {0, 0.07f, 0}, 0.127f, 0.127f, cream), b.tube({0, 0.07f, 0}, {0, 0.11f, 0}, 0.125f, 0.125f, sponge);
  b.tube({0, 0.1f, 0}, {0, 0.122f, 0}, 0.13f, 0.127f, icing);
  for (int i = 0; i < 8; ++i) b.ball({0.1f * cosine(0.785f * static_cast<float>(i)), 0.128f, 0.1f * sine(0.785f * static_cast<float>(i))}, {0.02f, 0.016f, 0.02f}, cream), b.ball({0.1f * cosine(0.785f * static_cast<float>(i)), 0.148f, 0.1f * sine(0.785f * static_cast<float>(i))}, {0.013f, 0.013f, 0.013f}, berry);
}

void candle(Builder& b, Hue hue) {
  b.tube({0, 0, 0}, {0, 0.015f, 0}, 0.05f, 0.05f, b.plain(shown(0.75f, 0.6f, 0.3f), 0.8f)), b.tube({0, 0.015f, 0}, {0, 0.16f, 0}, 0.022f, 0.021f, b.material({.base = mix(colour_of(hue), shown(0.97f, 0.93f, 0.85f), 0.4f), .second = {}, .gloss = 0.3f, .softness = 0.5f}));
  b.tube({0, 0.16f, 0}, {0, 0.17f, 0}, 0.002f, 0.002f, b.plain(shown(0.1f, 0.08f, 0.07f))), b.lathe_body({0, 0.168f, 0}, 0.035f, 0.009f, {0.4f, 0.9f, 1, 0.7f, 0.35f, 0.05f}, b.glowing(shown(1, 0.78f, 0.35f), 2.5f));
}

void book(Builder& b, Hue hue, Hue second) {
  float y = 0;
  for (int i = 0; i < 2; ++i) {
    const Mat3 turn = rotation_y(0.35f * static_cast<float>(i) - 0.1f);
    const int cover = b.plain(colour_of(i ? second : hue), 0.3f);
    b.block({0, y + 0.0225f, 0.004f}, {0.105f, 0.019f, 0.14f}, b.patterned(Pattern::kStripes, shown(0.95f, 0.92f, 0.84f), shown(0.85f, 0.81f, 0.72f), 0.006f), turn);
    b.block({0, y + 0.0025f, 0}, {0.11f, 0.0025f, 0.145f}, cover, turn), b.block({0, y + 0.0425f, 0}, {0.11f, 0.0025f, 0.145f}, cover, turn), b.block(turn * Vec3{-0.108f, 0, 0} + Vec3{0, y + 0.0225f, 0}, {0.004f, 0.0225f, 0.145f}, cover, turn);
    y += 0.045f;
    if (b.dice.chance(0.5f)) break;
  }
}

}  // namespace

bool build_furniture(Builder& b, Kind kind, Hue hue, Hue second) {
  switch (kind) {
    case Kind::kTable: table(b, hue); break;
    case Kind::kChair: chair(b, hue); break;
    case Kind::kSofa: sofa(b, hue, second); break;
    case Kind::kBed: bed(b, hue, second); break;
    case Kind::kLamp: lamp(b, hue); break;
    case Kind::kBookshelf: bookshelf(b, hue); break;
    case Kind::kPicture: picture(b, hue, second); break;
    case Kind::kRug: rug(b, hue, second); break;
    default: return false;
  }
  return true;
}

bool build_table_thing(Builder& b, Kind kind, Hue hue, Hue second) {
  const Colour colour = colour_of(hue);
  switch (kind) {
    case Kind::kApple: fruit(b, colour, mix(colour, shown(0.95f, 0.8f, 0.3f), 0.4f), 0.082f, 0.045f, {0.55f, 0.95f, 1.12f, 1.1f, 0.85f, 0.2f}, true); break;
    case Kind::kOrange: fruit(b, shown(0.96f, 0.55f, 0.1f), shown(0.93f, 0.48f, 0.08f), 0.085f, 0.045f, {0.5f, 1, 1.12f, 1.1f, 0.95f, 0.35f}, false); break;
    case Kind::kPear: fruit(b, mix(colour, shown(0.72f, 0.75f, 0.25f), 0.4f), colour * 0.9f, 0.115f, 0.044f, {0.5f, 1.05f, 1.1f, 0.8f, 0.5f, 0.3f}, true); break;
    case Kind::kLemon: b.lathe_body({-0.05f, 0.032f, 0}, 0.1f, 0.034f, {0.12f, 0.5f, 1.08f, 1.08f, 0.5f, 0.12f}, b.material({.base = shown(0.98f, 0.86f, 0.22f), .second = shown(0.93f, 0.78f, 0.15f), .pattern = Pattern::kMottled, .scale = 0.012f, .bump = 0.0008f, .gloss = 0.5f}), rotation_z(-0.5f * kPi)); break;
    case Kind::kBanana: banana(b); break;
    case Kind::kGrapes: grapes(b, hue); break;
    case Kind::kMelon: b.ball({0, 0.085f, 0}, {0.095f, 0.085f, 0.095f}, b.patterned(Pattern::kRings, shown(0.25f, 0.5f, 0.22f), shown(0.5f, 0.68f, 0.33f), 0.05f, 0, 0.4f)); break;
    case Kind::kMug: mug(b, hue); break;
    case Kind::kBottle: bottle(b, hue); break;
    case Kind::kBowl: bowl(b, hue); break;
    case Kind::kVase: vase(b, hue, second); break;
    case Kind::kTeapot: teapot(b, hue); break;
    case Kind::kCake: cake(b, hue); break;
    case Kind::kCandle: candle(b, hue); break;
    case Kind::kBook: book(b, hue, second); break;
    default: return false;
  }
  return true;
}

}  // namespace attelier::world
