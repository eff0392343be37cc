// Classifiers of the drawn world's kinds, or of its characters: pictures of one, cross-entropy.
#include <c10/core/GradMode.h>

#include <array>
#include <functional>
#include <set>

#include "core/evaluation/statistics.h"
#include "core/models/backbones/backbone.h"
#include "core/scenes/single_things.h"
#include "core/scenes/world/characters.h"
#include "core/scenes/world/dice.h"
#include "core/training/autocast.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"
#include "core/training/rolling_pool.h"
#include "core/training/sample.h"
#include "core/training/world_names.h"

namespace attelier {
namespace {

constexpr int64_t kShown = 36, kColumns = 9;          // of a sheet
constexpr int64_t kTogether = 32;                     // pictures of one forward pass without gradients
constexpr std::array kMean = {0.485, 0.456, 0.406};   // of the pictures that the authors' models are made for, red, green and blue
constexpr std::array kDeviation = {0.229, 0.224, 0.225};
constexpr double kSeenShare = 0.8888;                 // of the side of a drawn picture, 8 / 9

constexpr int kFirstStranger = 1000, kStrangers = 100'000;  // numbers of characters that stand for all others
constexpr const char* kSomebodyElse = "somebody else";

std::vector<world::Kind> kinds_of(const Json& config) { return config.at("kinds").is_null() ? subject_kinds() : all_named<world::Kind>(config.at("kinds")); }

/// What is told apart.
struct Classes {
  std::vector<std::string> labels;
  std::function<std::vector<float>(size_t label, world::Look look, world::Dice& dice, int64_t size)> draw;  // [size, size, 3]
};

Classes classes_of(const Json& config) {
  Classes classes;
  if (config.at("characters").is_null()) {
    const std::vector<world::Kind> kinds = kinds_of(config);
    for (const world::Kind kind : kinds) classes.labels.push_back(word_of(kind));
    classes.draw = [kinds](size_t label, world::Look look, world::Dice& dice, int64_t size) { return draw_single_thing(kinds[label], look, dice.next(), size); };
    return classes;
  }
  const std::vector<int> numbers = config.at("characters");
  for (const int number : numbers) classes.labels.push_back(world::identity(number).name);
  classes.labels.emplace_back(kSomebodyElse);
  // The last class holds other characters and pictures without any.
  classes.draw = [numbers](size_t label, world::Look look, world::Dice& dice, int64_t size) {
    if (label < numbers.size()) return draw_single_character(numbers[label], look, dice.next(), size);
    if (dice.chance(0.5f)) return draw_single_character(kFirstStranger + dice.below(kStrangers), look, dice.next(), size);
    return draw_single_thing(dice.pick(subject_kinds()), look, dice.next(), size);
  };
  return classes;
}

/// config.json of the backbone with its classes.
Json network_config(const Json& config) {
  Json network = config.at("backbone");
  const std::vector<std::string> labels = classes_of(config).labels;
  network["num_classes"] = labels.size();
  network["id2label"] = network["label2id"] = Json::object();
  for (size_t i = 0; i < labels.size(); ++i) {
    network["id2label"][std::to_string(i)] = labels[i];
    network["label2id"][labels[i]] = i;
  }
  // Architectures call it by different names.
  network["img_size"] = network["image_size"] = config.at("picture_size");
  network["crop_pct"] = kSeenShare;
  return network;
}

/// Bytes [B, 3, S, S] as the network takes them.
at::Tensor normalised(const at::Tensor& unit) {
  const auto column = [&](const auto& values) { return at::tensor(std::vector<double>(values.begin(), values.end()), at::kFloat).view({1, 3, 1, 1}).to(unit.device()); };
  return (unit - column(kMean)) / column(kDeviation);
}

/// A drawn picture, somewhat larger than what the network sees, and the number of its class.
struct Labelled {
  at::Tensor pixels;  // bytes [3, S', S']
  int64_t label = 0;
};

class ClassifyObjective : public Objective {
 public:
  explicit ClassifyObjective(const Json& config)
      : config_(config),
        network_(network_config(config)),
        backbone_(make_backbone(network_)),
        classes_(classes_of(config)),
        looks_(all_named<world::Look>(config.at("looks"))),
        seed_(config.at("seed").get<uint64_t>()),
        batch_(config.at("batch").get<int64_t>()),
        size_(config.at("picture_size").get<int64_t>()),
        pool_(config.at("pool").get<int64_t>(), config.at("fresh").get<int64_t>(), config.at("drawing_threads").get<int>(), [this](int64_t number) { return picture(number); }) {}

  nn::Module& module() override { return *backbone_; }
  void prepare(int64_t step, const Context& context) override { pool_.fill(step, context); }

