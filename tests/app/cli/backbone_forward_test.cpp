// The component `backbone`: names, dtypes and errors of the open bench.
#include <filesystem>

#include "app/session/components.h"
#include "tests/core/models/backbones/backbones_testing.h"

namespace attelier {
namespace {

ComponentCall call_of(const std::string& model, const std::string& title) {
  ComponentCall call;
  call.model = backbone_folder(model);
  call.inputs["image"] = BackboneCase(model, title).image;
  return call;
}

TEST(BackboneComponent, EqualsTheReferences) {
  for (const auto& [model, title] : {std::pair<const char*, const char*>{"biformer", "batch"},
                                     {"biformer_pad", "odd"},
                                     {"biformer_mm", "odd"},
                                     {"biformer_stl_nchw", "odd"},
                                     {"vit", "larger"}}) {
    const BackboneCase fixture(model, title);
    const NamedTensors outputs = run_component(find_component("backbone"), call_of(model, title));
    ASSERT_EQ(outputs.size(), fixture.out.size()) << model;
    for (const auto& [name, tensor] : outputs) {
      ASSERT_TRUE(fixture.out.contains(name)) << name;
      if (tensor.scalar_type() == at::kLong) EXPECT_TRUE(at::equal(tensor, fixture.out.at(name))) << name;
      else EXPECT_TRUE(close(tensor, fixture.out.at(name), 2e-5)) << name;
    }
  }
}

TEST(BackboneComponent, RefusesPicturesThatAreNone) {
  ComponentCall call = call_of("biformer", "batch");
  call.inputs["image"][0][0][3][3] = std::nan("");
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run_component(find_component("backbone"), call); }), "image holds NaN or Inf"));
  call.inputs["image"] = at::zeros({1, 1, 32, 32});
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run_component(find_component("backbone"), call); }), "[B = 1, 3, H, W] is needed"));
  call.inputs["image"] = at::zeros({1, 3, 0, 32});
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run_component(find_component("backbone"), call); }), "image has the shape [1, 3, 0, 32]"));
  call.inputs["image"] = at::zeros({1, 3, 33, 32});
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run_component(find_component("backbone"), call); }), "auto_pad"));
}

TEST(BackboneComponent, AnotherModelIsTheModelsFault) {
  ComponentCall call = call_of("biformer", "batch");
  call.model = fixture_folder("unet_sd1");
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { run_component(find_component("backbone"), call); }), "has no backbone; it has unet"));
}

}  // namespace
}  // namespace attelier
