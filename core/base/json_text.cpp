#include "core/base/json_text.h"

#include <algorithm>

namespace attelier {
namespace {

constexpr int kDeepest = 64;
constexpr size_t kLongestMessage = 400;
constexpr size_t kMostProblems = 40;

/// Refuses what goes too deep or names a key twice.
class Guard {
 public:
  explicit Guard(const std::string& name) : name_(name) {}
  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kDeepest) fail(ExitCode::kBadInput, "{}: is nested more than {} levels deep", name_, kDeepest);
    if (event == Json::parse_event_t::object_start) keys_.emplace_back();
    if (event == Json::parse_event_t::object_end) keys_.pop_back();
    if (event == Json::parse_event_t::key && !keys_.back().insert(parsed.get_ref<const std::string&>()).second)
      fail(ExitCode::kBadInput, "{}: names the key \"{}\" twice in one object", name_, escaped_key(parsed.get_ref<const std::string&>()));
    return true;
  }

 private:
  const std::string& name_;
  std::vector<std::set<std::string>> keys_;
};

/// Walks a valid JSON text and notes where the wanted values stand.
class LineFinder {
 public:
  LineFinder(std::string_view text, const std::set<std::string>& wanted) : text_(text), wanted_(wanted) {}

  std::map<std::string, int64_t> find() {
    value("");
    return std::move(found_);
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n\xEF\xBB\xBF").find(text_[at_]) != std::string_view::npos) line_ += text_[at_++] == '\n';
  }
  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string_view string() {
    const size_t start = at_++;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    at_ = std::min(at_ + 1, text_.size());
    return text_.substr(start, at_ - start);
  }
  void value(const std::string& pointer) {
    skip_space();
    if (at_ >= text_.size()) return;
    if (wanted_.count(pointer) != 0) found_.emplace(pointer, line_);
    if (text_[at_] == '"') {
      string();
    } else if (take('{')) {
      while (!take('}') && at_ < text_.size()) {
        skip_space();
        const Json key = Json::parse(string(), nullptr, false);
        take(':');
        value(pointer + "/" + (key.is_string() ? escaped_key(key.get_ref<const std::string&>()) : ""));
        take(',');
      }
    } else if (take('[')) {
      for (int64_t index = 0; !take(']') && at_ < text_.size(); ++index) {
        value(pointer + "/" + std::to_string(index));
        take(',');
      }
    } else {
      const size_t end = text_.find_first_of(",]} \t\r\n", at_);
      at_ = std::max(at_ + 1, std::min(end, text_.size()));
    }
  }

  std::string_view text_;
  const std::set<std::string>& wanted_;
  std::map<std::string, int64_t> found_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

/// A message of bounded length whose control characters are visible, so that no key or value can fake a line or steer a terminal.
std::string shortened(const std::string& message) {
  size_t end = std::min(message.size(), kLongestMessage);
  while (end > 0 && end < message.size() && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
  std::string result;
  for (const char c : message.substr(0, end)) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      result += c;
  }
  return end < message.size() ? result + "..." : result;
}

}  // namespace

Json parse_json_text(std::string_view text, const std::string& name) {
  try {
    return Json::parse(text, Guard(name));
  } catch (const Json::exception& error) {
    fail(ExitCode::kBadInput, "{}: is not JSON: {}", name, shortened(error.what()));
  }
}

std::string escaped_key(std::string_view key) {
  std::string result;
  for (const char c : key.substr(0, 100)) {
    if (c == '~')
      result += "~0";
    else if (c == '/')
      result += "~1";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      result += c;
  }
  return key.size() > 100 ? result + "..." : result;
}

std::map<std::string, int64_t> json_lines(std::string_view text, const std::set<std::string>& pointers) { return LineFinder(text, pointers).find(); }

void report_problems(const std::vector<Problem>& problems, std::string_view text, const std::string& name, ExitCode code) {
  if (problems.empty()) return;
  std::set<std::string> pointers;
  for (const Problem& problem : problems) pointers.insert(problem.pointer);
  const std::map<std::string, int64_t> lines = text.empty() ? std::map<std::string, int64_t>() : json_lines(text, pointers);
  const auto line = [&](const Problem& problem) {
    const auto found = lines.find(problem.pointer);
    return (found == lines.end() ? "" : fmt::format("line {}: ", found->second)) + shortened(fmt::format("{} {}", problem.pointer, problem.message));
  };
  if (problems.size() == 1) fail(code, "{}{}{}", name, name.empty() ? "" : ": ", line(problems[0]));
  std::string message = fmt::format("{}{} problems:", name.empty() ? "" : name + " has ", problems.size());
  for (size_t i = 0; i < std::min(problems.size(), kMostProblems); ++i) message += "\n  " + line(problems[i]);
  if (problems.size() > kMostProblems) message += fmt::format("\n  and {} more", problems.size() - kMostProblems);
  fail(code, "{}", message);
}

std::string dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

}  // namespace attelier
