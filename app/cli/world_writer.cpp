#include "app/cli/world_writer.h"

#include <cmath>

#include "app/cli/file_set.h"
#include "core/base/json_text.h"
#include "core/scenes/world/captions.h"
#include "core/scenes/world/degradation.h"
#include "core/scenes/world/painting.h"
#include "core/scenes/world/sequences.h"
#include "core/scenes/world_files.h"

namespace attelier {
namespace {

using namespace world;

int64_t pictures_per_scene(const WorldOptions& o) {
  switch (o.output) {
    case WorldOutput::kPictures: return 1;
    case WorldOutput::kPanorama: return 7;
    case WorldOutput::kPairs: case WorldOutput::kRemoval: return 2;
    default: return o.frames;
  }
}

/// Pictures side by side, smaller where there are many.
class ContactSheet {
 public:
  ContactSheet(int64_t count, int64_t columns, int64_t width, int64_t height) : columns_(columns) {
    const double scale = std::min(1.0, 6144.0 / static_cast<double>(columns * width));
    width_ = std::max<int64_t>(4, std::llround(static_cast<double>(width) * scale)), height_ = std::max<int64_t>(4, std::llround(static_cast<double>(height) * scale));
    // A sheet of very many pictures shows the first.
    const int64_t rows = std::min((count + columns - 1) / columns, std::max<int64_t>(1, 8192 / height_));
    sheet_ = {columns * width_, rows * height_, 3, std::vector<uint8_t>(static_cast<size_t>(columns * width_ * rows * height_ * 3), 255)};
  }
  void add(const Image& picture) {
    const int64_t left = next_ % columns_ * width_, top = next_ / columns_ * height_;
    ++next_;
    if (top + height_ > sheet_.height) return;
    const Image fitted = picture.width == width_ && picture.height == height_ ? picture : resize_lanczos(picture, width_, height_);
    for (int64_t row = 0; row < height_; ++row)
      std::copy_n(fitted.pixels.begin() + row * width_ * 3, width_ * 3, sheet_.pixels.begin() + ((top + row) * sheet_.width + left) * 3);
  }
  const Image& image() const { return sheet_; }

 private:
  int64_t columns_, width_ = 0, height_ = 0, next_ = 0;
  Image sheet_;
};

int64_t sheet_columns(const WorldOptions& o) {
  const int64_t per_scene = pictures_per_scene(o);
  if (o.output == WorldOutput::kPanorama || per_scene == 1) return std::max<int64_t>(1, std::llround(std::ceil(std::sqrt(static_cast<double>(o.count)))));
  return per_scene == 2 ? 2 * std::max<int64_t>(1, std::llround(std::sqrt(static_cast<double>(o.count) / 2))) : std::min<int64_t>(per_scene, 16);
}

class Writer {
 public:
  Writer(const WorldOptions& options, const Context& context)
      : options_(options), context_(context), files_(options.folder), side_(static_cast<int>(options.size)), panorama_(options.output == WorldOutput::kPanorama),
        sheet_(options.count * (panorama_ ? 1 : pictures_per_scene(options)), sheet_columns(options), panorama_ ? 2 * options.size : options.size, options.size) {
    settings_ = {.lighting = options.lighting, .samples = options.samples, .threads = options.threads};
  }

  void run() {
    const int64_t total = options_.count * pictures_per_scene(options_);
    for (int64_t i = 0; i < options_.count; ++i) {
      seed_ = options_.seed + static_cast<uint64_t>(i);
      look_ = options_.look ? *options_.look : static_cast<Look>(mix64(seed_, 0x100c) % static_cast<uint64_t>(Look::kCount));
      name_ = fmt::format("scene_{:06}", seed_);
      write_scene([&] {
        context_.check_stop();
        context_.report("drawing", std::min(++done_, total), total);
      });
    }
    files_.add("captions.jsonl", captions_);
    files_.add("contact_sheet.png", encode_png(sheet_.image()));
    if (options_.truth && !cameras_.empty()) files_.add("cameras.txt", colmap_cameras(cameras_)), files_.add("images.txt", colmap_images(cameras_)), files_.add("points3D.txt", "# 3D point list: empty, the depth pictures hold every point\n");
    context_.check_stop();
    files_.publish();
  }

