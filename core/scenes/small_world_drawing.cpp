// How the small world looks: sky, ground and things, before a style repaints them.
#include "core/scenes/canvas.h"
#include "core/scenes/picture_styles.h"
#include "core/scenes/small_world.h"

namespace attelier {
namespace {

using namespace drawing;

Colour base_colour(Hue hue) {
  switch (hue) {
    case Hue::kRed: return {0.82, 0.12, 0.1};
    case Hue::kOrange: return {0.95, 0.52, 0.1};
    case Hue::kYellow: return {0.97, 0.85, 0.2};
    case Hue::kGreen: return {0.16, 0.55, 0.2};
    case Hue::kBlue: return {0.13, 0.3, 0.8};
    case Hue::kPurple: return {0.5, 0.2, 0.65};
    case Hue::kPink: return {0.95, 0.55, 0.7};
    case Hue::kWhite: return {0.95, 0.95, 0.93};
    case Hue::kBlack: return {0.08, 0.08, 0.1};
    default: return {0.45, 0.28, 0.15};
  }
}

/// Metres to what has no foot on the ground that could be measured; nothing of the ground lies behind them.
constexpr double kFlying = 8, kForestEdge = 80, kFarGround = 80, kHills = 150, kMountains = 500;

/// What all parts of one picture share.
struct Light {
  Colour tint{1, 1, 1};
  double level = 1;
  double slant = 0;  // brighter on the left (negative) or on the right
  Colour operator()(const Colour& colour) const { return {colour[0] * tint[0] * level, colour[1] * tint[1] * level, colour[2] * tint[2] * level}; }
};

class Painter {
 public:
  Painter(Canvas canvas, const SceneDescription& scene, uint64_t seed) : canvas_(canvas), scene_(scene), random_(seed) {
    horizon_ = uniform(random_, 0.52, 0.64);
    offset_ = {uniform(random_, 0, 256), uniform(random_, 0, 256)};
    light_.slant = uniform(random_, -0.25, 0.25);
    if (scene.daytime == Daytime::kNight) light_ = {{0.55, 0.62, 0.95}, 0.5, light_.slant};
    if (scene.daytime == Daytime::kSunset) light_ = {{1.05, 0.85, 0.72}, 0.88, light_.slant};
  }

  void paint() {
    sky();
    ground();
    for (const SceneObject& object : scene_.objects) {
      ++canvas_.thing;
      thing(object);
    }
  }

 private:
  double noise(size_t field, double x, double y, double zoom) const { return noise_field(field)(x * zoom * 256 + offset_.x, y * zoom * 256 + offset_.y); }
  Colour shade(const Colour& colour, Point p, double rough = 0.05) const {
    return light_(scaled(colour, 1 + rough * noise(3, p.x, p.y, 1.3) + light_.slant * (p.x - 0.5)));
  }
  auto textured(const Colour& colour, double rough = 0.05) const {
    return [this, colour, rough](Point p) { return shade(colour, p, rough); };
  }

  /// Metres to the point of the ground seen at y: eyes 1.6 m above it, a lens as long as the picture is wide.
  double ground_distance(double y) const { return std::min(1.6 / std::max(1e-9, y - horizon_), kFarGround); }

