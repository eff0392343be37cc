#include "pipelines/upscale/upscale.h"

#include "core/media/video_file.h"
#include "pipelines/upscale/picture_upscaler.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

std::optional<int64_t> whole_number(const Json& value) { return value.is_null() ? std::nullopt : std::optional<int64_t>(value.get<int64_t>()); }

/// PNG row by row; other kinds of files are held whole and have 8 bits.
void write_picture(const PictureUpscaler& upscaler, const WidePicture& picture, const fs::path& file, const std::string& extension, const PngTexts& texts, const Context& context) {
  const int64_t scale = upscaler.scale(), width = scale * picture.width, height = scale * picture.height;
  fs::path named = file;
  named += extension;
  if (is_video_name(named)) fail(ExitCode::kBadInput, "a picture cannot be written as {}; choose .png, .jpg, .jpeg or .webp", extension);
  if (extension == ".png") {
    PngRows png(file, width, height, picture.channels, picture.bits, texts);
    upscaler.rows(picture, [&](std::span<const uint16_t> samples) { png.write(samples); }, context);
    return png.finish();
  }
  Image result{width, height, picture.channels, {}};
  result.pixels.reserve(static_cast<size_t>(width * height * picture.channels));
  upscaler.rows(picture, [&](std::span<const uint16_t> samples) {
    for (const uint16_t sample : samples) result.pixels.push_back(static_cast<uint8_t>(picture.bits == 8 ? sample : (sample * 255 + 32767) / 65535));
  }, context);
  save_image(named, result);
  fs::rename(named, file);
}

void write_video(const PictureUpscaler& upscaler, const fs::path& source, const fs::path& file, const std::string& extension, const Context& context) {
  VideoReader reader(source);
  fs::path named = file;
  named.concat(extension);
  try {
    VideoWriter writer(named, upscaler.scale() * reader.width(), upscaler.scale() * reader.height(), reader.frames_per_second());
    // The frames tell how far it is, not the tiles of each.
    Context quiet = context;
    quiet.progress = {};
    Image frame;
    for (int64_t n = 0; reader.read(frame); ++n) {
      context.report("upscaling frames", n, std::max(n, reader.frames()));
      writer.write(upscaler.upscale(frame, quiet));
    }
    context.report("upscaling frames", reader.frames(), reader.frames());
    writer.finish();
    fs::rename(named, file);
  } catch (...) {
    std::error_code ignored;
    fs::remove(named, ignored);
    throw;
  }
}

/// --show attention.
void show_attention(const PictureUpscaler& upscaler, const MethodJob& job, const Context& context, const OutputSink& sink) {
  const Image picture = load_image(*job.input("image"));
  const Json& at = job.params["at"];
  if (!at.is_null() && at.size() != 2) fail(ExitCode::kBadInput, "/params/at has {} numbers; two are needed, X and Y of a pixel", at.size());
  const int64_t x = at.is_null() ? picture.width / 2 : at[0].get<int64_t>(), y = at.is_null() ? picture.height / 2 : at[1].get<int64_t>();
  const std::optional<std::string> layer = job.params["layer"].is_null() ? std::nullopt : std::optional<std::string>(job.params["layer"].get<std::string>());
  auto [drawing, json] = upscaler.look(picture, x, y, layer, context);
  MethodOutput output;
  output.image = std::move(drawing);
  output.params = job.params;
  output.label = "attention";
  output.result = std::move(json);
  sink(std::move(output));
}

void run(const MethodJob& job, const Context& context, const OutputSink& sink) {
  const std::optional<int64_t> scale = whole_number(job.params["scale"]);
  UpscaleSettings settings;
  settings.tile = whole_number(job.params["tile"]);
  settings.recursions = whole_number(job.params["recursions"]);
  settings.ensemble = job.params["ensemble"];
  const fs::path source = *job.input("image");
  const bool video = is_video_name(source), show = !job.params["show"].is_null();
  if (video && show) fail(ExitCode::kBadInput, "/params/show draws on pictures; {} is a video, leave --show out", source.string());
  WidePicture picture;
  if (!video) picture = load_wide_picture(source);
  const PictureUpscaler upscaler(job.model_path, settings, context);
  if (scale && upscaler.scale() != *scale)
    fail(ExitCode::kModel, "/params/scale is {}, but {} enlarges by {}; leave --scale out or choose another --model", *scale, job.model_path.string(), upscaler.scale());
  MethodOutput output;
  output.params = job.params;
  output.params["scale"] = upscaler.scale();
  if (video) {
    const VideoReader reader(source);
    output.image = {upscaler.scale() * reader.width(), upscaler.scale() * reader.height(), 3, {}};
    output.extension = source.extension() == ".avi" || source.extension() == ".mkv" ? source.extension().string() : ".mp4";
    output.write = [&](const fs::path& file, const std::string& extension, const PngTexts&) { write_video(upscaler, source, file, extension, context); };
  } else {
    output.image = {upscaler.scale() * picture.width, upscaler.scale() * picture.height, picture.channels, {}};
    output.write = [&](const fs::path& file, const std::string& extension, const PngTexts& texts) { write_picture(upscaler, picture, file, extension, texts, context); };
  }
  sink(std::move(output));
  if (show) show_attention(upscaler, job, context, sink);
}

ParameterDescriptions parameters() {
  using enum ParameterType;
  return {
      {.name = "scale", .label = "Scale", .help = "How many times larger; absent = the model's own factor (of several: 4).", .type = kInteger, .default_value = nullptr, .minimum = 2,
       .maximum = 4},
      {.name = "ensemble", .label = "Self-ensemble", .help = "The mean of eight turned and mirrored passes: a little better, eight times slower.", .type = kBoolean,
       .default_value = false},
      {.name = "tile", .label = "Tile", .help = "Side of a tile without its overlap; pictures larger than that are made in tiles. Absent = as large as 0.7 GB allow.", .type = kInteger,
       .default_value = nullptr, .minimum = 16, .maximum = 65536, .unit = "px", .advanced = true},
      {.name = "recursions", .label = "Recursions", .help = "How often a layer shrinks its picture by 4 to a representative map; absent = by the size, as the authors do.",
       .type = kInteger, .default_value = nullptr, .minimum = 1, .maximum = 7, .advanced = true},
      {.name = "show", .label = "Show", .help = "Also draw what a pixel attends to: the cells of the whole picture that RG-SA makes, and the windows of L-SA around it.",
       .type = kChoice, .default_value = nullptr, .choices = {"attention"}, .advanced = true},
      {.name = "at", .label = "Query", .help = "X,Y: the pixel of the picture whose attention is drawn; absent = the middle.", .type = kIntegers, .default_value = nullptr, .minimum = 0,
       .unit = "px", .advanced = true},
      {.name = "layer", .label = "Layer", .help = "Whose cells are drawn, as layers.1.blocks.3.attn; absent = the last that has them. The record beside the drawing holds all.",
       .type = kText, .default_value = nullptr, .advanced = true},
  };
}

}  // namespace

const Method kUpscaleMethod = {
    .name = "upscale",
    .summary = "Make pictures and videos larger",
    .parameters = parameters(),
    .inputs = {{"image", "a picture or a video", true, false}},
    .examples = {"photo.png large.png --scale 4", "holiday/ large/ --scale 2", "photo.png large.png --model RGT_S_x4.pth --ensemble", "photo.png large.png --show attention --at 210,140"},
    .run = run,
    .default_model = "mini-rgt",
    .find_model = [](const fs::path& path, const Json& params) { return find_upscaler(path, whole_number(params["scale"])); },
    .takes_files = true,
};

}  // namespace attelier
