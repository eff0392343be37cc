// The page of an evaluation: what was found, how sure that is, and the pictures themselves.
#include <algorithm>
#include <cmath>

#include "app/session/evaluation_report.h"
#include "core/base/json_text.h"
#include "core/media/opencv_codec.h"

namespace attelier {
namespace {

constexpr const char* kStyleSheet = R"(
:root{color-scheme:light dark;--ground:#fbfaf7;--card:#fff;--ink:#1d1c1a;--soft:#6a665e;--line:#e2ddd3;--accent:#1f6f8b;--good:#2a7a43;--bad:#a8412f;--plain:#8a8478}
@media (prefers-color-scheme:dark){:root{--ground:#17181a;--card:#1f2123;--ink:#ece9e2;--soft:#a29d93;--line:#35373a;--accent:#6cc0dc;--good:#7ccb92;--bad:#ef9a86;--plain:#9a958b}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,"Segoe UI","Noto Sans",sans-serif}
main{max-width:76rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:2rem;line-height:1.2;margin:0 0 .3rem;font-weight:650;letter-spacing:-.01em}
h2{font-size:1.2rem;margin:3rem 0 .9rem;font-weight:650}
h3{font-size:1rem;margin:1.6rem 0 .6rem;font-weight:600}
p.lead{font-size:1.1rem;color:var(--soft);margin:0 0 1rem}
.facts{display:flex;flex-wrap:wrap;gap:.35rem 1.4rem;padding:0;margin:0;list-style:none;color:var(--soft);font-size:.9rem}
.facts b{color:var(--ink);font-weight:600}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
th,td{padding:.55rem .8rem;text-align:left;border-top:1px solid var(--line);vertical-align:middle}
thead th{border-top:0;font-weight:600;font-size:.85rem;color:var(--soft)}
td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
td small,.arms small{display:block;color:var(--soft);font-size:.82rem;line-height:1.35}
.verdict{white-space:nowrap;font-weight:600}
.better{color:var(--good)}.worse{color:var(--bad)}.same{color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(23rem,1fr));gap:1rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.9rem 1rem}
.card h4{margin:0;font-size:1rem;font-weight:600}
.card p{margin:.1rem 0 .5rem;color:var(--soft);font-size:.85rem}
svg{display:block;width:100%;height:auto}
svg text{font:12px system-ui,"Segoe UI","Noto Sans",sans-serif;fill:var(--ink)}
svg text.s{fill:var(--soft);font-size:11px}
svg .axis{stroke:var(--line);stroke-width:1}
svg .zero{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 3}
svg .bar{stroke-width:2.5;stroke-linecap:round}
.examples{display:flex;flex-direction:column;gap:1.3rem}
.example p{margin:0 0 .4rem}
.row{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.5rem}
.row.two{grid-template-columns:repeat(auto-fill,minmax(9rem,1fr))}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr));gap:1.3rem}
figure{margin:0}figure img{display:block;width:100%;height:auto;border-radius:.35rem;background:var(--line)}
figcaption{font-size:.8rem;color:var(--soft);margin-top:.2rem}
ol{padding-left:1.2rem;margin:0}li{margin:.3rem 0}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
)";

std::string short_number(double value, bool with_sign) {
  if (std::isnan(value)) return "–";
  std::string text = fmt::format("{:.{}f}", std::abs(value), std::abs(value) >= 10 ? 1 : std::abs(value) >= 1 ? 2 : 3);
  const bool is_zero = text.find_first_not_of("0.") == std::string::npos;
  if (value < 0 && !is_zero) return "−" + text;
  return with_sign && !is_zero ? "+" + text : text;
}

std::string range_text(const Estimate& estimate, bool with_sign) {
  const std::string mean = short_number(estimate.value, with_sign);
  if (!estimate.interval.is_known()) return mean;
  return fmt::format("{} <small>{} to {}</small>", mean, short_number(estimate.interval.low, with_sign), short_number(estimate.interval.high, with_sign));
}

/// Picture columns of a number axis.
struct Axis {
  double low = 0, high = 1, left = 0, right = 1;
  double operator()(double value) const { return left + (right - left) * (std::clamp(value, low, high) - low) / std::max(high - low, 1e-12); }
};

std::string interval_mark(const Axis& axis, const Estimate& estimate, double y, const char* colour) {
  std::string mark;
  if (estimate.interval.is_known())
    mark += fmt::format("<line class=\"bar\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"var(--{})\"/>", axis(estimate.interval.low), axis(estimate.interval.high), y, y, colour);
  return mark + fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.5\" fill=\"var(--{})\"/>", axis(estimate.value), y, colour);
}

