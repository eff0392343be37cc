// attelier scenes: pictures of the small world that the shipped models know, with their captions.
#include <cmath>

#include "app/cli/console.h"
#include "app/session/json_text.h"
#include "app/session/output_names.h"
#include "core/base/files.h"
#include "core/media/image.h"
#include "core/scenes/small_world.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string out = ".";
  int64_t count = 16, size = 256;
  uint64_t seed = 0;
};

Image scene_picture(const SceneDescription& scene, uint64_t seed, int64_t size) {
  std::vector<float> rgb(static_cast<size_t>(size * size * 3));
  draw_scene(scene, seed, size, rgb.data());
  return to_image(at::from_blob(rgb.data(), {1, size, size, 3}, at::kFloat).permute({0, 3, 1, 2}));
}

/// Copies `picture` to cell `index` of a sheet of `columns`.
void place(Image& sheet, const Image& picture, int64_t index, int64_t columns) {
  const int64_t x = index % columns * picture.width, y = index / columns * picture.height;
  for (int64_t row = 0; row < picture.height; ++row)
    std::copy_n(picture.pixels.begin() + row * picture.width * 3, picture.width * 3, sheet.pixels.begin() + ((y + row) * sheet.width + x) * 3);
}

void write_scenes(const Options& options, const Context& context) {
  const fs::path folder = options.out;
  check_folder(folder, options.count * options.size * options.size * 6);
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
    const Image picture = scene_picture(scene, seed, options.size);
    const std::string file = fmt::format("scene_{:06}.png", seed), text = caption(scene, seed);
    save_image(folder / file, picture, {{"parameters", text}});
    captions += dump({{"file", file}, {"caption", text}, {"seed", seed}}) + "\n";
    place(sheet, side == options.size ? picture : resize_lanczos(picture, side, side), i, columns);
    context.report("drawing", i + 1, options.count);
  }
  write_file_atomically(folder / "captions.jsonl", captions);
  save_image(folder / "contact_sheet.png", sheet);
}

}  // namespace

void add_scenes_verb(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("scenes", "Draw pictures of the small world that the shipped model knows, with captions");
  verb->add_option("--out", options->out, "An existing folder for pictures, captions.jsonl and contact_sheet.png")->capture_default_str();
  verb->add_option("--count", options->count, "Number of pictures")->capture_default_str()->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  verb->add_option("--size", options->size, "Side in pixels")->capture_default_str()->check(CLI::Range(int64_t{8}, int64_t{4096}));
  verb->add_option("--seed", options->seed, "Seed of the first picture; the next ones count up")->capture_default_str();
  verb->footer("Example:\n  attelier scenes --count 16 --out folder");
  verb->callback([options, &invocation] {
    write_scenes(*options, invocation.context());
    invocation.console.clear_line();
    fmt::print("{}\n", (fs::path(options->out) / "captions.jsonl").string());
  });
}

}  // namespace attelier
