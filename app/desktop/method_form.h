// A method's parameters as controls, made from its description alone.
#pragma once

#include <imgui.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "app/desktop/prompt_editor.h"
#include "app/desktop/texture.h"
#include "app/desktop/theme.h"
#include "pipelines/method.h"

namespace attelier::desktop {

/// Where a form's values live.
struct FormValues {
  std::function<Json(const std::string& name)> parameter;  // null = the default
  std::function<void(const ParameterDescription& description, const Json& value)> change;
  std::function<std::vector<std::filesystem::path>(const std::string& name)> input;
  std::function<void(const InputDescription& description, const std::vector<std::filesystem::path>& files)> change_input;
  std::function<std::string(const std::string& name)> problem;      // "" = none; parameters and inputs
  std::function<void(const std::string& name, bool is_input)> browse;
  std::function<void()> look_for_models;  // begins to look which models are known
  std::function<std::vector<std::string>(const std::vector<std::string>& families)> known_models;  // as they were seen last
  std::function<std::string(const std::string& text)> token_text;   // "12 of 77 tokens", "" = not known
  std::function<Texture*(const std::filesystem::path& file)> thumbnail;  // null = not there yet, or no picture
  std::function<void(const std::vector<std::pair<const ParameterDescription*, Json>>& values)> change_together;  // in one step
  std::function<void(const InputDescription& description, const std::vector<size_t>& order)> reorder;  // entry i is the file that stood at order[i]
  std::function<std::string(const std::string& name, size_t index)> painted;  // of an input that can be painted: what is painted, "" = nothing
  std::function<void(const std::string& name, size_t index)> paint;           // begins painting it
  std::function<bool(const std::string& name, size_t index)> is_painting;
  std::function<void(const InputDescription& description, ImVec2 corner)> open_library;  // offers kept pictures for it
  std::function<void(const std::filesystem::path& file)> keep;                // keeps a picture in the library
};

/// Parameters that every method has, below its own.
struct FormGroup {
  std::string title;
  ParameterDescriptions parameters;
  FormValues values;
};

/// What a form remembers between frames: texts that are being typed.
class MethodForm {
 public:
  void draw(const Method& method, const FormValues& values, const FormGroup& common, const Theme& theme);
  /// The prompt takes the keyboard in the next frame.
  void focus_prompt() { focuses_prompt_ = true; }
  PromptEditor& prompt_editor() { return prompt_editor_; }
  /// The input whose row is at this place of the window; "" for none.
  std::string input_at(double x, double y) const;

 private:
  void draw_inputs(const Method& method, const FormValues& values, const Theme& theme);
  void draw_file(const InputDescription& input, const FormValues& values, const Theme& theme);
  /// A heading that opens, with how many of `parameters` were changed. True while it is open.
  bool draw_heading(const std::string& title, const ParameterDescriptions& parameters, const FormValues& values);
  void draw_parameter(const ParameterDescription& description, const FormValues& values, const Theme& theme);
  bool draw_control(const ParameterDescription& description, Json& value, const FormValues& values, const Theme& theme);
  /// What is known by name, a tick before each that is chosen, and the way to a file.
  bool draw_models(const ParameterDescription& description, Json& value, const FormValues& values);
  bool draw_prompt(const ParameterDescription& description, Json& value, const FormValues& values, const Theme& theme);

  struct Area {
    ImVec2 from, to;
  };
  std::map<std::string, Area> areas_;  // of inputs, as drawn last
  std::map<std::string, std::string> typed_;
  std::string section_ = "parameter ";  // before the names of its landmarks
  PromptEditor prompt_editor_;
  const ParameterDescription* prompt_weights_ = nullptr;  // of the method that is drawn; null = it has none
  bool focuses_prompt_ = false;
};

}  // namespace attelier::desktop