  void sky() {
    Colour top{0.25, 0.5, 0.88}, low{0.72, 0.85, 0.95};
    if (scene_.daytime == Daytime::kUnnamed && chance(random_, 0.5)) top = {0.55, 0.62, 0.7}, low = {0.82, 0.84, 0.85};
    if (scene_.daytime == Daytime::kSunset) top = {0.35, 0.25, 0.5}, low = {0.98, 0.55, 0.25};
    if (scene_.daytime == Daytime::kNight) top = {0.02, 0.03, 0.12}, low = {0.1, 0.13, 0.3};
    const double clouds = scene_.daytime == Daytime::kNight ? 0 : uniform(random_, 0, 0.8), stretch = uniform(random_, 1.5, 3);
    canvas_.cover([&](Point p) {
      const double t = std::clamp(p.y / horizon_, 0.0, 1.0);
      const Colour sky = mix(top, low, t * t * (3 - 2 * t));
      const double cloud = std::clamp(clouds * (noise(1, p.x * 0.35, p.y * 0.35 * stretch, 1) - 0.1) * (1.2 - t), 0.0, 0.85);
      return mix(sky, mix({1, 1, 1}, low, scene_.daytime == Daytime::kSunset ? 0.5 : 0.1), cloud);
    });
    const double x = uniform(random_, 0.12, 0.88);
    if (scene_.daytime == Daytime::kDay) {
      const Ellipse sun{{x, uniform(random_, 0.1, 0.2)}, 0.06, 0.06};
      canvas_.paint(Ellipse{sun.centre, 0.12, 0.12}, Colour{1, 0.95, 0.7}, 0.12, 0.6);
      canvas_.paint(sun, Colour{1, 0.95, 0.5});
    } else if (scene_.daytime == Daytime::kSunset) {
      const Point centre{x, horizon_ - uniform(random_, 0, 0.08)};
      canvas_.paint(Ellipse{centre, 0.2, 0.16}, Colour{1, 0.7, 0.35}, 0.25, 0.7);
      canvas_.paint(Ellipse{centre, 0.08, 0.08}, Colour{1, 0.82, 0.45});
    } else if (scene_.daytime == Daytime::kNight) {
      for (int i = 0; i < 40; ++i) canvas_.paint(Ellipse{{uniform(random_), uniform(random_, 0, horizon_)}, 0.004, 0.004}, Colour{0.9, 0.9, 1}, 0.005, uniform(random_, 0.3, 1));
      canvas_.paint(Ellipse{{x, uniform(random_, 0.1, 0.22)}, 0.055, 0.055}, Colour{0.95, 0.94, 0.85});
    }
  }

  /// A ridge line from noise, painted from there down.
  void ridge(double base, double height, double zoom, const Colour& colour, double snow, double metres) {
    canvas_.distance = metres;
    const double shift = uniform(random_, 0, 256);
    const auto line = [=](double x) {
      const double v = noise_field(2)(x * zoom * 256 + shift, shift), w = noise_field(4)(x * zoom * 512 + shift, shift + 40);
      return base - height * (0.5 + 0.45 * v + 0.06 * w);
    };
    canvas_.paint([&](Point p) { return line(p.x) - p.y; },
                  [&](Point p) { return shade(snow > 0 && p.y - line(p.x) < snow * (0.7 + 0.3 * noise(4, p.x, 0, 2)) ? Colour{0.95, 0.96, 1} : colour, p, 0.15); });
  }

  void ground() {
    static constexpr std::array<Colour, 6> colours = {{{0.36, 0.62, 0.22}, {0.87, 0.78, 0.56}, {0.42, 0.5, 0.3}, {0.9, 0.72, 0.42}, {0.93, 0.95, 0.98}, {0.3, 0.42, 0.18}}};
    switch (scene_.place) {
      case Place::kMeadow: ridge(horizon_ + 0.02, 0.12, 0.25, {0.3, 0.5, 0.25}, 0, kHills); break;
      case Place::kMountains:
        ridge(horizon_ + 0.05, 0.42, 0.55, {0.42, 0.45, 0.55}, 0.07, kMountains);
        ridge(horizon_ + 0.05, 0.2, 0.7, {0.32, 0.4, 0.36}, 0, kHills);
        break;
      case Place::kDesert: ridge(horizon_ + 0.04, 0.16, 0.22, {0.82, 0.6, 0.34}, 0, kHills); break;
      case Place::kSnow: ridge(horizon_ + 0.02, 0.14, 0.3, {0.8, 0.86, 0.93}, 0, kHills); break;
      case Place::kForest:
        canvas_.distance = kForestEdge;
        for (int i = 0; i < 16; ++i) pine({uniform(random_, -0.05, 1.05), horizon_ + uniform(random_, 0, 0.05)}, uniform(random_, 0.28, 0.5), scaled({0.1, 0.32, 0.16}, uniform(random_, 0.6, 1.2)));
        break;
      default: break;
    }
    const Colour colour = colours[static_cast<size_t>(scene_.place)];
    canvas_.paint([&](Point p) { return horizon_ - p.y; }, [&](Point p) { return shade(mix(scaled(colour, 0.9), colour, (p.y - horizon_) * 2), p, 0.16); });
    if (scene_.place == Place::kSea) {
      const double shore = horizon_ + 0.22;
      const Colour far = scene_.daytime == Daytime::kSunset ? Colour{0.6, 0.45, 0.5} : Colour{0.1, 0.4, 0.65}, near{0.3, 0.65, 0.72};
      canvas_.paint([&](Point p) { return std::max(horizon_ - p.y, p.y - shore - 0.012 * std::sin(p.x * 13 + offset_.x)); },
                    [&](Point p) {
                      const double wave = std::sin((p.y - horizon_) * (220 - 300 * (p.y - horizon_)) + 2 * noise(2, p.x, p.y, 0.6));
                      return shade(mix(mix(far, near, (p.y - horizon_) / 0.22), {0.9, 0.95, 1}, wave > 0.75 ? 0.25 : 0.0), p, 0.08);
                    });
    }
    canvas_.lay([&](Point p) { return horizon_ - p.y; }, [&](Point p) { return ground_distance(p.y); });
  }