 private:
  template <typename Step>
  void write_scene(const Step& step) {
    if (options_.output == WorldOutput::kStory) {
      int number = 0;
      for (const Episode& episode : tell_story(seed_, static_cast<int>(options_.frames))) {
        const PosedScene posed(episode.scene);
        const Camera camera = still_camera(episode.scene, side_, side_);
        picture(fmt::format("{}_{:02}", name_, number++), posed, camera, {{"sentence", episode.sentence}});
        step();
      }
      return;
    }
    Wish wish = options_.wish;
    wish.moving = options_.output == WorldOutput::kVideo;
    const Scene scene = compose(seed_, wish);
    const PosedScene posed(scene);
    switch (options_.output) {
      case WorldOutput::kVideo: video(scene, step); break;
      case WorldOutput::kViews: {
        const std::vector<Camera> cameras = surrounding_cameras(scene, static_cast<int>(options_.frames), is_indoors(scene.place) ? 1.2f : 1.9f, side_, side_);
        for (size_t k = 0; k < cameras.size(); ++k) picture(fmt::format("{}_view_{:04}", name_, k), posed, cameras[k], {}), step();
        break;
      }
      case WorldOutput::kPanorama: panorama(scene, posed, step); break;
      case WorldOutput::kPairs: {
        const Frame frame = picture(name_, posed, still_camera(scene, side_, side_), {{"low", name_ + "_low.png"}, {"factor", options_.factor}});
        step();
        const Degradation wear = random_degradation(seed_, options_.factor);
        const std::vector<float> painted = paint(frame, still_camera(scene, side_, side_), look_, seed_);
        const Image low = picture_image(degrade(painted, side_, side_, options_.factor, wear, seed_), side_ / options_.factor, side_ / options_.factor);
        files_.add(name_ + "_low.png", encode_png(low, {{"parameters", fmt::format("blur {:.3f}, noise {:.4f}, quality {}, factor {}", wear.blur, wear.noise, wear.quality, options_.factor)}}));
        sheet_.add(low), step();
        break;
      }
      case WorldOutput::kRemoval: {
        const Camera camera = still_camera(scene, side_, side_);
        const Frame before = render(posed, camera, {.colour = false, .threads = options_.threads});
        const int object = removable_object(scene, before);
        const PosedScene without(scene, 0, object);
        Json about = nullptr;
        std::vector<uint8_t> mask(before.pixels());
        if (object >= 0) {
          const Object& gone = scene.objects[static_cast<size_t>(object)];
          about = {{"object", object}, {"class", name_of(gone.kind).singular}, {"hue", name_of(gone.hue)}};
          for (size_t i = 0; i < mask.size(); ++i) mask[i] = before.instance[i] == object + 1;
        }
        picture(name_ + "_before", posed, camera, {{"removed", about}}), step();
        picture(name_ + "_after", without, camera, {{"removed", about}}), step();
        files_.add(name_ + "_mask.png", mask_png(mask, side_, side_));
        break;
      }
      default: picture(name_, posed, still_camera(scene, side_, side_), {}), step(); break;
    }
  }

  /// One picture with its truth and its line in captions.jsonl.
  Frame picture(const std::string& name, const PosedScene& posed, const Camera& camera, const Json& more) {
    const Scene& scene = posed.scene();
    Frame frame = render(posed, camera, settings_);
    const Image image = picture_image(paint(frame, camera, look_, seed_), frame.width, frame.height);
    const Caption said = caption(scene, frame, look_, mix64(seed_, captions_.size()));
    files_.add(name + ".png", encode_png(image, {{"parameters", said.text}}));
    sheet_.add(image);
    Json line = {{"file", name + ".png"}, {"caption", said.text}, {"seed", seed_}, {"time", posed.time()}, {"place", name_of(scene.place)}, {"daytime", name_of(scene.daytime)}, {"weather", name_of(scene.weather)}, {"style", name_of(look_)}};
    line["objects"] = Json::array(), line["questions"] = Json::array();
    for (const VisibleObject& seen : contents_of(scene, frame).objects) {
      const Object& object = scene.objects[static_cast<size_t>(seen.object)];
      Json entry = {{"instance", seen.object + 1}, {"class", name_of(object.kind).singular}, {"hue", name_of(object.hue)}, {"pixels", seen.pixels}, {"centre", {seen.x, seen.y}}, {"depth", seen.depth}, {"box", {seen.left, seen.top, seen.right, seen.bottom}}};
      if (!object.name.empty()) entry["name"] = object.name, entry["description"] = object.description;
      line["objects"].push_back(entry);
    }
    for (const Question& q : questions(scene, frame, look_, seed_)) line["questions"].push_back({{"topic", q.topic}, {"question", q.question}, {"answer", q.answer}});
    for (const auto& [key, value] : more.items()) line[key] = value;
    if (options_.truth) {
      files_.add(name + "_depth.png", depth_png(frame.depth, frame.width, frame.height)), files_.add(name + "_normal.png", normal_png(frame)), files_.add(name + "_instance.png", instance_png(frame.instance, frame.width, frame.height)), files_.add(name + "_class.png", class_png(frame));
      line["depth"] = {{"file", name + "_depth.png"}, {"steps_per_metre", kDepthStepsPerMetre}, {"kind", camera.projection == Projection::kPerspective ? "z" : "distance"}};
      const auto row = [&](int k) { return Json{camera.axes.row[k].x, camera.axes.row[k].y, camera.axes.row[k].z}; };
      line["camera"] = {{"projection", camera.projection == Projection::kPerspective ? "perspective" : "equirectangular"}, {"position", {camera.position.x, camera.position.y, camera.position.z}}, {"axes", {row(0), row(1), row(2)}}};
      if (camera.projection == Projection::kPerspective) line["camera"]["focal"] = camera.focal, cameras_.push_back({name + ".png", camera});
    }
    captions_ += dump(line) + "\n";
    return frame;
  }

