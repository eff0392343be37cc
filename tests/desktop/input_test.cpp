#include "app/desktop/input.h"

#include <GLFW/glfw3.h>
#include <gtest/gtest.h>

#include "app/desktop/actions.h"

namespace attelier::desktop {
namespace {

using Kind = InputEvent::Kind;
using Action = InputEvent::Action;

InputEvent key(int code, Action action) { return {.kind = Kind::kKey, .action = action, .code = code, .key = key_name(code, nullptr), .files = {}}; }
InputEvent motion(double x) { return {.kind = Kind::kMotion, .key = {}, .x = x, .files = {}}; }
InputEvent button(Action action) { return {.kind = Kind::kButton, .action = action, .code = 0, .key = {}, .files = {}}; }

TEST(InputQueue, NoPressIsLostHoweverSlowTheFrames) {
  InputQueue queue;
  for (int i = 0; i < 20; ++i) {
    queue.push(key(GLFW_KEY_F5, Action::kPress));
    queue.push(key(GLFW_KEY_F5, Action::kRelease));
  }
  int presses = 0, frames = 0;
  bool down = false;
  while (!queue.empty()) {
    for (const InputEvent& event : queue.next_frame()) down = event.action == Action::kPress;
    presses += down ? 1 : 0;  // what a program sees that looks once a frame
    ++frames;
  }
  EXPECT_EQ(presses, 20);
  EXPECT_EQ(frames, 40);
}

TEST(InputQueue, DifferentKeysShareAFrameAndKeepTheirOrder) {
  InputQueue queue;
  queue.push(key(GLFW_KEY_A, Action::kPress));
  queue.push(key(GLFW_KEY_B, Action::kPress));
  queue.push(key(GLFW_KEY_A, Action::kRelease));
  EXPECT_EQ(queue.next_frame().size(), 2u);
  const auto rest = queue.next_frame();
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].key, "a");
  EXPECT_TRUE(queue.next_frame().empty());
}

TEST(InputQueue, AKeyAfterAButtonWaitsForTheNextFrame) {
  InputQueue queue;
  queue.push(key(GLFW_KEY_L, Action::kPress));
  queue.push(button(Action::kPress));
  queue.push(motion(5));
  queue.push(button(Action::kRelease));
  queue.push(key(GLFW_KEY_B, Action::kPress));
  EXPECT_EQ(queue.next_frame().size(), 2u) << "the key before the click";
  EXPECT_EQ(queue.next_frame().size(), 1u) << "the motion, while the button is held";
  EXPECT_EQ(queue.next_frame().size(), 1u) << "where it ended";
  const auto rest = queue.next_frame();
  ASSERT_EQ(rest.size(), 1u) << "an action that the click must not know of yet";
  EXPECT_EQ(rest[0].key, "b");
}

TEST(InputQueue, AModifierThatIsLetGoAfterItsLetterWaitsForTheNextFrame) {
  InputQueue queue;
  queue.push(key(GLFW_KEY_LEFT_CONTROL, Action::kPress));
  EXPECT_EQ(queue.next_frame().size(), 1u);
  queue.push(key(GLFW_KEY_A, Action::kPress));
  queue.push(key(GLFW_KEY_LEFT_CONTROL, Action::kRelease));
  queue.push(key(GLFW_KEY_A, Action::kRelease));
  EXPECT_EQ(queue.next_frame().size(), 1u) << "the letter, while the modifier is held";
  EXPECT_EQ(queue.next_frame().size(), 2u);
}

TEST(InputQueue, WhatIsTypedAfterAKeyThatMayMoveTheFocusWaitsUntilItHasMoved) {
  InputQueue queue;
  const auto type = [&](int code, uint32_t character) {
    queue.push(key(code, Action::kPress));
    queue.push({.kind = Kind::kCharacter, .key = {}, .character = character, .files = {}});
  };
  queue.push(key(GLFW_KEY_ENTER, Action::kPress));
  type(GLFW_KEY_A, 'a');
  EXPECT_EQ(queue.next_frame().size(), 1u) << "the field is opened";
  EXPECT_TRUE(queue.next_frame().empty()) << "it asks for the focus";
  EXPECT_TRUE(queue.next_frame().empty()) << "it has it";
  EXPECT_EQ(queue.next_frame().size(), 2u) << "the letter";
  type(GLFW_KEY_B, 'b');
  EXPECT_EQ(queue.next_frame().size(), 2u) << "nothing waits any more";

  InputEvent chord = key(GLFW_KEY_P, Action::kPress);
  chord.modifiers = kControl;
  queue.push(chord);
  queue.push(chord);
  queue.push(motion(5));
  type(GLFW_KEY_A, 'a');
  EXPECT_EQ(queue.next_frame().size(), 1u);
  EXPECT_EQ(queue.next_frame().size(), 2u) << "another chord and the pointer do not wait";
  EXPECT_TRUE(queue.next_frame().empty());
  EXPECT_TRUE(queue.next_frame().empty());
  EXPECT_EQ(queue.next_frame().size(), 2u);
}