  at::Tensor loss(int64_t step, int64_t micro, const Context& context) override {
    if (micro == 0) pool_.start_next();
    std::mt19937_64 random = step_random(seed_, step, micro);
    std::vector<at::Tensor> pictures;
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < batch_; ++i) {
      const Labelled& one = pool_[static_cast<int64_t>(random() % static_cast<uint64_t>(pool_.size()))];
      pictures.push_back(worn(one.pixels, random));
      labels.push_back(one.label);
    }
    ForwardContext forward;
    forward.recompute = config_.at("recompute").get<bool>();
    backbone_->set_training(true);
    at::Tensor logits;
    {
      const Autocast autocast(context.device.type(), config_.at("bfloat16").get<bool>());
      logits = backbone_->forward(normalised(at::stack(pictures).to(context.device)), forward).logits;
    }
    return at::cross_entropy_loss(logits.to(at::kFloat), at::tensor(labels).to(context.device), {}, at::Reduction::Mean, -100, config_.at("label_smoothing").get<double>());
  }

  void end_step() override { pool_.swap_in(); }
  void abandon_step() override { pool_.settle(); }

  /// Shares of held-out pictures, as many of each class, with Wilson's 95 % interval.
  std::vector<Metric> validate(const Context& context) override {
    int64_t right = 0, near = 0;
    const int64_t count = config_.at("validation_pictures");
    for (int64_t first = 0; first < count; first += kTogether) {
      const std::vector<Labelled> some = held_out(first, std::min(kTogether, count - first), context);
      const at::Tensor best = std::get<1>(logits_of(some, context).topk(std::min<int64_t>(5, static_cast<int64_t>(classes_.labels.size())), 1));
      for (size_t i = 0; i < some.size(); ++i) {
        const at::Tensor hits = best[static_cast<int64_t>(i)] == some[i].label;
        right += hits[0].item<bool>();
        near += hits.any().item<bool>();
      }
    }
    const Interval interval = wilson_share(right, count).interval;
    const auto share = [&](int64_t hits) { return static_cast<double>(hits) / static_cast<double>(count); };
    return {{"accuracy", share(right)}, {"accuracy from", interval.low}, {"accuracy to", interval.high}, {"accuracy of five", share(near)}};
  }

  /// Held-out pictures, framed in green where the network is right and in red where it is not.
  at::Tensor sheet(const Context& context) override {
    std::vector<at::Tensor> tiles;
    const std::vector<Labelled> some = held_out(0, kShown, context);
    const at::Tensor best = logits_of(some, context).argmax(1);
    constexpr int64_t kFrame = 3;
    for (size_t i = 0; i < some.size(); ++i) {
      const at::Tensor tile = at::full({3, size_ + 2 * kFrame, size_ + 2 * kFrame}, -1.0f);
      tile[best[static_cast<int64_t>(i)].item<int64_t>() == some[i].label ? 1 : 0].fill_(0.5);
      tile.slice(1, kFrame, kFrame + size_).slice(2, kFrame, kFrame + size_).copy_(to_signed(inner(some[i].pixels)));
      tiles.push_back(tile);
    }
    return contact_sheet(tiles, kColumns);
  }

  void export_model(const std::filesystem::path& folder, const Context&) override { write_component(folder, network_, "model.safetensors", *backbone_); }

 private:
  int64_t drawn_size() const { return size_ + size_ / 8; }
  at::Tensor inner(const at::Tensor& pixels) const {
    const int64_t at = (drawn_size() - size_) / 2;
    return pixels.slice(1, at, at + size_).slice(2, at, at + size_);
  }

  /// Picture `number`; negative ones take the classes in turn.
  Labelled picture(int64_t number) const {
    world::Dice dice(sample_seed(seed_, number, 0xc1a5));
    const auto label = number < 0 ? (-1 - number) % static_cast<int64_t>(classes_.labels.size()) : static_cast<int64_t>(dice.below(static_cast<int>(classes_.labels.size())));
    const world::Look look = looks_.empty() ? world::Look::kPlain : dice.pick(looks_);
    std::vector<float> rgb = classes_.draw(static_cast<size_t>(label), look, dice, drawn_size());
    return {to_bytes(rgb, drawn_size()), label};
  }

  std::vector<Labelled> held_out(int64_t first, int64_t count, const Context& context) const {
    context.check_stop();
    return make_side_by_side(first, count, config_.at("drawing_threads").get<int>(), [this](int64_t i) { return picture(-1 - i); });
  }

  /// [N, K].
  at::Tensor logits_of(const std::vector<Labelled>& some, const Context& context) const {
    std::vector<at::Tensor> pictures;
    for (const Labelled& one : some) pictures.push_back(inner(one.pixels));
    backbone_->set_training(false);
    ForwardContext forward;
    forward.stop = context.stop;
    return backbone_->forward(normalised(at::stack(pictures).to(context.device).to(at::kFloat) / 255), forward).logits.to(at::kCPU, at::kFloat);
  }

