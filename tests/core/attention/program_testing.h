// Sites, calls and small programs for the tests of core/attention.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "core/attention/program.h"
#include "core/base/error.h"

namespace attelier {

constexpr int64_t kBatches = 2, kHeads = 3, kRows = 7, kKeys = 5, kWidth = 8;

inline AttentionSite test_site(const std::string& path = "up_blocks.1.attentions.0.transformer_blocks.0.attn1", int64_t index = 14) {
  return {"unet", path, index, AttentionKind::kSelf, kHeads, kWidth};
}

struct Tensors {
  at::Tensor q = at::randn({kBatches, kRows, kHeads, kWidth}).transpose(1, 2);
  at::Tensor k = at::randn({kBatches, kKeys, kHeads, kWidth}).transpose(1, 2);
  at::Tensor v = at::randn({kBatches, kKeys, kHeads, kWidth}).transpose(1, 2);
  at::Tensor attend(AttentionProgram* program, const AttentionSite& site = test_site(), int64_t step = 0) const {
    ForwardContext context;
    context.program = program;
    context.step = step;
    return attelier::attend(site, q, k, v, context);
  }
};

/// Answers with a fixed control, or nothing, and keeps what it observed.
class FixedProgram : public AttentionProgram {
 public:
  explicit FixedProgram(std::optional<kernels::AttentionControl> control) : control_(std::move(control)) {}
  std::optional<kernels::AttentionControl> control(const AttentionCall& call) override {
    ++asked;
    last_step = call.step;
    return control_;
  }
  void observe(const AttentionCall&, const kernels::AttentionResult& result) override { observed.push_back(result); }

  int64_t asked = 0, last_step = -1;
  std::vector<kernels::AttentionResult> observed;

 private:
  std::optional<kernels::AttentionControl> control_;
};

using Change = std::function<void(kernels::AttentionControl&)>;
inline std::shared_ptr<FixedProgram> program(const Change& change) {
  kernels::AttentionControl control;
  change(control);
  return std::make_shared<FixedProgram>(control);
}

/// The text of the Error(kBadInput) that `action` must throw.
template <typename Action>
std::string refusal_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadInput) << error.what();
    return error.what();
  }
  return "accepted";
}

inline ::testing::AssertionResult contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "\"" << part << "\" is not in: " << text;
}

}  // namespace attelier