  template <typename Step>
  void video(const Scene& scene, const Step& step) {
    struct Moment { std::unique_ptr<PosedScene> posed; Camera camera; Frame frame; };
    std::optional<Moment> last;
    for (int64_t k = 0; k < options_.frames; ++k) {
      const auto time = static_cast<float>(static_cast<double>(k) / options_.frames_per_second);
      Moment now{std::make_unique<PosedScene>(scene, time), moving_camera(scene, time, side_, side_), {}};
      Json more = {{"frame", k}};
      if (options_.truth && last) more["flow_from_last"] = fmt::format("{}_flow_{:04}_{:04}.flo", name_, k - 1, k), more["flow_to_last"] = fmt::format("{}_flow_{:04}_{:04}.flo", name_, k, k - 1);
      now.frame = picture(fmt::format("{}_frame_{:04}", name_, k), *now.posed, now.camera, more);
      if (options_.truth && last) {
        const auto save = [&](const Moment& from, const Moment& to, int64_t a, int64_t b) {
          const Flow flow = flow_between(*from.posed, from.camera, from.frame, *to.posed, to.camera, options_.threads);
          files_.add(fmt::format("{}_flow_{:04}_{:04}.flo", name_, a, b), encode_flow(flow_field(flow)));
          files_.add(fmt::format("{}_occluded_{:04}_{:04}.png", name_, a, b), mask_png(flow.occluded, flow.width, flow.height));
        };
        save(*last, now, k - 1, k), save(now, *last, k, k - 1);
      }
      last = std::move(now);
      step();
    }
  }

  template <typename Step>
  void panorama(const Scene& scene, const PosedScene& posed, const Step& step) {
    const Camera camera = panorama_camera(scene, side_);
    const Frame frame = picture(name_, posed, camera, {});
    const std::vector<float> painted = paint(frame, camera, look_, seed_);
    Frame shown = frame;
    shown.rgb = painted;
    step();
    // Six views of 90 degrees, a sixth of a turn apart.
    for (int k = 0; k < 6; ++k) {
      const float angle = kPi / 3 * static_cast<float>(k);
      const Camera view = look_at(camera.position, camera.position + camera.axes.row[2] * cosine(angle) + camera.axes.row[0] * sine(angle), 0.5f * kPi, side_ / 2, side_ / 2);
      const std::string name = fmt::format("{}_crop_{}", name_, k);
      files_.add(name + ".png", encode_png(picture_image(crop_panorama(camera, shown, view).rgb, view.width, view.height)));
      if (options_.truth) cameras_.push_back({name + ".png", view});
      step();
    }
  }

  const WorldOptions& options_;
  const Context& context_;
  FileSet files_;
  RenderSettings settings_;
  int side_;
  bool panorama_;
  ContactSheet sheet_;
  uint64_t seed_ = 0;
  Look look_ = Look::kPlain;
  std::string name_, captions_;
  std::vector<NamedCamera> cameras_;
  int64_t done_ = 0;
};

}  // namespace

int64_t estimated_bytes(const WorldOptions& o) {
  // Colour 3 bytes a pixel; depth 2, normals 6, masks 3, flow and occlusion 18.
  const int64_t pixels = o.size * o.size * (o.output == WorldOutput::kPanorama ? 2 : 1);
  return o.count * pictures_per_scene(o) * pixels * (3 + (o.truth ? 11 + (o.output == WorldOutput::kVideo ? 18 : 0) : 0));
}

void write_world(const WorldOptions& options, const Context& context) { Writer(options, context).run(); }

}  // namespace attelier
