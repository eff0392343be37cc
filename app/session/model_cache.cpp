#include "app/session/model_cache.h"

namespace attelier {

ModelCache::Model ModelCache::take(const std::filesystem::path& path, const Context& context) {
  Model kept;
  {
    const std::lock_guard guard(mutex_);
    std::swap(kept, kept_);
  }
  if (kept.model && kept.model->files().path() == path && kept.model->device() == context.device && kept.model->dtype() == context.dtype) {
    // Files that were replaced have another hash; their names and times are enough to see it.
    if (ModelFiles(path).hash(&context) == kept.sha256) return kept;
  }
  kept = {};
  Model opened{std::make_unique<DiffusionModel>(path, context.device, context.dtype), {}};
  return opened;
}

void ModelCache::put_back(Model model) {
  const std::lock_guard guard(mutex_);
  kept_ = std::move(model);
}

void ModelCache::clear() { put_back({}); }

bool ModelCache::holds() const {
  const std::lock_guard guard(mutex_);
  return kept_.model != nullptr;
}

}  // namespace attelier
