// attelier scenes: pictures that the program draws itself, with captions and the exact truth behind them.
#include <array>
#include <cctype>
#include <cmath>
#include <thread>

#include "app/cli/console.h"
#include "app/cli/world_writer.h"
#include "app/session/output_names.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/media/image.h"
#include "core/scenes/small_world.h"
#include "core/scenes/world_files.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

Image scene_picture(const SceneDescription& scene, uint64_t seed, int64_t size, StageMaps& maps) {
  std::vector<float> rgb(static_cast<size_t>(size * size * 3));
  draw_scene(scene, seed, size, rgb.data(), &maps);
  return to_image(at::from_blob(rgb.data(), {1, size, size, 3}, at::kFloat).permute({0, 3, 1, 2}));
}

/// Copies `picture` to cell `index` of a sheet of `columns`.
void place(Image& sheet, const Image& picture, int64_t index, int64_t columns) {
  const int64_t x = index % columns * picture.width, y = index / columns * picture.height;
  for (int64_t row = 0; row < picture.height; ++row)
    std::copy_n(picture.pixels.begin() + row * picture.width * 3, picture.width * 3, sheet.pixels.begin() + ((y + row) * sheet.width + x) * 3);
}

/// The flat world that the shipped mini model was trained on.
void write_small_world(const WorldOptions& options, const Context& context) {
  const fs::path folder = options.folder;
  const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(options.count))));
  const int64_t rows = (options.count + columns - 1) / columns;
  // A sheet of many pictures shows them smaller.
  const int64_t side = std::max<int64_t>(8, std::min(options.size, 8192 / columns));
  Image sheet{columns * side, rows * side, 3, std::vector<uint8_t>(static_cast<size_t>(columns * side * rows * side * 3), 255)};
  std::string captions;
  for (int64_t i = 0; i < options.count; ++i) {
    context.check_stop();
    const uint64_t seed = options.seed + static_cast<uint64_t>(i);
    const SceneDescription scene = random_scene(seed);
    StageMaps maps;
    const Image picture = scene_picture(scene, seed, options.size, maps);
    const std::string name = fmt::format("scene_{:06}", seed), text = caption(scene, seed);
    save_image(folder / (name + ".png"), picture, {{"parameters", text}});
    Json line = {{"file", name + ".png"}, {"caption", text}, {"seed", seed}};
    for (size_t k = 0; k < scene.objects.size(); ++k) line["objects"].push_back({{"instance", k + 1}, {"class", name_of(scene.objects[k].thing)}, {"hue", name_of(scene.objects[k].hue)}});
    if (options.truth) {
      const auto side = static_cast<int>(options.size);
      write_file_atomically(folder / (name + "_depth.png"), depth_png(maps.depth, side, side));
      write_file_atomically(folder / (name + "_instance.png"), instance_png(maps.things, side, side));
      line["depth"] = {{"file", name + "_depth.png"}, {"steps_per_metre", kDepthStepsPerMetre}, {"kind", "z"}};
    }
    captions += dump(line) + "\n";
    place(sheet, side == options.size ? picture : resize_lanczos(picture, side, side), i, columns);
    context.report("drawing", i + 1, options.count);
  }
  write_file_atomically(folder / "captions.jsonl", captions);
  save_image(folder / "contact_sheet.png", sheet);
}

/// Names on the command line, with "-" for spaces, and their values.
template <typename Value>
std::map<std::string, Value> table(int first, int count, const auto& name) {
  std::map<std::string, Value> out;
  for (int i = first; i < count; ++i) {
    std::string text(name(static_cast<Value>(i)));
    std::replace(text.begin(), text.end(), ' ', '-');
    out[text] = static_cast<Value>(i);
  }
  return out;
}

const std::map<std::string, WorldOutput> kOutputs = {{"pictures", WorldOutput::kPictures}, {"video", WorldOutput::kVideo}, {"views", WorldOutput::kViews}, {"panorama", WorldOutput::kPanorama},
                                                     {"story", WorldOutput::kStory}, {"pairs", WorldOutput::kPairs}, {"removal", WorldOutput::kRemoval}};
const std::map<std::string, world::Lighting> kLightings = {{"full", world::Lighting::kFull}, {"matte", world::Lighting::kMatte}, {"albedo", world::Lighting::kAlbedo}};