  void pine(Point foot, double height, const Colour& colour) {
    canvas_.paint(box(foot.x - 0.03 * height, foot.y - 0.2 * height, foot.x + 0.03 * height, foot.y), textured({0.36, 0.24, 0.14}));
    for (int i = 0; i < 3; ++i) {
      const double top = foot.y - height * (1 - 0.22 * i), bottom = foot.y - height * (0.52 - 0.19 * i), half = height * (0.15 + 0.06 * i);
      canvas_.paint(Polygon<3>{{Point{foot.x, top}, {foot.x + half, bottom}, {foot.x - half, bottom}}}, textured(colour, 0.25));
    }
  }

  void thing(const SceneObject& object) {
    const Colour colour = base_colour(object.hue);
    const double h = object.size, x = object.x;
    const Point foot{x, uniform(random_, 0.84, 0.92)};
    const bool stands = object.thing != Thing::kBird && object.thing != Thing::kBalloon && object.thing != Thing::kBoat;
    if (stands) canvas_.paint(Ellipse{{x, foot.y}, 0.42 * h, 0.05 * h}, Colour{0.05, 0.06, 0.1}, 0.03, 0.35);
    canvas_.distance = stands ? ground_distance(foot.y) : kFlying;
    switch (object.thing) {
      case Thing::kHouse: house(foot, h, colour); break;
      case Thing::kTree: tree(foot, h, colour); break;
      case Thing::kPine: pine(foot, h, colour); break;
      case Thing::kBoat: {
        const Point water{x, horizon_ + uniform(random_, 0.1, 0.17)};
        canvas_.distance = ground_distance(water.y);
        boat(water, h, colour);
        break;
      }
      case Thing::kBall: ball({x, foot.y - h / 2}, h / 2, colour); break;
      case Thing::kCat: cat(foot, h, colour); break;
      case Thing::kBird: bird({x, uniform(random_, 0.22, 0.42)}, h, colour); break;
      case Thing::kFlower: flower(foot, h, colour); break;
      case Thing::kLighthouse: lighthouse(foot, h, colour); break;
      case Thing::kCar: car(foot, h, colour); break;
      case Thing::kBalloon: balloon({x, uniform(random_, 0.2, 0.34)}, h, colour); break;
      case Thing::kMushroom: mushroom(foot, h, colour); break;
    }
  }

