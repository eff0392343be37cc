// What a face that looks into a run's attention gives the run, and gets from it. From any thread.
#pragma once

#include <mutex>
#include <vector>

#include "core/attention/attention_recorder.h"
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

 private:
  mutable std::mutex mutex_;
  std::vector<PromptWord> words_;
};

}  // namespace attelier
