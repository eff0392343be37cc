#include "app/cli/flags.h"

#include <algorithm>

#include "core/base/error.h"

namespace attelier {
namespace {

/// Lists whose flag may be given several times.
bool is_list(ParameterType type) {
  return type == ParameterType::kIntegers || type == ParameterType::kNumbers || type == ParameterType::kTexts || type == ParameterType::kModels;
}

std::string type_text(const ParameterDescription& description) {
  switch (description.type) {
    case ParameterType::kInteger: return "N";
    case ParameterType::kNumber: return "X";
    case ParameterType::kSize: return "WxH";
    case ParameterType::kIntegers: return "N,N,...";
    case ParameterType::kNumbers: return "X,X,...";
    case ParameterType::kTexts: return "TEXT,...";
    case ParameterType::kModels: return "MODEL,...";
    case ParameterType::kPath: return "PATH";
    case ParameterType::kChoice: return fmt::format("{}", fmt::join(description.choices, "|"));
    default: return "TEXT";
  }
}

/// "Denoising steps. [30; 1 to 1000 steps]".
std::string help_text(const ParameterDescription& description) {
  std::string facts;
  const Json& value = description.default_value;
  if (!value.is_null() && value != Json("")) facts = value.is_string() ? value.get<std::string>() : value.dump();
  if (description.minimum || description.maximum) facts += (facts.empty() ? "" : "; ") + allowed_text(description);
  return facts.empty() ? description.help : fmt::format("{} [{}]", description.help, facts);
}

}  // namespace

std::string flag_name(const std::string& name) {
  std::string flag = "--" + name;
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

void SettingFlags::add(CLI::App& verb, const std::string& group, const std::string& name, const ParameterDescription& description) {
  const std::string flag = flag_name(name);
  CLI::Option* option = nullptr;
  if (description.type == ParameterType::kBoolean) {
    option = verb.add_flag(flag + ",!--no-" + flag.substr(2));
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  } else {
    option = verb.add_option(name == "prompt" ? "prompt," + flag : flag);
    option->type_name(type_text(description));
    if (is_list(description.type)) option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    option->allow_extra_args(false);
  }
  option->description(help_text(description));
  if (description.advanced) option->group("Advanced");
  flags_.push_back({group, description.name, description, option});
  flags_.back().description.name = name;
}

void SettingFlags::add_parameter(CLI::App& verb, const ParameterDescription& description) { add(verb, "params", description.name, description); }

void SettingFlags::add_input(CLI::App& verb, const InputDescription& description) {
  CLI::Option* option = verb.add_option(flag_name(description.name))->type_name("FILE")->description(description.help)->allow_extra_args(false)->group("Inputs");
  if (description.several) option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  ParameterDescription as_parameter;
  as_parameter.name = description.name;
  flags_.push_back({"inputs", description.name, as_parameter, option, true, description.several});
}

void SettingFlags::add_common(CLI::App& verb, const std::vector<std::string>& groups, const std::string& model) {
  for (const CommonSetting& setting : common_settings()) {
    if (std::find(groups.begin(), groups.end(), setting.group) == groups.end()) continue;
    ParameterDescription description = setting.description;
    if (setting.flag == "model" && !model.empty()) description.default_value = model;
    add(verb, setting.group, setting.flag, description);
    flags_.back().option->group("Run and output");
  }
}

void SettingFlags::add_preset(CLI::App& verb) {
  preset_ = verb.add_option("--preset")->type_name("NAME")->description("Parameters saved under this name; jobs, the environment and flags come on top. `attelier config presets` lists them.");
  preset_->allow_extra_args(false)->group("Run and output");
}

SettingsLayer SettingFlags::layer() const {
  SettingsLayer layer{"the command line", Json::object(), {}};
  for (const Flag& flag : flags_) {
    if (flag.option->count() == 0) continue;
    const std::vector<std::string>& texts = flag.option->results();
    Json value;
    if (flag.is_input) {
      value = flag.several ? Json(texts) : Json(texts.back());
    } else {
      for (const std::string& text : texts) {
        Json one = parse_setting(flag.description, flag.description.name, text);
        if (value.is_array())
          value.insert(value.end(), one.begin(), one.end());
        else
          value = std::move(one);
      }
    }
    layer.set(flag.group, flag.name, std::move(value), flag_name(flag.description.name));
  }
  return layer;
}

bool SettingFlags::random_seed() const {
  return std::any_of(flags_.begin(), flags_.end(), [](const Flag& flag) { return flag.name == "seed" && flag.option->count() > 0 && flag.option->results().back() == "random"; });
}

}  // namespace attelier
