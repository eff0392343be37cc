// What an evaluation found, as JSON, as a table for terminals, and as one HTML page without anything from outside.
#pragma once

#include <string>

#include "core/base/parameters.h"
#include "pipelines/evaluation/evaluation.h"

namespace attelier {

struct EvaluationRecord {
  std::string name, summary;
  Json settings = Json::object();  // model, world, pictures, seed ...
  EvaluationResult result;
  uint64_t seed = 0;               // of the intervals
};

/// Every mean, difference and single value. Unknown numbers are null.
Json evaluation_json(const EvaluationRecord& record);

/// At most 120 columns of text.
std::string evaluation_table(const EvaluationRecord& record);

/// A whole page: light and dark, pictures inside, no script. `shown` limits the rows of pictures.
std::string evaluation_page(const EvaluationRecord& record, size_t shown);

/// "better", "worse", "not told apart" or "no verdict" of a difference in a measure.
std::string verdict_of(const Measure& measure, const Estimate& difference);

/// The text with &, <, >, " and ' as entities.
std::string escape_html(const std::string& text);
std::string base64(std::string_view bytes);

}  // namespace attelier