struct Options {
  WorldOptions world;
  std::string which = "full", output = "pictures", style = "plain", quality = "fast", lighting = "full";
  std::string place, daytime, weather;
  std::vector<std::string> things, characters;
};

/// The characters that have a name of their own, with their numbers.
std::map<std::string, int> named_characters() {
  std::map<std::string, int> all;
  for (int number = 0; number < world::kNamedCharacters; ++number) {
    std::string name = world::identity(number).name;
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    all[name] = number;
  }
  return all;
}

/// What the small world has nothing of.
constexpr std::array kFullWorldOptions = {"--output", "--frames", "--place", "--daytime", "--weather", "--things", "--characters", "--style", "--quality", "--lighting", "--fps", "--factor"};

void check_small_world(const CLI::App& verb) {
  std::vector<std::string> given;
  for (const char* name : kFullWorldOptions)
    if (const CLI::Option* option = verb.get_option(name); option->count() > 0) given.push_back(fmt::format("{} {}", name, fmt::join(option->results(), ",")));
  if (given.empty()) return;
  fail(ExitCode::kUsage, "{}: --world small draws flat pictures with captions, depth and things, and takes no more than --out, --count, --size, --seed and --no-truth; leave {} out or choose --world full", fmt::join(given, ", "),
       given.size() == 1 ? "it" : "them");
}

void resolve(Options& o, const auto& places, const auto& daytimes, const auto& weathers, const auto& looks, const auto& kinds) {
  WorldOptions& w = o.world;
  if (!o.place.empty()) w.wish.place = places.at(o.place);
  if (!o.daytime.empty()) w.wish.daytime = daytimes.at(o.daytime);
  if (!o.weather.empty()) w.wish.weather = weathers.at(o.weather);
  for (const std::string& thing : o.things) w.wish.things.push_back(kinds.at(thing));
  for (const std::string& name : o.characters) w.wish.characters.push_back(named_characters().at(name));
  w.output = kOutputs.at(o.output);
  w.lighting = kLightings.at(o.lighting);
  if (o.style != "any") w.look = looks.at(o.style);
  w.samples = o.quality == "fast" ? 1 : 25;
  if (w.output == WorldOutput::kPairs && w.size % w.factor != 0)
    fail(ExitCode::kUsage, "--size {} is no multiple of --factor {}; pairs need one", w.size, w.factor);
  if (!w.wish.characters.empty()) {
    if (w.output == WorldOutput::kStory) fail(ExitCode::kUsage, "--characters {}: a story draws its character from the seed; choose another --output", fmt::join(o.characters, ","));
    if (w.wish.place == world::Place::kStillLife || (!w.wish.things.empty() && world::stands_on_tables(w.wish.things.front())))
      fail(ExitCode::kUsage, "--characters {} cannot stand in a still life; choose another place and other things", fmt::join(o.characters, ","));
  }
  if (w.wish.things.empty()) return;
  const auto for_tables = std::count_if(w.wish.things.begin(), w.wish.things.end(), world::stands_on_tables);
  if (for_tables != 0 && for_tables != static_cast<int64_t>(w.wish.things.size()))
    fail(ExitCode::kUsage, "--things {}: fruit, crockery and the like stand on a table, the others do not; name things of one sort", fmt::join(o.things, ","));
  const bool table = for_tables != 0;
  if (w.wish.place && (table ? *w.wish.place != world::Place::kStillLife : world::is_indoors(*w.wish.place)))
    fail(ExitCode::kUsage, "--things {} cannot stand in the place {}; {}", fmt::join(o.things, ","), o.place, table ? "choose --place still-life" : "choose an outdoor place (rooms furnish themselves)");
}

}  // namespace