  void house(Point foot, double h, const Colour& colour) {
    const double half = 0.48 * h, wall = foot.y - 0.58 * h;
    canvas_.paint(box(foot.x - half, wall, foot.x + half, foot.y), textured(colour));
    canvas_.paint(Polygon<3>{{Point{foot.x, foot.y - h}, {foot.x + 1.18 * half, wall}, {foot.x - 1.18 * half, wall}}}, textured(mix(scaled(colour, 0.45), {0.3, 0.2, 0.18}, 0.4), 0.12));
    canvas_.paint(box(foot.x - 0.1 * h, foot.y - 0.3 * h, foot.x + 0.1 * h, foot.y), textured({0.32, 0.2, 0.12}));
    const bool lit = scene_.daytime == Daytime::kNight || scene_.daytime == Daytime::kSunset;
    for (const double side : {-0.3, 0.3}) {
      const auto window = box(foot.x + (side - 0.08) * h, foot.y - 0.44 * h, foot.x + (side + 0.08) * h, foot.y - 0.28 * h);
      if (lit) canvas_.paint(window, Colour{1, 0.85, 0.45});
      if (!lit) canvas_.paint(window, textured({0.7, 0.83, 0.92}));
    }
  }
  void tree(Point foot, double h, const Colour& colour) {
    canvas_.paint(Polygon<4>{{Point{foot.x - 0.04 * h, foot.y - 0.6 * h}, {foot.x + 0.04 * h, foot.y - 0.6 * h}, {foot.x + 0.07 * h, foot.y}, {foot.x - 0.07 * h, foot.y}}}, textured({0.4, 0.27, 0.15}, 0.2));
    for (int i = 0; i < 6; ++i) {
      const Point centre{foot.x + uniform(random_, -0.16, 0.16) * h, foot.y - uniform(random_, 0.58, 0.84) * h};
      canvas_.paint(Ellipse{centre, 0.2 * h, 0.18 * h}, textured(scaled(colour, uniform(random_, 0.8, 1.15)), 0.3), 0.01);
    }
  }
  void boat(Point foot, double h, const Colour& colour) {
    canvas_.paint(box(foot.x - 0.012 * h, foot.y - h, foot.x + 0.012 * h, foot.y), textured({0.35, 0.25, 0.18}));
    canvas_.paint(Polygon<3>{{Point{foot.x + 0.03 * h, foot.y - 0.95 * h}, {foot.x + 0.42 * h, foot.y - 0.28 * h}, {foot.x + 0.03 * h, foot.y - 0.28 * h}}}, textured({0.96, 0.95, 0.9}));
    canvas_.paint(Polygon<3>{{Point{foot.x - 0.03 * h, foot.y - 0.8 * h}, {foot.x - 0.03 * h, foot.y - 0.28 * h}, {foot.x - 0.3 * h, foot.y - 0.28 * h}}}, textured({0.9, 0.9, 0.86}));
    canvas_.paint(Polygon<4>{{Point{foot.x - 0.55 * h, foot.y - 0.22 * h}, {foot.x + 0.55 * h, foot.y - 0.22 * h}, {foot.x + 0.38 * h, foot.y}, {foot.x - 0.38 * h, foot.y}}}, textured(colour));
  }
  void ball(Point centre, double radius, const Colour& colour) {
    canvas_.paint(Ellipse{centre, radius, radius}, [&](Point p) {
      const double shine = std::clamp(1 - std::hypot(p.x - centre.x + 0.35 * radius, p.y - centre.y + 0.4 * radius) / (1.6 * radius), 0.0, 1.0);
      return shade(mix(scaled(colour, 0.55), mix(colour, {1, 1, 1}, 0.35), shine), p);
    });
  }
  void cat(Point foot, double h, const Colour& colour) {
    const Colour dark = mix(scaled(colour, 0.75), {0.2, 0.2, 0.22}, 0.15);
    canvas_.paint(Stroke{{foot.x + 0.28 * h, foot.y - 0.12 * h}, {foot.x + 0.48 * h, foot.y - 0.48 * h}, 0.05 * h}, textured(dark, 0.2));
    canvas_.paint(Ellipse{{foot.x, foot.y - 0.3 * h}, 0.32 * h, 0.32 * h}, textured(colour, 0.2));
    for (const double side : {-1.0, 1.0}) {
      const double ear = foot.x - 0.05 * h + side * 0.17 * h;
      canvas_.paint(Polygon<3>{{Point{ear, foot.y - h}, {ear + 0.11 * h, foot.y - 0.72 * h}, {ear - 0.11 * h, foot.y - 0.72 * h}}}, textured(dark));
    }
    canvas_.paint(Ellipse{{foot.x - 0.05 * h, foot.y - 0.65 * h}, 0.27 * h, 0.24 * h}, textured(colour, 0.2));
    for (const double side : {-1.0, 1.0}) canvas_.paint(Ellipse{{foot.x - 0.05 * h + side * 0.11 * h, foot.y - 0.68 * h}, 0.045 * h, 0.055 * h}, Colour{0.75, 0.85, 0.25});
    canvas_.paint(Ellipse{{foot.x - 0.05 * h, foot.y - 0.57 * h}, 0.03 * h, 0.025 * h}, Colour{0.9, 0.5, 0.5});
  }
  void bird(Point centre, double h, const Colour& colour) {
    canvas_.paint(Ellipse{centre, 0.5 * h, 0.22 * h}, textured(colour));
    canvas_.paint(Ellipse{{centre.x - 0.48 * h, centre.y - 0.14 * h}, 0.19 * h, 0.18 * h}, textured(colour));
    canvas_.paint(Polygon<3>{{Point{centre.x - 0.64 * h, centre.y - 0.18 * h}, {centre.x - 0.64 * h, centre.y - 0.06 * h}, {centre.x - 0.84 * h, centre.y - 0.1 * h}}}, Colour{0.95, 0.65, 0.1});
    canvas_.paint(Polygon<3>{{Point{centre.x + 0.1 * h, centre.y - 0.7 * h}, {centre.x + 0.3 * h, centre.y}, {centre.x - 0.2 * h, centre.y}}}, textured(scaled(colour, 0.75)));
    canvas_.paint(Polygon<3>{{Point{centre.x + 0.4 * h, centre.y}, {centre.x + 0.85 * h, centre.y - 0.16 * h}, {centre.x + 0.8 * h, centre.y + 0.14 * h}}}, textured(scaled(colour, 0.8)));
    canvas_.paint(Ellipse{{centre.x - 0.53 * h, centre.y - 0.18 * h}, 0.035 * h, 0.035 * h}, Colour{0.03, 0.03, 0.03});
  }
  void flower(Point foot, double h, const Colour& colour) {
    const Point centre{foot.x, foot.y - 0.72 * h};
    canvas_.paint(Stroke{foot, centre, 0.025 * h}, textured({0.2, 0.5, 0.18}));
    canvas_.paint(Ellipse{{foot.x + 0.14 * h, foot.y - 0.22 * h}, 0.15 * h, 0.05 * h}, textured({0.22, 0.55, 0.2}));
    const double turn = uniform(random_, 0, 1);
    for (int i = 0; i < 6; ++i) {
      const double angle = turn + i * 1.0472;
      canvas_.paint(Ellipse{{centre.x + 0.17 * h * std::cos(angle), centre.y + 0.17 * h * std::sin(angle)}, 0.12 * h, 0.12 * h}, textured(scaled(colour, i % 2 ? 0.92 : 1.05)));
    }
    canvas_.paint(Ellipse{centre, 0.1 * h, 0.1 * h}, textured({0.45, 0.28, 0.08}));
  }
  void lighthouse(Point foot, double h, const Colour& colour) {
    const Colour white = colour[0] + colour[1] + colour[2] > 2.6 ? Colour{0.75, 0.76, 0.8} : Colour{0.95, 0.95, 0.93};
    const double top = foot.y - 0.78 * h;
    canvas_.paint(Polygon<4>{{Point{foot.x - 0.08 * h, top}, {foot.x + 0.08 * h, top}, {foot.x + 0.13 * h, foot.y}, {foot.x - 0.13 * h, foot.y}}},
                  [&](Point p) { return shade(static_cast<int>((p.y - top) / (0.156 * h)) % 2 == 0 ? colour : white, p); });
    canvas_.paint(box(foot.x - 0.11 * h, top - 0.03 * h, foot.x + 0.11 * h, top), textured({0.25, 0.25, 0.28}));
    canvas_.paint(box(foot.x - 0.06 * h, top - 0.14 * h, foot.x + 0.06 * h, top - 0.03 * h), Colour{1, 0.93, 0.6});
    canvas_.paint(Polygon<3>{{Point{foot.x, foot.y - h}, {foot.x + 0.1 * h, top - 0.13 * h}, {foot.x - 0.1 * h, top - 0.13 * h}}}, textured(scaled(colour, 0.7)));
  }
  void car(Point foot, double h, const Colour& colour) {
    canvas_.paint(Polygon<4>{{Point{foot.x - 0.45 * h, foot.y - h}, {foot.x + 0.35 * h, foot.y - h}, {foot.x + 0.65 * h, foot.y - 0.55 * h}, {foot.x - 0.65 * h, foot.y - 0.55 * h}}}, textured(scaled(colour, 0.9)));
    canvas_.paint(box(foot.x - 0.42 * h, foot.y - 0.9 * h, foot.x - 0.06 * h, foot.y - 0.58 * h), textured({0.7, 0.85, 0.93}));
    canvas_.paint(box(foot.x + 0.02 * h, foot.y - 0.9 * h, foot.x + 0.34 * h, foot.y - 0.58 * h), textured({0.7, 0.85, 0.93}));
    canvas_.paint(box(foot.x - 0.95 * h, foot.y - 0.6 * h, foot.x + 0.95 * h, foot.y - 0.18 * h), textured(colour));
    for (const double side : {-0.55, 0.55}) {
      canvas_.paint(Ellipse{{foot.x + side * h, foot.y - 0.18 * h}, 0.2 * h, 0.2 * h}, textured({0.08, 0.08, 0.09}));
      canvas_.paint(Ellipse{{foot.x + side * h, foot.y - 0.18 * h}, 0.09 * h, 0.09 * h}, textured({0.7, 0.7, 0.72}));
    }
  }
  void balloon(Point centre, double h, const Colour& colour) {
    canvas_.paint(Stroke{{centre.x - 0.2 * h, centre.y + 0.2 * h}, {centre.x - 0.07 * h, centre.y + 0.55 * h}, 0.008 * h}, Colour{0.3, 0.25, 0.2});
    canvas_.paint(Stroke{{centre.x + 0.2 * h, centre.y + 0.2 * h}, {centre.x + 0.07 * h, centre.y + 0.55 * h}, 0.008 * h}, Colour{0.3, 0.25, 0.2});
    canvas_.paint(box(centre.x - 0.09 * h, centre.y + 0.52 * h, centre.x + 0.09 * h, centre.y + 0.66 * h), textured({0.5, 0.33, 0.16}));
    canvas_.paint(Ellipse{centre, 0.36 * h, 0.4 * h}, [&](Point p) {
      const double stripe = std::abs((p.x - centre.x) / (0.36 * h));
      return shade(stripe > 0.33 && stripe < 0.68 ? mix(colour, {1, 1, 1}, 0.5) : colour, p);
    });
  }
  void mushroom(Point foot, double h, const Colour& colour) {
    canvas_.paint(box(foot.x - 0.13 * h, foot.y - 0.55 * h, foot.x + 0.13 * h, foot.y), textured({0.93, 0.89, 0.8}));
    const Ellipse cap{{foot.x, foot.y - 0.52 * h}, 0.48 * h, 0.46 * h};
    const double rim = foot.y - 0.5 * h;
    canvas_.paint([&](Point p) { return std::max(cap(p), p.y - rim); }, textured(colour));
    const Colour dot = colour[1] > 0.8 && colour[2] > 0.8 ? Colour{0.7, 0.6, 0.55} : Colour{0.98, 0.97, 0.93};
    for (const Point at : {Point{-0.24, -0.64}, {0.02, -0.82}, {0.26, -0.66}}) canvas_.paint(Ellipse{{foot.x + at.x * h, foot.y + at.y * h}, 0.06 * h, 0.06 * h}, textured(dot));
  }

  Canvas canvas_;
  const SceneDescription& scene_;
  Random random_;
  double horizon_ = 0.6;
  Point offset_{};
  Light light_;
};

}  // namespace

void draw_scene(const SceneDescription& scene, uint64_t detail_seed, int64_t size, float* rgb, StageMaps* maps) {
  const Canvas canvas{size, rgb};
  Canvas stage = canvas;
  if (maps != nullptr) {
    maps->depth.assign(static_cast<size_t>(size * size), 0);
    maps->things.assign(static_cast<size_t>(size * size), 0);
    stage.depth = maps->depth.data(), stage.things = maps->things.data();
  }
  Painter(stage, scene, detail_seed).paint();
  apply_style(canvas, scene.style, detail_seed ^ 0x57e1e);
  for (int64_t i = 0; i < size * size * 3; ++i) rgb[i] = std::clamp(rgb[i], 0.0f, 1.0f);
}

}  // namespace attelier