TEST(InputQueue, RepeatsThatWaitBecomeOne) {
  InputQueue queue;
  queue.push(key(GLFW_KEY_DOWN, Action::kPress));
  for (int i = 0; i < 30; ++i) queue.push(key(GLFW_KEY_DOWN, Action::kRepeat));
  queue.push(key(GLFW_KEY_DOWN, Action::kRelease));
  int frames = 0;
  while (!queue.empty()) {
    queue.next_frame();
    ++frames;
  }
  EXPECT_EQ(frames, 3);
}

TEST(InputQueue, EveryMotionArrivesAndNoneCarriesAClickAway) {
  InputQueue queue;
  for (int i = 0; i < 50; ++i) queue.push(motion(i));
  queue.push(button(Action::kPress));
  queue.push(motion(99));
  EXPECT_EQ(queue.next_frame().size(), 51u);
  EXPECT_EQ(queue.next_frame().at(0).x, 99);
}

TEST(Chords, LettersAreWhatTheLayoutSays) {
  EXPECT_EQ(key_name(GLFW_KEY_W, "z"), "z");  // a French keyboard
  EXPECT_EQ(key_name(GLFW_KEY_Z, nullptr), "z");
  EXPECT_EQ(key_name(GLFW_KEY_ENTER, nullptr), "Enter");
  EXPECT_EQ(key_name(GLFW_KEY_SEMICOLON, "m"), "m");
}

TEST(Chords, TextsComeBack) {
  for (const char* text : {"Ctrl+Z", "Ctrl+Shift+Z", "F1", "Ctrl+Alt++", "Ctrl+-", "[", "Tab", "Ctrl+Enter", "Ctrl+."}) EXPECT_EQ(to_string(parse_chord(text)), text);
  EXPECT_TRUE(parse_chord("").empty());
  EXPECT_EQ(parse_chord("Ctrl+z"), parse_chord("Ctrl+Z"));
}

class ActionTable : public testing::Test {
 protected:
  ActionTable() {
    actions_.add({"a.one", "Fit to window", "View", parse_chord("F"), [this] { ++ones_; }});
    actions_.add({"a.two", "Full screen", "View", parse_chord("Ctrl+F"), [this] { ++twos_; }, [this] { return allowed_; }, true});
  }
  Actions actions_;
  int ones_ = 0, twos_ = 0;
  bool allowed_ = true;
};

TEST_F(ActionTable, ChordsRunWhatTheyName) {
  EXPECT_TRUE(actions_.dispatch(parse_chord("F"), false));
  EXPECT_FALSE(actions_.dispatch(parse_chord("F"), true)) << "a letter that is typed";
  EXPECT_TRUE(actions_.dispatch(parse_chord("Ctrl+F"), true));
  allowed_ = false;
  EXPECT_FALSE(actions_.dispatch(parse_chord("Ctrl+F"), false));
  EXPECT_FALSE(actions_.dispatch(parse_chord("Shift+F"), false));
  EXPECT_EQ(ones_, 1);
  EXPECT_EQ(twos_, 1);
}

TEST_F(ActionTable, TheUserRebindsAndIsToldOfMistakes) {
  const auto complaints = actions_.rebind({{"a.one", "Ctrl+F"}, {"a.three", "G"}, {"a.two", 7}});
  EXPECT_EQ(complaints.size(), 3u);
  EXPECT_TRUE(actions_.dispatch(parse_chord("Ctrl+F"), false));
  EXPECT_EQ(ones_, 1);
  EXPECT_EQ(actions_.changes(), (Json{{"a.one", "Ctrl+F"}, {"a.two", ""}}));
}

TEST_F(ActionTable, ThePaletteFindsByLettersInOrder) {
  ASSERT_EQ(actions_.search("full").size(), 1u);
  EXPECT_EQ(actions_.search("f w").front()->id, "a.one");
  EXPECT_EQ(actions_.search("").size(), 2u);
  EXPECT_TRUE(actions_.search("xyz").empty());
  EXPECT_EQ(actions_.search("view").size(), 2u);
}

}  // namespace
}  // namespace attelier::desktop
