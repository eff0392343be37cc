// What a face that looks into a run's attention gives the run, and gets from it. From any thread.
#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "core/attention/attention_recorder.h"
#include "core/media/image.h"
#include "core/text/prompt_tokens.h"

namespace attelier {

class AttentionWatch {
 public:
  explicit AttentionWatch(int64_t maximum_bytes = int64_t{1} << 30) : recorder(maximum_bytes) {}

  AttentionRecorder recorder;

  /// The prompt's words, where the method has a prompt.
  void set_words(std::vector<PromptWord> words) {
    const std::lock_guard lock(mutex_);
    words_ = std::move(words);
  }
  std::vector<PromptWord> words() const {
    const std::lock_guard lock(mutex_);
    return words_;
  }
  /// The pictures that the run looks at beside its own, as it sees them: picture s is that of source s of the method's controls (MapScope::source).
  void set_sources(std::vector<Image> pictures) {
    const std::lock_guard lock(mutex_);
    sources_ = std::move(pictures);
  }
  std::vector<Image> sources() const {
    const std::lock_guard lock(mutex_);
    return sources_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<PromptWord> words_;
  std::vector<Image> sources_;
};

}  // namespace attelier
