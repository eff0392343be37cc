// attelier meta show|strip|diff: what pictures say about their making.
#include "app/cli/console.h"
#include "app/session/job.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/media/image.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLargestPicture = uint64_t{1} << 30;

/// A text of a picture, shown: JSON is indented, control characters are made visible.
std::string shown(const std::string& text) {
  const Json json = text.size() <= kLargestJson && text.starts_with("{") ? Json::parse(text, nullptr, false) : Json(Json::value_t::discarded);
  if (!json.is_discarded()) return dump(json, 2);
  std::string result;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      result += c;
  }
  return result;
}

void show(const std::string& file, bool as_json) {
  const PngTexts texts = read_png_texts(read_file(file, kLargestPicture), file);
  if (as_json) {
    Json document = Json::object();
    for (const auto& [keyword, text] : texts) {
      const Json parsed = keyword == "attelier-job" ? Json::parse(text, nullptr, false) : Json(Json::value_t::discarded);
      document[keyword] = parsed.is_discarded() ? Json(text) : parsed;
    }
    fmt::print("{}\n", dump(document, 2));
    return;
  }
  if (texts.empty()) fmt::print(stderr, "{}: carries no texts\n", file);
  for (const auto& [keyword, text] : texts) fmt::print("[{}]\n{}\n", shown(keyword), shown(text));
}

/// Every value of a job by its pointer.
Json flat_job(const std::string& file) {
  const std::string bytes = read_file(file, kLargestPicture);
  std::string text = bytes;
  if (bytes.starts_with("\x89PNG")) {
    const PngTexts texts = read_png_texts(bytes, file);
    const auto found = texts.find("attelier-job");
    if (found == texts.end()) fail(ExitCode::kBadInput, "{}: carries no job", file);
    text = found->second;
  }
  const Json job = parse_json_text(text, file);
  if (!job.is_object()) fail(ExitCode::kBadInput, "{}: is no job; expected a JSON object", file);
  return job.flatten();
}

void diff(const std::string& a, const std::string& b, bool as_json) {
  const Json left = flat_job(a), right = flat_job(b);
  Json changes = Json::object();
  const auto compare = [&](const Json& one, const Json& other) {
    for (const auto& [pointer, value] : one.items())
      if (!other.contains(pointer) || other[pointer] != value) changes[pointer] = {left.value(pointer, Json()), right.value(pointer, Json())};
  };
  compare(left, right);
  compare(right, left);
  if (as_json) {
    fmt::print("{}\n", dump(changes, 2));
    return;
  }
  for (const auto& [pointer, values] : changes.items()) fmt::print("{}  {} -> {}\n", shown(pointer), dump(values[0]), dump(values[1]));
}

}  // namespace

void add_meta_verb(CLI::App& app, Invocation&) {
  struct Options {
    std::string file, other, out;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("meta", "Show, remove or compare the jobs that pictures carry");
  verb->require_subcommand(1);
  CLI::App* show_verb = verb->add_subcommand("show", "The texts of a PNG: its job, and what other tools wrote");
  show_verb->add_option("file", options->file, "A PNG file")->required();
  show_verb->add_flag("--json", options->json, "As JSON");
  show_verb->callback([options] { show(options->file, options->json); });
  CLI::App* strip_verb = verb->add_subcommand("strip", "Remove every text and EXIF block of a PNG; its pixels stay as they are");
  strip_verb->add_option("file", options->file, "A PNG file")->required();
  strip_verb->add_option("--out", options->out, "Write here instead of replacing the file")->type_name("FILE");
  strip_verb->callback([options] {
    const fs::path target = options->out.empty() ? options->file : options->out;
    write_file_atomically(target, strip_png_texts(read_file(options->file, kLargestPicture), options->file));
    fmt::print("{}\n", target.string());
  });
  CLI::App* diff_verb = verb->add_subcommand("diff", "What differs between two jobs or the jobs of two pictures");
  diff_verb->add_option("file", options->file, "A PNG or a job file")->required();
  diff_verb->add_option("other", options->other, "A PNG or a job file")->required();
  diff_verb->add_flag("--json", options->json, "As JSON: pointer -> [left, right]");
  diff_verb->callback([options] { diff(options->file, options->other, options->json); });
}

}  // namespace attelier
