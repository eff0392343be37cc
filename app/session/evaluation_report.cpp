#include "app/session/evaluation_report.h"

#include <cmath>

namespace attelier {
namespace {

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json to_json(const Estimate& estimate, int64_t count) {
  Json interval = nullptr;
  if (estimate.interval.is_known()) interval = {estimate.interval.low, estimate.interval.high};
  return {{"mean", number(estimate.value)}, {"interval", interval}, {"count", count}};
}

std::string text_of(const Estimate& estimate, bool with_sign) {
  if (std::isnan(estimate.value)) return "-";
  const std::string mean = with_sign ? fmt::format("{:+.3f}", estimate.value) : fmt::format("{:.3f}", estimate.value);
  if (!estimate.interval.is_known()) return mean;
  return with_sign ? fmt::format("{} [{:+.3f}, {:+.3f}]", mean, estimate.interval.low, estimate.interval.high)
                   : fmt::format("{} [{:.3f}, {:.3f}]", mean, estimate.interval.low, estimate.interval.high);
}

const char* name_of(Measure::Better better) {
  return better == Measure::Better::kHigher ? "higher" : better == Measure::Better::kLower ? "lower" : "neither";
}

}  // namespace

std::string verdict_of(const Measure& measure, const Estimate& difference) {
  if (!difference.interval.is_known()) return "no verdict";
  if (!difference.interval.excludes(0)) return "not told apart";
  if (measure.better == Measure::Better::kNeither) return difference.value > 0 ? "more" : "less";
  return (difference.value > 0) == (measure.better == Measure::Better::kHigher) ? "better" : "worse";
}

Json evaluation_json(const EvaluationRecord& record) {
  const EvaluationResult& result = record.result;
  Json arms = Json::array(), measures = Json::array(), captions = Json::array();
  for (const EvaluationResult::Arm& arm : result.arms) arms.push_back({{"name", arm.name}, {"help", arm.help}});
  for (const Measure& measure : result.measures) {
    Json of_arms = Json::object(), differences = Json::array();
    for (size_t arm = 0; arm < result.arms.size(); ++arm) {
      int64_t count = 0;
      const Estimate estimate = summarise(measure, arm, record.seed, &count);
      Json& entry = of_arms[result.arms[arm].name] = to_json(estimate, count);
      for (const double value : measure.values[arm]) entry["values"].push_back(number(value));
    }
    for (const auto& [plain, method] : result.comparisons) {
      int64_t count = 0;
      const Estimate estimate = difference(measure, plain, method, record.seed, &count);
      Json entry = to_json(estimate, count);
      entry["of"] = result.arms[method].name;
      entry["minus"] = result.arms[plain].name;
      entry["verdict"] = verdict_of(measure, estimate);
      differences.push_back(entry);
    }
    measures.push_back({{"name", measure.name}, {"help", measure.help}, {"better", name_of(measure.better)}, {"interval", measure.is_share ? "Wilson" : "bootstrap (BCa)"}, {"arms", of_arms}, {"differences", differences}});
  }
  return {{"evaluation", record.name}, {"summary", record.summary}, {"settings", record.settings}, {"confidence", 0.95}, {"arms", arms},
          {"measures", measures},      {"facts", result.facts},     {"procedure", result.procedure}};
}

std::string evaluation_table(const EvaluationRecord& record) {
  const EvaluationResult& result = record.result;
  std::string text;
  for (const Measure& measure : result.measures) {
    text += fmt::format("{} ({})\n", measure.name, measure.help);
    for (size_t arm = 0; arm < result.arms.size(); ++arm) {
      int64_t count = 0;
      const Estimate estimate = summarise(measure, arm, record.seed, &count);
      if (count > 0) text += fmt::format("  {:<28} {:<26} of {}\n", result.arms[arm].name, text_of(estimate, false), count);
    }
    for (const auto& [plain, method] : result.comparisons) {
      int64_t count = 0;
      const Estimate estimate = difference(measure, plain, method, record.seed, &count);
      if (count > 0) text += fmt::format("  {:<55} {:<28} {}\n", result.arms[method].name + " - " + result.arms[plain].name, text_of(estimate, true), verdict_of(measure, estimate));
    }
  }
  text += "\nIntervals hold 95 %.";
  for (const std::string& sentence : result.procedure) text += " " + sentence;
  // Lines of at most 120 columns.
  std::string wrapped;
  size_t column = 0, start = text.rfind("\nIntervals") + 1;
  wrapped = text.substr(0, start);
  while (start < text.size()) {
    const size_t end = std::min(text.find(' ', start), text.size());
    const std::string word = text.substr(start, end - start);
    if (column > 0 && column + 1 + word.size() > 120) wrapped += '\n', column = 0;
    if (column > 0) wrapped += ' ', ++column;
    wrapped += word;
    column += word.size();
    start = end + 1;
  }
  return wrapped + "\n";
}

}  // namespace attelier