const char* class_of(const std::string& verdict) { return verdict == "better" ? "better" : verdict == "worse" ? "worse" : "same"; }
const char* icon_of(const std::string& verdict) { return verdict == "better" ? "▲ " : verdict == "worse" ? "▼ " : verdict == "not told apart" ? "≈ " : ""; }

/// One comparison: a row for each measure, with its difference as a bar about zero.
std::string comparison_table(const EvaluationRecord& record, size_t plain, size_t method) {
  const EvaluationResult& result = record.result;
  std::string rows;
  for (const Measure& measure : result.measures) {
    int64_t count = 0;
    const Estimate estimate = difference(measure, plain, method, record.seed, &count);
    if (count == 0) continue;
    const std::string verdict = verdict_of(measure, estimate);
    double reach = std::abs(estimate.value);
    if (estimate.interval.is_known()) reach = std::max({reach, std::abs(estimate.interval.low), std::abs(estimate.interval.high)});
    const Axis axis{-reach * 1.1 - 1e-9, reach * 1.1 + 1e-9, 8, 232};
    const char* colour = verdict == "better" ? "good" : verdict == "worse" ? "bad" : "plain";
    rows += fmt::format(
        "<tr><td>{}<small>{}; {} pairs</small></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td style=\"min-width:10rem\">"
        "<svg viewBox=\"0 0 240 24\" role=\"img\" aria-label=\"{}\"><line class=\"zero\" x1=\"120\" x2=\"120\" y1=\"2\" y2=\"22\"/>{}</svg></td>"
        "<td class=\"verdict {}\">{}{}</td></tr>\n",
        escape_html(measure.name), measure.better == Measure::Better::kLower ? "lower is better" : measure.better == Measure::Better::kHigher ? "higher is better" : "neither is better", count,
        range_text(summarise(measure, plain, record.seed), false), range_text(summarise(measure, method, record.seed), false), range_text(estimate, true),
        escape_html(fmt::format("difference {:.3f}, {}", estimate.value, verdict)), interval_mark(axis, estimate, 12, colour), class_of(verdict), icon_of(verdict), escape_html(verdict));
  }
  return fmt::format("<h3>{} against {}</h3>\n<div class=\"scroll\"><table><thead><tr><th>measure</th><th>{}</th><th>{}</th><th>difference</th><th>about zero</th><th>verdict</th></tr></thead><tbody>\n{}</tbody></table></div>\n",
                     escape_html(result.arms[method].name), escape_html(result.arms[plain].name), escape_html(result.arms[plain].name), escape_html(result.arms[method].name), rows);
}

/// One measure: a dot with its interval for each arm.
std::string measure_card(const EvaluationRecord& record, const Measure& measure) {
  const EvaluationResult& result = record.result;
  std::vector<std::pair<size_t, Estimate>> rows;
  double low = measure.is_share ? 0 : 1e300, high = measure.is_share ? 1 : -1e300;
  std::vector<int64_t> counts;
  for (size_t arm = 0; arm < result.arms.size(); ++arm) {
    int64_t count = 0;
    const Estimate estimate = summarise(measure, arm, record.seed, &count);
    if (count == 0) continue;
    rows.emplace_back(arm, estimate);
    counts.push_back(count);
    const bool known = estimate.interval.is_known();
    low = std::min(low, known ? estimate.interval.low : estimate.value);
    high = std::max(high, known ? estimate.interval.high : estimate.value);
  }
  if (rows.empty()) return "";
  if (!measure.is_share) {
    const double margin = 0.08 * std::max(high - low, 1e-6);
    low = low >= 0 ? std::max(0.0, low - margin) : low - margin;
    high = high <= 1 ? std::min(1.0, high + margin) : high + margin;
  }
  const Axis axis{low, high, 150, 318};
  const double bottom = 22.0 * static_cast<double>(rows.size());
  std::string marks = fmt::format("<line class=\"axis\" x1=\"150\" x2=\"318\" y1=\"{:.0f}\" y2=\"{:.0f}\"/><text class=\"s\" x=\"150\" y=\"{:.0f}\">{}</text><text class=\"s\" x=\"318\" y=\"{:.0f}\" text-anchor=\"end\">{}</text>",
                                  bottom + 2, bottom + 2, bottom + 15, short_number(low, false), bottom + 15, short_number(high, false));
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& [arm, estimate] = rows[i];
    const double y = 22.0 * static_cast<double>(i) + 11;
    const bool is_method = std::any_of(result.comparisons.begin(), result.comparisons.end(), [&, arm = arm](const auto& pair) { return pair.second == arm; });
    marks += fmt::format("<text x=\"0\" y=\"{:.0f}\"{}>{}</text>{}<text class=\"s\" x=\"360\" y=\"{:.0f}\" text-anchor=\"end\">{}</text>", y + 4, is_method ? " font-weight=\"650\"" : "", escape_html(result.arms[arm].name),
                         interval_mark(axis, estimate, y, is_method ? "accent" : "plain"), y + 4, short_number(estimate.value, false));
  }
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  const std::string asked = *least == *most ? std::to_string(*least) : fmt::format("{} to {}", *least, *most);
  return fmt::format("<div class=\"card\"><h4>{}</h4><p>{} ({} pictures)</p><svg viewBox=\"0 0 362 {:.0f}\" role=\"img\" aria-label=\"{}\">{}</svg></div>\n", escape_html(measure.name), escape_html(measure.help), asked,
                     bottom + 18, escape_html(measure.name), marks);
}

