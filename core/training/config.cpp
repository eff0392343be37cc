#include "core/training/config.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_text.h"

namespace attelier {
namespace {

using enum ParameterType;

ParameterDescription text(const char* name, const char* help, Json default_value = nullptr) {
  return {.name = name, .label = name, .help = help, .type = kText, .default_value = std::move(default_value)};
}
ParameterDescription whole(const char* name, const char* help, Json default_value, double minimum, double maximum = 1e15) {
  return {.name = name, .label = name, .help = help, .type = kInteger, .default_value = std::move(default_value), .minimum = minimum, .maximum = maximum};
}
ParameterDescription number(const char* name, const char* help, Json default_value, double minimum, double maximum, bool above = false) {
  return {.name = name, .label = name, .help = help, .type = kNumber, .default_value = std::move(default_value), .minimum = minimum, .maximum = maximum, .minimum_is_exclusive = above};
}
ParameterDescription flag(const char* name, const char* help, bool default_value) {
  return {.name = name, .label = name, .help = help, .type = kBoolean, .default_value = default_value};
}

ConfigShape make_common_shape() {
  ConfigShape shape;
  shape.parameters = {
      text("objective", "What is trained"),
      whole("seed", "Of the first weights, the pictures and the noise", 0, 0),
      whole("steps", "Optimiser steps", 1000, 1),
      whole("batch", "Pictures of one forward pass", 16, 1, 65536),
      whole("accumulate", "Forward passes of one step", 1, 1, 1023),
      flag("bfloat16", "Products and convolutions in bfloat16, weights in float32; without effect on a processor that has no instructions for it", true),
      flag("recompute", "Gradient checkpointing: blocks compute again in the backward pass instead of keeping their insides", false),
      whole("save_every_seconds", "Time between checkpoints", 300, 1, 1e9),
      whole("save_every_steps", "Steps between checkpoints, beside the time; 0 = by time alone", 0, 0),
      whole("show_every_seconds", "Time between sheets, figures and exports", 900, 1, 1e9),
      whole("show_every_steps", "Steps between sheets, figures and exports, beside the time; 0 = by time alone", 0, 0),
      {.name = "output", .label = "output", .help = "Folder of the run, relative to the configuration's", .type = kPath, .default_value = "training"}};
  shape.groups.push_back({"optimizer",
                          {number("learning_rate", "Of AdamW", 2e-4, 0, 10, true), number("minimum_rate", "Share of the rate that is left at the last step", 0.02, 0, 1),
                           whole("warm_up", "Steps until the full rate", 200, 0), number("beta1", "Decay of the first moment", 0.9, 0, 0.99999),
                           number("beta2", "Decay of the second moment", 0.99, 0, 0.9999999), number("epsilon", "Beside the root of the second moment", 1e-8, 0, 1, true),
                           number("weight_decay", "Decoupled", 0.01, 0, 10), number("clip_norm", "Longest gradient; 0 = not clipped", 1, 0, 1e9),
                           number("muon_rate", "Rate of Muon for matrices and kernels; 0 = AdamW for all", 0, 0, 10), number("ema_decay", "Of the averaged weights, which are exported", 0.999, 0, 0.9999999)}});
  return shape;
}

}  // namespace

void ConfigProblems::append(const Problem& problem) {
  if (!has(problem.pointer)) problems_.push_back(problem);
}

bool ConfigProblems::has(const std::string& pointer) const {
  return std::any_of(problems_.begin(), problems_.end(), [&](const Problem& problem) { return problem.pointer == pointer; });
}

void ConfigProblems::report(const std::filesystem::path& file) const {
  if (problems_.empty()) return;
  std::error_code error;
  report_problems(problems_, std::filesystem::exists(file, error) ? read_file(file, kLargestJson) : "", file.string(), ExitCode::kBadInput);
}

const ConfigShape& common_shape() {
  static const ConfigShape shape = make_common_shape();
  return shape;
}

const ConfigShape::Group& data_group() {
  static const ConfigShape::Group group = {
      "data",
      {{.name = "source", .label = "source", .help = "world: 3D scenes with truth; small_world: flat scenes; textures: pictures without meaning; folder: your own", .type = kChoice,
        .default_value = "world", .choices = {"world", "small_world", "textures", "folder"}},
       {.name = "path", .label = "path", .help = "folder: where the pictures lie, relative to the configuration", .type = kPath, .default_value = nullptr},
       text("caption", "folder: of pictures without one", ""),
       {.name = "crop", .label = "crop", .help = "folder: which square of a picture", .type = kChoice, .default_value = "centre", .choices = {"centre", "random"}},
       number("zoom", "folder: pictures are enlarged at random up to this factor before the crop", 1, 1, 8),
       flag("flip", "folder: every second time mirrored", false),
       number("texture_share", "world, small_world: share of pictures that are textures without a caption", 0, 0, 1),
       {.name = "looks", .label = "looks", .help = "world: painted styles; a name given twice comes twice as often. Without it every third picture is plain", .type = kTexts, .default_value = nullptr},
       {.name = "places", .label = "places", .help = "world: places; without it all", .type = kTexts, .default_value = nullptr},
       {.name = "characters", .label = "characters", .help = "world: numbers of characters of whom each picture shows one", .type = kIntegers, .default_value = nullptr, .minimum = 0, .maximum = 1e6},
       whole("drawing_threads", "Threads that draw the pictures of the next step", 1, 1, 256)}};
  return group;
}

ConfigShape merged(const ConfigShape& a, const ConfigShape& b) {
  ConfigShape shape = a;
  shape.parameters.insert(shape.parameters.end(), b.parameters.begin(), b.parameters.end());
  shape.groups.insert(shape.groups.end(), b.groups.begin(), b.groups.end());
  shape.networks.insert(shape.networks.end(), b.networks.begin(), b.networks.end());
  shape.optional_networks.insert(shape.optional_networks.end(), b.optional_networks.begin(), b.optional_networks.end());
  return shape;
}

Json resolve_config(const ConfigShape& shape, const Json& given, ConfigProblems& problems) {
  const auto resolve = [&](const ParameterDescriptions& descriptions, const Json& part, const std::string& base) {
    std::vector<Problem> found;
    Json resolved = resolve_parameters(descriptions, part, base, found);
    for (const Problem& problem : found) {
      problems.append(problem);
      for (const ParameterDescription& description : descriptions)
        if (problem.pointer == base + "/" + description.name) resolved[description.name] = description.default_value;
    }
    return resolved;
  };
  // Groups and networks stand beside plain parameters; as parameters without a type they are known to the search for near names.
  ParameterDescriptions known = shape.parameters;
  Json plain = given, nested = Json::object();
  const auto take = [&](const std::string& key) {
    const Json value = given.contains(key) ? given.at(key) : Json();
    plain.erase(key);
    known.push_back({.name = key, .label = key, .help = "", .default_value = nullptr});
    return value;
  };
  for (const ConfigShape::Group& group : shape.groups) {
    const Json value = take(group.name);
    nested[group.name] = resolve(group.parameters, value.is_null() ? Json::object() : value, "/" + group.name);
  }
  const auto take_network = [&](const std::string& network, bool required) {
    nested[network] = take(network);
    if (nested[network].is_null() && !required) return;
    if (nested[network].is_null()) problems.add("/" + network, "is missing: the sizes of this network, as in its config.json");
    else if (!nested[network].is_object()) problems.add("/" + network, "is {}; expected an object as in config.json", nested[network].dump());
    if (!nested[network].is_object()) nested[network] = nullptr;
  };
  for (const std::string& network : shape.networks) take_network(network, true);
  for (const std::string& network : shape.optional_networks) take_network(network, false);
  Json resolved = resolve(known, plain, "");
  resolved.update(nested);
  return resolved;
}

Json read_config(const std::filesystem::path& file) {
  const Json config = parse_json_text(read_file(file, kLargestJson), file.string());
  if (!config.is_object()) fail(ExitCode::kBadInput, "{}: is {}; a training configuration is an object", file.string(), config.type_name());
  return config;
}

}  // namespace attelier
