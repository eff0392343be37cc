// Sentences that are true of a picture: captions with the claims they make, and questions with answers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/scenes/world/contents.h"

namespace attelier::world {

/// "`count` things of this kind and hue can be seen", and perhaps where they are.
enum class Relation : unsigned char { kNone, kLeftOf, kRightOf, kInFrontOf, kBehind, kNextTo, kOn };
struct Claim {
  int count = 1;
  Kind kind = Kind::kHouse;
  Hue hue = Hue::kRed;
  int first_object = 0;              // one of them
  Relation relation = Relation::kNone;
  int other_object = -1;             // whom the relation is to
};

struct Caption {
  std::string text;                  // lower case but for names
  std::vector<Claim> claims;
};

/// One of many wordings; the same `wording` gives the same sentence. Only noticeable objects are named, with their exact number.
Caption caption(const Scene& scene, const Frame& frame, Look look, uint64_t wording);

struct Question {
  std::string topic;  // "count", "colour", "existence", "position", "depth", "place", "daytime", "weather", "style", "character"
  std::string question, answer;
};
std::vector<Question> questions(const Scene& scene, const Frame& frame, Look look, uint64_t wording);

}  // namespace attelier::world