  /// A square of the picture, mirrored at random, brighter or darker, paler or stronger, tinted: [3, S, S] in [0, 1].
  at::Tensor worn(const at::Tensor& pixels, std::mt19937_64& random) const {
    const auto unit = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
    const auto offset = [&] { return static_cast<int64_t>(random() % static_cast<uint64_t>(drawn_size() - size_ + 1)); };
    const int64_t y = offset(), x = offset();
    at::Tensor square = pixels.slice(1, y, y + size_).slice(2, x, x + size_).to(at::kFloat) / 255;
    if (random() & 1) square = square.flip(2);
    const double gain = 0.8 + 0.4 * unit(), lift = 0.2 * unit() - 0.1;
    const at::Tensor tint = at::tensor({0.9 + 0.2 * unit(), 0.9 + 0.2 * unit(), 0.9 + 0.2 * unit()}, at::kFloat).view({3, 1, 1});
    return (square * tint * gain + lift).clamp(0, 1);
  }

  Json config_, network_;
  std::unique_ptr<Backbone> backbone_;
  Classes classes_;
  std::vector<world::Look> looks_;
  uint64_t seed_;
  int64_t batch_, size_;
  RollingPool<Labelled> pool_;
};

void check_characters(const Json& config, ConfigProblems& problems) {
  const std::vector<int> numbers = config.at("characters");
  if (numbers.empty()) problems.add("/characters", "is empty; name numbers of characters, or leave it out to tell kinds apart");
  if (!config.at("kinds").is_null()) problems.add("/characters", "stands beside \"kinds\"; one network tells either apart");
  std::set<std::string> names;
  for (const int number : numbers)
    if (!names.insert(world::identity(number).name).second) problems.add("/characters", "has two that are called {}; of the first {} every one has a name of its own", world::identity(number).name, world::kNamedCharacters);
}

void check(const Json& config, const std::filesystem::path&, ConfigProblems& problems) {
  check_names(config.at("kinds"), "/kinds", subject_kinds(), problems);
  check_names(config.at("looks"), "/looks", all_of<world::Look>(), problems);
  const std::vector<world::Kind> kinds = kinds_of(config);
  if (kinds.size() < 2) problems.add("/kinds", "names {} kinds; two are the least that can be told apart", kinds.size());
  for (size_t i = 0; i < kinds.size(); ++i)
    if (std::find(kinds.begin(), kinds.begin() + static_cast<std::ptrdiff_t>(i), kinds[i]) != kinds.begin() + static_cast<std::ptrdiff_t>(i)) problems.add("/kinds", "names \"{}\" twice", word_of(kinds[i]));
  if (!config.at("characters").is_null()) check_characters(config, problems);
  if (!config.at("backbone").is_object()) return;
  std::unique_ptr<Backbone> backbone;
  try {
    backbone = make_backbone(network_config(config));
  } catch (const Error& error) {
    problems.add("/backbone", "cannot be used: {}", error.what());
    return;
  }
  // What sizes an architecture takes it alone knows.
  c10::NoGradGuard no_grad;
  const int64_t size = config.at("picture_size");
  backbone->initialise(make_generator(0));
  try {
    if (!backbone->forward(at::zeros({1, 3, size, size}), {}).logits.defined()) problems.add("/backbone", "has no head for classes");
  } catch (const Error& error) {
    problems.add("/picture_size", "is {}, which this backbone does not take: {}", size, error.what());
  }
}

}  // namespace

ObjectiveKind classify_objective() {
  using enum ParameterType;
  ConfigShape shape;
  shape.parameters = {
      {.name = "kinds", .label = "kinds", .help = "Kinds of things that are told apart; without it all that a picture can be composed around", .type = kTexts, .default_value = nullptr},
      {.name = "characters", .label = "characters", .help = "Numbers of characters that are told apart, and from everybody else, instead of kinds", .type = kIntegers, .default_value = nullptr, .minimum = 0,
       .maximum = kFirstStranger - 1},
      {.name = "looks", .label = "looks", .help = "Painted styles; a name given twice comes twice as often. Without it all pictures are plain", .type = kTexts, .default_value = nullptr},
      {.name = "picture_size", .label = "picture_size", .help = "Side of what the network sees", .type = kInteger, .default_value = 96, .minimum = 16, .maximum = 1024},
      {.name = "pool", .label = "pool", .help = "Pictures at hand", .type = kInteger, .default_value = 2048, .minimum = 1, .maximum = 1e7},
      {.name = "fresh", .label = "fresh", .help = "New ones a step", .type = kInteger, .default_value = 4, .minimum = 0, .maximum = 65536},
      {.name = "drawing_threads", .label = "drawing_threads", .help = "Threads that draw the pictures of the next step", .type = kInteger, .default_value = 1, .minimum = 1, .maximum = 256},
      {.name = "label_smoothing", .label = "label_smoothing", .help = "What the truth gives up to all kinds", .default_value = 0.1, .minimum = 0, .maximum = 0.9},
      {.name = "validation_pictures", .label = "validation_pictures", .help = "Pictures of a measurement", .type = kInteger, .default_value = 500, .minimum = 1, .maximum = 1e6}};
  shape.networks = {"backbone"};
  return {"classify", "A backbone that tells kinds of drawn things, or drawn characters, apart", shape, check,
          [](const Json& config, const std::filesystem::path&, const Context&) -> std::unique_ptr<Objective> { return std::make_unique<ClassifyObjective>(config); }};
}

}  // namespace attelier
