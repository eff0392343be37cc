#include "app/session/presets.h"

#include "app/session/document.h"
#include "core/base/files.h"
#include "tests/app/session/session_testing.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class Presets : public testing::Test {
 protected:
  static const Method& generate() { return *find_method("generate"); }
  /// A form with some things changed.
  static Document changed_form() {
    Document document = new_document("generate");
    document.state().params["prompt"] = "a red house";
    document.state().params["seed"] = 7;
    document.state().params["steps"] = 12;
    document.state().params["guidance_scale"] = 3.5;
    return document;
  }
  const TemporaryFolder folder_;
  const Variable config_{"XDG_CONFIG_HOME", folder_.path().string()};
};

TEST_F(Presets, KeepWhatDiffersFromTheDefaultsButNoPromptAndNoSeed) {
  EXPECT_TRUE(preset_names("generate").empty());
  save_preset("generate", "quick sketch", changed_form().state().params);
  save_preset("generate", "Ästhetik", Json::object());
  EXPECT_EQ(preset_names("generate"), (std::vector<std::string>{"quick sketch", "Ästhetik"}));
  EXPECT_TRUE(preset_names("style").empty()) << "presets are a method's own";
  EXPECT_EQ(load_preset("generate", "quick sketch"), (Json{{"steps", 12}, {"guidance_scale", 3.5}}));
  EXPECT_EQ(load_preset("generate", "Ästhetik"), Json::object());
  EXPECT_TRUE(fs::exists(folder_ / "attelier/presets/generate/quick sketch.json"));
}

TEST_F(Presets, AreRenamedAndRemovedButNeverWrittenOver) {
  save_preset("generate", "one", {{"steps", 1}});
  save_preset("generate", "two", {{"steps", 2}});
  EXPECT_EQ(error_of([] { rename_preset("generate", "one", "two"); }, {"\"two\" already"}), ExitCode::kUsage);
  EXPECT_EQ(load_preset("generate", "two")["steps"], 2);
  rename_preset("generate", "one", "three");
  EXPECT_EQ(preset_names("generate"), (std::vector<std::string>{"three", "two"}));
  remove_preset("generate", "two");
  EXPECT_EQ(error_of([] { remove_preset("generate", "two"); }, {"no preset \"two\"", "there are three"}), ExitCode::kUsage);
  EXPECT_EQ(error_of([] { load_preset("generate", "fast"); }, {"no preset \"fast\"", "three"}), ExitCode::kUsage);
  save_preset("generate", "three", {{"steps", 9}});
  EXPECT_EQ(load_preset("generate", "three")["steps"], 9) << "saving under a name replaces it";
}

TEST_F(Presets, NamesStayInTheirFolder) {
  const std::string long_name(81, 'x');
  for (const std::string& name : {std::string(), std::string("../config"), std::string("a/b"), std::string(".hidden"), std::string("line\nbreak"), std::string(" "), std::string("\xff"), long_name})
    EXPECT_EQ(error_of([&] { save_preset("generate", name, Json::object()); }, {"cannot name a preset"}), ExitCode::kUsage) << name;
  EXPECT_FALSE(fs::exists(folder_ / "attelier/presets"));
}

TEST_F(Presets, DamagedFilesSayWhatIsWrongAndHarmNobody) {
  const auto problem = [&](const std::string& text, std::initializer_list<std::string_view> parts) {
    folder_.write("attelier/presets/generate/odd.json", text);
    EXPECT_EQ(error_of([] { load_preset("generate", "odd"); }, parts), ExitCode::kBadInput) << text;
  };
  problem("", {"odd.json"});
  problem("[1]", {"odd.json", "expected an object"});
  problem("{\"preset\": 1, \"method\": \"generate\"}", {"/params is no object"});
  problem("{\"preset\": 2, \"method\": \"style\", \"params\": {}, \"more\": 1}", {"/preset is not 1", "/method is not \"generate\"", "/more is unknown"});
  problem("{\"preset\": 1, \"method\": \"generate\",\n\"params\": {\"steps\": -4, \"stepps\": 3}}", {"line 2: /params/steps is -4", "/params/stepps"});
  problem(std::string(100000, '['), {"odd.json"});
  fs::create_directories(folder_ / "attelier/presets/generate/folder.json");
  folder_.write("attelier/presets/generate/.hidden.json", "{}");
  folder_.write("attelier/presets/generate/notes.txt", "");
  EXPECT_EQ(preset_names("generate"), (std::vector<std::string>{"folder", "odd"}));
  EXPECT_EQ(error_of([] { load_preset("generate", "folder"); }, {"no preset \"folder\""}), ExitCode::kUsage);
}

TEST_F(Presets, ApplyingOneIsOneStepAndLeavesPromptAndSeed) {
  save_preset("generate", "sketch", changed_form().state().params);
  Document document = new_document("generate");
  document.state().params["prompt"] = "a green tree";
  document.state().params["seed"] = 5;
  document.state().params["negative_prompt"] = "blurry";
  const Document before = document;
  UndoStack undo;
  undo.push(document, apply_preset(document, "sketch"));
  EXPECT_EQ(undo.undo_label(), "Preset sketch");
  EXPECT_EQ(document.state().params["steps"], 12);
  EXPECT_EQ(document.state().params["guidance_scale"], 3.5);
  EXPECT_EQ(document.state().params["prompt"], "a green tree");
  EXPECT_EQ(document.state().params["seed"], 5);
  EXPECT_TRUE(document.state().params["negative_prompt"].is_null()) << "what the preset does not say is as the settings say";
  undo.push(document, apply_preset(document, ""));
  EXPECT_EQ(document.state().params["steps"], new_document("generate").state().params["steps"]);
  undo.undo(document);
  undo.undo(document);
  EXPECT_EQ(document, before);
}

TEST_F(Presets, StandBetweenTheUsersSettingsAndJobs) {
  folder_.write("attelier/config.json", R"({"params": {"generate": {"steps": 20, "guidance_scale": 2, "eta": 0.5}}})");
  save_preset("generate", "sketch", {{"steps", 12}, {"guidance_scale", 3.5}});
  std::vector<SettingsLayer> layers = config_layers("generate");
  layers.push_back(preset_layer("generate", "sketch"));
  layers.push_back({"the job", json_of(R"({"method": "generate", "params": {"steps": 3}})"), {}});
  const MergedSettings merged = merge_layers(layers);
  EXPECT_EQ(merged.job["params"], json_of(R"({"steps": 3, "guidance_scale": 3.5, "eta": 0.5})"));
  EXPECT_EQ(merged.origins.at("/params/guidance_scale"), "the preset sketch");
  EXPECT_EQ(merged.origins.at("/params/steps"), "the job");
  EXPECT_TRUE(preset_layer("generate", "").job.empty());
}

}  // namespace
}  // namespace attelier
