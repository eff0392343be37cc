#include "app/session/evaluation_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace attelier {
namespace {

using Better = Measure::Better;

Image grey(int64_t side) { return {side, side, 3, std::vector<uint8_t>(static_cast<size_t>(side * side * 3), 128)}; }

EvaluationRecord record() {
  EvaluationRecord record;
  record.name = "style";
  record.summary = "A <b>bold</b> & \"quoted\" summary";
  record.settings = {{"model", "my <model>"}, {"pictures", 4}, {"model_sha256", std::string(64, 'a')}};
  EvaluationResult& result = record.result;
  result.arms = {{"plain", "nothing done"}, {"method <script>alert(1)</script>", "the method"}};
  result.comparisons = {{0, 1}};
  Measure share{"recognised", "is it?", Better::kHigher, true, {{0, 0, 0, 1}, {1, 1, 1, 1}}};
  Measure distance{"distance", "how far", Better::kLower, false, {{3, 4, 5, kNotMeasured}, {1, 2, 2.5, 9}}};
  Measure nothing{"nothing", "never measured", Better::kHigher, false, {{kNotMeasured, kNotMeasured, kNotMeasured, kNotMeasured}, {kNotMeasured, kNotMeasured, kNotMeasured, kNotMeasured}}};
  result.measures = {share, distance, nothing};
  for (int i = 0; i < 3; ++i) result.examples.push_back({fmt::format("caption {} <i>&</i>", i), {{"plain", grey(16)}, {"style \"picture\"", grey(16)}}});
  result.procedure = {"First this.", "Then <that>."};
  return record;
}

TEST(EvaluationReport, JsonHoldsEveryNumberAndNoNaN) {
  const Json json = evaluation_json(record());
  const std::string text = json.dump();
  EXPECT_EQ(text.find("nan"), std::string::npos);
  const Json& distance = json.at("measures").at(1);
  EXPECT_EQ(distance.at("arms").at("plain").at("mean"), 4);
  EXPECT_EQ(distance.at("arms").at("plain").at("count"), 3);
  EXPECT_EQ(distance.at("arms").at("plain").at("values").at(3), nullptr);
  EXPECT_EQ(distance.at("better"), "lower");
  EXPECT_NEAR(distance.at("differences").at(0).at("mean").get<double>(), -13.0 / 6, 1e-12);
  EXPECT_EQ(distance.at("differences").at(0).at("verdict"), "better");
  EXPECT_EQ(json.at("measures").at(0).at("interval"), "Wilson");
  EXPECT_EQ(json.at("measures").at(2).at("arms").at("plain").at("mean"), nullptr);
  EXPECT_EQ(json.at("measures").at(2).at("differences").at(0).at("verdict"), "no verdict");
}

TEST(EvaluationReport, VerdictsFollowTheInterval) {
  Measure higher, lower, neither;
  higher.better = Better::kHigher, lower.better = Better::kLower, neither.better = Better::kNeither;
  const Estimate up{0.5, {0.1, 0.9}}, unclear{0.5, {-0.1, 0.9}}, unknown{0.5, {kNotMeasured, kNotMeasured}};
  EXPECT_EQ(verdict_of(higher, up), "better");
  EXPECT_EQ(verdict_of(lower, up), "worse");
  EXPECT_EQ(verdict_of(neither, up), "more");
  EXPECT_EQ(verdict_of(higher, unclear), "not told apart");
  EXPECT_EQ(verdict_of(higher, unknown), "no verdict");
}

TEST(EvaluationReport, TheTableFitsATerminal) {
  const std::string table = evaluation_table(record());
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 120u) << line;
  for (const char* part : {"recognised", "distance", "better", "First this.", "Intervals hold 95 %"}) EXPECT_NE(table.find(part), std::string::npos) << part;
  EXPECT_EQ(table.find("nan"), std::string::npos);
}

TEST(EvaluationReport, ThePageNeedsNothingFromOutsideAndTrustsNoText) {
  const std::string page = evaluation_page(record(), 2);
  for (const char* forbidden : {"http:", "https:", "//cdn", "<script", "<link", "@import", "url(", "<b>bold", "<model>", "<that>", "<i>&</i>", "nan"}) EXPECT_EQ(page.find(forbidden), std::string::npos) << forbidden;
  for (const char* wanted : {"&lt;b&gt;bold&lt;/b&gt; &amp; &quot;quoted&quot;", "my &lt;model&gt;", "data:image/jpeg;base64,/9j/", "prefers-color-scheme:dark", "<svg", "caption 1", "better", "</html>"})
    EXPECT_NE(page.find(wanted), std::string::npos) << wanted;
  EXPECT_EQ(page.find("caption 2"), std::string::npos);  // two rows were asked for
  // Every element that is opened is closed.
  for (const char* tag : {"div", "table", "tr", "td", "svg", "figure", "ul", "ol", "li", "p", "main", "body"}) {
    size_t opened = 0, closed = 0;
    for (size_t at = page.find(std::string("<") + tag); at != std::string::npos; at = page.find(std::string("<") + tag, at + 1)) opened += page[at + 1 + std::string(tag).size()] == '>' || page[at + 1 + std::string(tag).size()] == ' ';
    for (size_t at = page.find(std::string("</") + tag + ">"); at != std::string::npos; at = page.find(std::string("</") + tag + ">", at + 1)) ++closed;
    EXPECT_EQ(opened, closed) << tag;
  }
  EXPECT_EQ(evaluation_page(record(), 0).find("<img"), std::string::npos);
}

TEST(EvaluationReport, Base64AndEscapes) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
  EXPECT_EQ(escape_html("<a href='x'>\"&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;");
}

}  // namespace
}  // namespace attelier
