// attelier styles list|add|show|rename|remove
#include <ctime>
#include <map>

#include "app/cli/console.h"
#include "app/session/style_library.h"
#include "core/base/json_text.h"

namespace attelier {
namespace {

struct Options {
  std::string name, file, notes, new_name;
  std::vector<std::string> words, names;
  bool json = false;
};

std::string date_text(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  char text[32] = "-";
  if (seconds != 0 && localtime_r(&time, &parts) != nullptr) std::strftime(text, sizeof(text), "%Y-%m-%d", &parts);
  return text;
}

void print_table(const std::vector<StyleEntry>& entries) {
  size_t width = 4;
  for (const StyleEntry& entry : entries) width = std::max(width, entry.name.size());
  fmt::print("{:<{}}  {:<10}  {:>10}  {}\n", "NAME", width, "ADDED", "INVERSIONS", "NOTES");
  for (const StyleEntry& entry : entries) fmt::print("{:<{}}  {:<10}  {:>10}  {}\n", entry.name, width, date_text(entry.added), entry.inversions, entry.notes.substr(0, entry.notes.find('\n')));
}

void print_entry(const StyleEntry& entry, const Options& options) {
  if (options.json) return fmt::print("{}\n", dump(entry.to_json(), 2));
  fmt::print("{}\npicture     {}\nSHA-256     {}\nadded       {}\ninversions  {} ({:.1f} MB)\n", entry.name, entry.picture.string(), entry.sha256, date_text(entry.added), entry.inversions,
             static_cast<double>(entry.inversion_bytes) / 1e6);
  if (!entry.notes.empty()) fmt::print("notes       {}\n", entry.notes);
}

void list(const Options& options) {
  const StyleLibrary library;
  const std::vector<StyleEntry> entries = library.list(fmt::format("{}", fmt::join(options.words, " ")));
  if (options.json) {
    Json styles = Json::array();
    for (const StyleEntry& entry : entries) styles.push_back(entry.to_json());
    fmt::print("{}\n", dump({{"styles", styles}, {"folder", library.folder().string()}}, 2));
  } else if (!entries.empty()) {
    print_table(entries);
  } else {
    fmt::print(stderr, "{} Add one with: attelier styles add NAME FILE\n", options.words.empty() ? "No style is kept in the library." : "No style fits these words.");
  }
}

void remove(const Options& options) {
  StyleLibrary library;
  std::map<std::string, StyleEntry> entries;
  for (const std::string& name : options.names) {
    StyleEntry entry = library.get(name);
    entries.emplace(entry.name, std::move(entry));
  }
  Json removed = Json::array();
  for (const auto& [name, entry] : entries) {
    library.remove(name);
    removed.push_back(entry.to_json());
    if (!options.json) fmt::print("{} is no longer in the library\n", name);
  }
  if (options.json) fmt::print("{}\n", dump({{"removed", removed}}, 2));
}

}  // namespace

void add_styles_verb(CLI::App& app, Invocation&) {
  CLI::App* verb = app.add_subcommand("styles", "The styles that you keep: list, add, show, rename, remove");
  verb->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const auto subcommand = [&](const char* name, const char* help) { return add_json_subcommand(*verb, name, help, options->json); };

  CLI::App* list_verb = subcommand("list", "All styles, or those in whose names and notes all words occur");
  list_verb->add_option("words", options->words, "Only those with these words")->type_name("WORDS");
  list_verb->callback([options] { list(*options); });

  CLI::App* add_verb = subcommand("add", "Keep a picture as a style: it is copied, and its inversions stay with it");
  add_verb->add_option("name", options->name, "What it is called from now on: attelier style --style NAME")->required()->type_name("NAME");
  add_verb->add_option("file", options->file, "The picture")->required()->type_name("FILE");
  add_verb->add_option("--notes", options->notes, "What is to be remembered about it")->type_name("TEXT");
  add_verb->callback([options] { print_entry(StyleLibrary().add(options->name, options->file, options->notes), *options); });

  CLI::App* show_verb = subcommand("show", "What is known about a style");
  show_verb->add_option("name", options->name, "Which one")->required()->type_name("NAME");
  show_verb->callback([options] { print_entry(StyleLibrary().get(options->name), *options); });

  CLI::App* rename_verb = subcommand("rename", "Give a style another name; jobs that use it go on to work");
  rename_verb->add_option("name", options->name, "Which one")->required()->type_name("NAME");
  rename_verb->add_option("new-name", options->new_name, "Its new name")->required()->type_name("NEW-NAME");
  rename_verb->callback([options] { print_entry(StyleLibrary().rename(options->name, options->new_name), *options); });

  CLI::App* remove_verb = subcommand("remove", "Take styles out of the library, with their inversions");
  remove_verb->add_option("names", options->names, "Which ones")->required()->type_name("NAME");
  remove_verb->callback([options] { remove(*options); });
  verb->footer("Examples:\n  attelier styles add \"old map\" map.jpg\n  attelier style --content photo.jpg --style \"old map\"");
}

}  // namespace attelier
