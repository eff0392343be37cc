// A history of ten thousand pictures scrolls like a short one.
#include "app/session/journal.h"
#include "app/session/sqlite.h"
#include "tests/desktop/desktop_fixture.h"

namespace attelier {
namespace {

class HistoryTest : public DesktopFixture {
 protected:
  static constexpr int kEntries = 10000;

  void fill() const {
    const std::filesystem::path file = home_.path() / "attelier" / "journal.sqlite";
    { const Journal journal(file); }
    Image picture{96, 64, 3, std::vector<uint8_t>(96 * 64 * 3)};
    for (size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = static_cast<uint8_t>(i * 7919 % 251);
    sqlite::Connection connection(file, sqlite::Connection::Open::kReadWrite);
    connection.execute(fmt::format(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
        "INSERT INTO jobs (state, position, created, finished, method, model, title, words, files) "
        "SELECT 2, i, 1700000000 + i, 1700000000 + i, 'generate', 'mini', 'picture number ' || i, 'picture number ' || i || ' generate mini', CAST('/x/' || i || '.png' AS BLOB) FROM n",
        kEntries));
    connection.query("INSERT INTO documents (job_id, job) SELECT id, ? FROM jobs").text(R"({"job": 1, "method": "generate", "params": {"prompt": "a"}})").run();
    connection.query("INSERT INTO thumbnails (job_id, png) SELECT id, ? FROM jobs").blob(encode_png(picture)).run();
  }
  /// Whether a picture of the history is in the window.
  bool sees(int entry) const {
    const Json all = landmarks();
    return all.is_object() && all.contains("entry " + std::to_string(entry));
  }
  Json landmarks() const { return Json::parse(read_file(home_.path() / "landmarks.json"), nullptr, false); }
};

TEST_F(HistoryTest, TenThousandPicturesScrollAndAreSearchedWithoutASlowFrame) {
  fill();
  const std::string times = (home_.path() / "frames.json").string();
  const auto program = open({"--frame-times", times});
  press("close error");  // the newest picture's file is not there
  ASSERT_TRUE(wait_until(5, [&] { return !find_place("close error"); }));
  screen_.key("ctrl+4");
  const auto [left, top, right, bottom] = place("entry 10000");
  EXPECT_FALSE(sees(5000));
  screen_.hand({"mousemove", std::to_string((left + right) / 2), std::to_string((top + bottom) / 2)});
  for (int i = 0; i < 60; ++i) screen_.hand({"click", "5"});
  ASSERT_TRUE(wait_until(5, [&] { return !sees(10000); })) << "the wheel scrolls";
  // From one end to the other with the scroll bar.
  for (int round = 0; round < 2; ++round) {
    screen_.hand({"mousemove", std::to_string(kWidth - 18), std::to_string(round == 0 ? top + 6 : kHeight - 54), "mousedown", "1"});
    for (int i = 0; i <= 60; ++i) screen_.hand({"mousemove", std::to_string(kWidth - 18), std::to_string(round == 0 ? top + 6 + i * (kHeight - top - 40) / 60 : kHeight - 54 - i * (kHeight - top - 40) / 60)});
    screen_.hand({"mouseup", "1"});
    EXPECT_TRUE(wait_until(5, [&] { return sees(round == 0 ? 1 : 10000); })) << landmarks().dump();
  }
  press("history search");
  screen_.type("number 777");
  EXPECT_TRUE(wait_until(5, [&] { return sees(9777) && sees(7770) && !sees(10000); })) << landmarks().dump();
  // The thumbnails are there: read and drawn.
  const auto [l, t, r, b] = place("entry 9777");
  ASSERT_TRUE(wait_until(5, [&, &l = l, &t = t, &r = r, &b = b] {
    const Image window = look();
    return pixel(window, (l + r) / 2, (t + b) / 2) != pixel(window, (l + r) / 2, t + 4);
  }));
  screen_.key("Escape");
  EXPECT_EQ(quit(*program).code, 0);
  const Json frames = Json::parse(read_file(times))["quiet"];
  expect_no_slow_frame(frames);
  RecordProperty("frames", frames.dump());
}

}  // namespace
}  // namespace attelier
