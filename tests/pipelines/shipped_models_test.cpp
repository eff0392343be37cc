// What the shipped models are for, on scenes whose truth is known: fails when a method stops working on them, not when a digit changes.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>

#include "core/base/files.h"
#include "core/evaluation/judgement.h"
#include "pipelines/evaluation/evaluation.h"

namespace attelier {
namespace {

class ShippedModels : public testing::Test {
 protected:
  static DiffusionModel& model(const std::string& name) {
    static std::map<std::string, std::unique_ptr<DiffusionModel>> models;
    std::unique_ptr<DiffusionModel>& slot = models[name];
    if (!slot) slot = std::make_unique<DiffusionModel>(assets_folder() / name, at::kCPU, at::kFloat);
    return *slot;
  }

  static EvaluationRequest request(const std::string& name = "mini") {
    static const std::unique_ptr<Judge> judge = load_judge(assets_folder() / "judge");
    EvaluationRequest request;
    request.pictures = 4;
    request.seed = 5;
    request.model = &model(name);
    request.judge = judge.get();
    request.steps = 10;
    return request;
  }

  static double mean(const EvaluationResult& result, const std::string& name, size_t arm) {
    const auto measure = std::find_if(result.measures.begin(), result.measures.end(), [&](const Measure& one) { return one.name == name; });
    if (measure == result.measures.end()) throw std::runtime_error("no measure " + name);
    return summarise(*measure, arm, 0).value;
  }
};

TEST_F(ShippedModels, MiniPaintsWhatCaptionsSay) {
  const EvaluationResult result = find_evaluation("generate")->run(request(), {});
  EXPECT_GE(mean(result, "place", 1), 0.75);
  EXPECT_GE(mean(result, "place", 1), mean(result, "place", 0) + 0.25);
  EXPECT_GE(mean(result, "style", 1), 0.5);
}

TEST_F(ShippedModels, MiniXlPaintsWhatCaptionsSay) {
  const EvaluationResult result = find_evaluation("generate")->run(request("mini-xl"), {});
  EXPECT_GE(mean(result, "place", 1), 0.75);
  EXPECT_GE(mean(result, "place", 1), mean(result, "place", 0) + 0.25);
}

TEST_F(ShippedModels, PicturesFollowTheControlNets) {
  for (const char* control : {"edges", "depth"}) {
    EvaluationRequest controlled = request();
    controlled.controlnet = assets_folder() / (std::string("mini-controlnet-") + control);
    controlled.control = control;
    const EvaluationResult result = find_evaluation("controlnet")->run(controlled, {});
    EXPECT_GE(mean(result, "edges followed", 1), mean(result, "edges followed", 0) + 0.15) << control;
  }
}

TEST_F(ShippedModels, MiniInpaintRepaintsAndKeeps) {
  EvaluationRequest masked = request("mini-inpaint");
  masked.against = &model("mini");
  const EvaluationResult result = find_evaluation("inpaint")->run(masked, {});
  EXPECT_GE(mean(result, "place", 1), 0.75);
  EXPECT_GE(mean(result, "outside", 1), 14);
  EXPECT_GE(mean(result, "inside", 1), 9);
  // With keep_latents: the rest as it was, and a border that is hardly to be seen.
  EXPECT_GE(mean(result, "outside", 2), 28);
  EXPECT_GE(mean(result, "inside", 2), 11);
  EXPECT_LE(mean(result, "seam", 2), mean(result, "seam", 1) - 1);
}

}  // namespace
}  // namespace attelier