void add_scenes_verb(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  WorldOptions& w = options->world;
  w.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const auto places = table<world::Place>(0, static_cast<int>(world::Place::kCount), [](world::Place v) { return world::name_of(v); });
  const auto daytimes = table<world::Daytime>(0, static_cast<int>(world::Daytime::kCount), [](world::Daytime v) { return world::name_of(v); });
  const auto weathers = table<world::Weather>(0, static_cast<int>(world::Weather::kCount), [](world::Weather v) { return world::name_of(v); });
  const auto looks = table<world::Look>(0, static_cast<int>(world::Look::kCount), [](world::Look v) { return world::name_of(v); });
  auto kinds = table<world::Kind>(static_cast<int>(world::kFirstThing), static_cast<int>(world::Kind::kPerson), [](world::Kind v) { return world::name_of(v).singular; });
  kinds.erase("window"), kinds.erase("door");  // parts of rooms
  auto styles = looks;
  styles["any"] = world::Look::kCount;
  CLI::App* verb = app.add_subcommand("scenes", "Draw scenes with captions and exact truth: depth, normals, masks, flow, cameras");
  verb->add_option("--world", options->which, "full: 3D scenes with all truth; small: the flat pictures that the shipped mini model knows, with depth and things")->capture_default_str()->check(CLI::IsMember({"full", "small"}));
  verb->add_option("--output", options->output, "pictures, video (with flow), views (around the scene), panorama (360 degrees), story, pairs (low and high resolution), removal (before and after)")
      ->capture_default_str()->check(CLI::IsMember(kOutputs));
  verb->add_option("--out", w.folder, "An existing folder for the files, captions.jsonl and contact_sheet.png")->capture_default_str();
  verb->add_option("--count", w.count, "Number of scenes")->capture_default_str()->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  verb->add_option("--frames", w.frames, "Pictures of a video, a set of views or a story")->capture_default_str()->check(CLI::Range(int64_t{1}, int64_t{10000}));
  verb->add_option("--size", w.size, "Side in pixels (of a panorama: the height)")->capture_default_str()->check(CLI::Range(int64_t{8}, int64_t{4096}));
  verb->add_option("--seed", w.seed, "Seed of the first scene; the next ones count up")->capture_default_str();
  verb->add_option("--place", options->place, "Where; drawn from the seed if absent")->check(CLI::IsMember(places));
  verb->add_option("--daytime", options->daytime, "When; drawn from the seed if absent")->check(CLI::IsMember(daytimes));
  verb->add_option("--weather", options->weather, "Drawn from the seed if absent")->check(CLI::IsMember(weathers));
  verb->add_option("--things", options->things, "What stands there, left to right, e.g. house,tree,cat; drawn from the seed if absent")->delimiter(',')->check(CLI::IsMember(kinds));
  verb->add_option("--characters", options->characters, "Who is there, by name, e.g. " + named_characters().begin()->first)->delimiter(',')->transform(CLI::IsMember(named_characters(), CLI::ignore_case));
  verb->add_option("--style", options->style, "How it is painted; any: another for each scene")->capture_default_str()->check(CLI::IsMember(styles));
  verb->add_option("--quality", options->quality, "fast: for training; fine: soft shadows and 25 rays a pixel")->capture_default_str()->check(CLI::IsMember({"fast", "fine"}));
  verb->add_option("--lighting", options->lighting, "full; matte: shadows alone, the same from every side; albedo: reflectance alone")->capture_default_str()->check(CLI::IsMember(kLightings));
  verb->add_flag("--truth,!--no-truth", w.truth, "Write depth, normals, masks, flow and cameras too (the default)");
  verb->add_option("--fps", w.frames_per_second, "Frames of a second of video")->capture_default_str()->check(CLI::Range(0.1, 240.0));
  verb->add_option("--factor", w.factor, "How much smaller the low-resolution partner is")->capture_default_str()->check(CLI::Range(2, 16));
  verb->add_option("--threads", w.threads, "Never changes a bit of the result")->capture_default_str()->check(CLI::Range(1, 256));
  verb->footer("Examples:\n  attelier scenes --count 16 --out folder\n  attelier scenes --output video --frames 16 --place seaside --style watercolour --out folder\n  attelier scenes --world small --count 16 --out folder");
  verb->callback([=, &invocation] {
    const Context context = invocation.context();
    if (options->which == "small") check_small_world(*verb);
    resolve(*options, places, daytimes, weathers, looks, kinds);
    if (options->which == "small") {
      check_folder(options->world.folder, options->world.count * options->world.size * options->world.size * (options->world.truth ? 8 : 6));
      write_small_world(options->world, context);
    } else {
      check_folder(options->world.folder, estimated_bytes(options->world));
      invocation.what_stays = "nothing of this set was written, because its files belong together";
      write_world(options->world, context);
    }
    invocation.console.clear_line();
    fmt::print("{}\n", (fs::path(options->world.folder) / "captions.jsonl").string());
  });
}

}  // namespace attelier
