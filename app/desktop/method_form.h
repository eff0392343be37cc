// A method's parameters as controls, made from its description alone.
#pragma once

#include <functional>
#include <map>
#include <string>

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
  std::function<std::string(const std::string& text)> token_text;   // "12 of 77 tokens", "" = not known
  std::function<Texture*(const std::filesystem::path& file)> thumbnail;  // null = not there yet, or no picture
  std::function<std::string(const std::string& name)> painted;           // of an input that can be painted: what is painted, "" = nothing
  std::function<void(const std::string& name)> paint;                    // begins painting it
};

/// What a form remembers between frames: texts that are being typed.
class MethodForm {
 public:
  void draw(const Method& method, const FormValues& values, const Theme& theme);
  /// The prompt takes the keyboard in the next frame.
  void focus_prompt() { focuses_prompt_ = true; }

 private:
  void draw_inputs(const Method& method, const FormValues& values, const Theme& theme);
  void draw_parameter(const ParameterDescription& description, const FormValues& values, const Theme& theme);
  bool draw_control(const ParameterDescription& description, Json& value, const FormValues& values, const Theme& theme);
  bool draw_prompt(const ParameterDescription& description, Json& value, const FormValues& values, const Theme& theme);

  std::map<std::string, std::string> typed_;
  bool focuses_prompt_ = false;
};

}  // namespace attelier::desktop