std::string example_figures(const EvaluationExample& example) {
  std::string figures;
  for (const auto& [name, image] : example.pictures)
    figures += fmt::format("<figure><img alt=\"{}\" width=\"{}\" height=\"{}\" src=\"data:image/jpeg;base64,{}\"><figcaption>{}</figcaption></figure>\n", escape_html(name + ": " + example.caption), image.width, image.height,
                           base64(encode_with_opencv(image, ".jpg")), escape_html(name));
  return fmt::format("<div class=\"example\"><p>{}</p><div class=\"row{}\">{}</div></div>\n", escape_html(example.caption), example.pictures.size() <= 2 ? " two" : "", figures);
}

std::string list_of_settings(const Json& settings) {
  std::string items;
  for (const auto& [key, value] : settings.items()) {
    std::string shown = value.is_string() ? value.get<std::string>() : value.is_number_float() ? fmt::format("{:g}", value.get<double>()) : dump(value);
    if (key.ends_with("sha256")) shown = shown.substr(0, 12);
    items += fmt::format("<li>{} <b>{}</b></li>\n", escape_html(key), escape_html(shown));
  }
  return items;
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\'': escaped += "&#39;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) text += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63];
  }
  return text;
}

std::string evaluation_page(const EvaluationRecord& record, size_t shown) {
  const EvaluationResult& result = record.result;
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>attelier evaluate {}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n"
      "<h1>attelier evaluate {}</h1>\n<p class=\"lead\">{}</p>\n<ul class=\"facts\">\n{}</ul>\n",
      escape_html(record.name), kStyleSheet, escape_html(record.name), escape_html(record.summary), list_of_settings(record.settings));
  if (!result.comparisons.empty()) page += "<h2>What was found</h2>\n";
  for (const auto& [plain, method] : result.comparisons) page += comparison_table(record, plain, method);
  page += "<h2>Every measure</h2>\n<div class=\"cards\">\n";
  for (const Measure& measure : result.measures) page += measure_card(record, measure);
  page += "</div>\n<h3>What was compared</h3>\n<ul class=\"arms\">\n";
  for (const EvaluationResult::Arm& arm : result.arms) page += fmt::format("<li><b>{}</b>: {}</li>\n", escape_html(arm.name), escape_html(arm.help));
  page += "</ul>\n";
  const size_t rows = std::min(shown, result.examples.size());
  if (rows > 0) {
    const bool pairs = result.examples[0].pictures.size() <= 2;
    page += fmt::format("<h2>Pictures</h2>\n<p class=\"lead\">The first {} of the run, nothing chosen.</p>\n<div class=\"{}\">\n", rows, pairs ? "pairs" : "examples");
    for (size_t i = 0; i < rows; ++i) page += example_figures(result.examples[i]);
    page += "</div>\n";
  }
  page += "<h2>How it was measured</h2>\n<ol>\n";
  for (const std::string& sentence : result.procedure) page += fmt::format("<li>{}</li>\n", escape_html(sentence));
  return page + "<li>Intervals hold 95 %: Wilson's for shares, the bias-corrected and accelerated bootstrap for means and paired differences. A verdict is given where the interval of the difference excludes zero; with many measures "
                "one in twenty would do so by chance.</li>\n</ol>\n<footer>The same numbers, and every single value, are in the JSON file beside this page.</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace attelier
