#include "app/desktop/known_models.h"

#include <algorithm>
#include <chrono>

#include "core/weights/model_files.h"
#include "core/weights/model_store.h"

namespace attelier::desktop {

void KnownModels::look() {
  if (coming_.valid()) return;
  coming_ = std::async(std::launch::async, [wake = wake_] {
    Named models;
    try {
      for (const StoredModel& stored : ModelStore().list()) models.emplace_back(stored.name, stored.family);
    } catch (const Error&) {  // a broken list is told where models are listed
    }
    for (const std::string& name : known_models()) {
      if (std::any_of(models.begin(), models.end(), [&](const auto& one) { return one.first == name; })) continue;
      try {
        models.emplace_back(name, ModelFiles(resolve_model(name)).family());
      } catch (const Error&) {  // no model that could be offered
      }
    }
    wake();
    return models;
  });
}

std::vector<std::string> KnownModels::of(const std::vector<std::string>& families) {
  if (coming_.valid() && coming_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) models_ = coming_.get();
  std::vector<std::string> names;
  for (const auto& [name, family] : models_)
    if (std::any_of(families.begin(), families.end(), [&](const std::string& start) { return family.starts_with(start); })) names.push_back(name);
  return names;
}

}  // namespace attelier::desktop
