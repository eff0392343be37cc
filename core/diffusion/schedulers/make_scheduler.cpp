#include "core/base/error.h"
#include "core/diffusion/schedulers/families.h"

namespace attelier {
namespace {

struct Family {
  const char* class_name;
  std::unique_ptr<Scheduler> (*make)(const SchedulerConfig& config);
};

constexpr Family kFamilies[] = {
    {"DDIMScheduler", make_ddim},
    {"DDIMInverseScheduler", make_ddim_inverse},
    {"DDPMScheduler", make_ddpm},
    {"PNDMScheduler", make_pndm},
    {"LCMScheduler", make_lcm},
    {"EulerDiscreteScheduler", make_euler},
    {"EulerAncestralDiscreteScheduler", make_euler_ancestral},
    {"HeunDiscreteScheduler", make_heun},
    {"LMSDiscreteScheduler", make_lms},
    {"DPMSolverMultistepScheduler", make_dpm_solver},
    {"UniPCMultistepScheduler", make_unipc},
};

std::string class_names() {
  std::vector<std::string> names;
  for (const Family& family : kFamilies) names.emplace_back(family.class_name);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// The keys that were written for the scheduler: those that diffusers marks as defaulted are left to the class at hand.
nlohmann::json written_keys(const nlohmann::json& config) {
  if (!config.is_object()) fail(ExitCode::kModel, "scheduler config is no JSON object; it needs _class_name, one of {}", class_names());
  nlohmann::json values = config;
  const auto defaulted = config.find("_use_default_values");
  if (defaulted != config.end() && defaulted->is_array())
    for (const nlohmann::json& key : *defaulted)
      if (key.is_string()) values.erase(key.get<std::string>());
  return values;
}

const Family& find_family(const std::string& class_name) {
  for (const Family& family : kFamilies)
    if (class_name == family.class_name) return family;
  fail(ExitCode::kModel, "scheduler class {} is unknown; allowed is {}", nlohmann::json(class_name).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace),
       class_names());
}

}  // namespace

std::unique_ptr<Scheduler> make_scheduler(const nlohmann::json& config, const std::string& class_name, const nlohmann::json& options) {
  nlohmann::json values = written_keys(config);
  std::string name = class_name;
  if (name.empty()) {
    const auto found = values.find("_class_name");
    if (found == values.end() || !found->is_string()) fail(ExitCode::kModel, "scheduler config has no _class_name; allowed is one of {}", class_names());
    name = found->get<std::string>();
  }
  const Family& family = find_family(name);
  if (!options.is_null()) {
    if (!options.is_object()) fail(ExitCode::kModel, "the scheduler's options are no JSON object");
    values.update(options);
  }
  const SchedulerConfig reader(name, values);
  std::unique_ptr<Scheduler> scheduler = family.make(reader);
  if (options.is_object())
    for (const auto& [key, value] : options.items())
      if (reader.known_keys().count(key) == 0)
        fail(ExitCode::kModel, "{} has no option {}; allowed is {}", name, nlohmann::json(key).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace),
             fmt::join(reader.known_keys(), ", "));
  return scheduler;
}

std::unique_ptr<Scheduler> make_inverse_scheduler(const nlohmann::json& config) {
  return make_ddim_inverse(SchedulerConfig("DDIMInverseScheduler", written_keys(config)));
}

const std::vector<SamplerName>& sampler_names() {
  const auto solver = [](const char* name, const char* algorithm, bool karras, int order = 2) -> SamplerName {
    return {name, "DPMSolverMultistepScheduler", {{"algorithm_type", algorithm}, {"solver_order", order}, {"use_karras_sigmas", karras}}};
  };
  const nlohmann::json plain = {{"use_karras_sigmas", false}}, karras = {{"use_karras_sigmas", true}};
  static const std::vector<SamplerName> names = {
      // Latents have no range to clip to.
      {"ddim", "DDIMScheduler", {{"clip_sample", false}}},
      {"ddpm", "DDPMScheduler", {{"clip_sample", false}}},
      {"pndm", "PNDMScheduler", {{"skip_prk_steps", true}}},
      {"euler", "EulerDiscreteScheduler", plain},
      {"euler_karras", "EulerDiscreteScheduler", karras},
      {"euler_a", "EulerAncestralDiscreteScheduler", nlohmann::json::object()},
      {"heun", "HeunDiscreteScheduler", plain},
      {"heun_karras", "HeunDiscreteScheduler", karras},
      {"lms", "LMSDiscreteScheduler", plain},
      {"lms_karras", "LMSDiscreteScheduler", karras},
      solver("dpmpp_2m", "dpmsolver++", false),
      solver("dpmpp_2m_karras", "dpmsolver++", true),
      solver("dpmpp_2m_sde", "sde-dpmsolver++", false),
      solver("dpmpp_2m_sde_karras", "sde-dpmsolver++", true),
      solver("dpmpp_3m", "dpmsolver++", false, 3),
      {"unipc", "UniPCMultistepScheduler", plain},
      {"lcm", "LCMScheduler", nlohmann::json::object()},
  };
  return names;
}

}  // namespace attelier
