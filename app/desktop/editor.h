// The job in the making, as the form sees it: values, their problems, undo, autosave.
#pragma once

#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/session/job.h"

namespace attelier {
class Mask;
}

namespace attelier::desktop {

/// A seed by chance, short enough to be read out.
int64_t new_seed();

class Editor {
 public:
  Editor();
  ~Editor();

  const Method& method() const;
  void set_method(const std::string& name);
  Json parameter(const std::string& name) const;
  void change(const ParameterDescription& description, const Json& value);
  /// Several as one step.
  void change(const std::vector<std::pair<const ParameterDescription*, Json>>& values);
  std::vector<std::filesystem::path> input(const std::string& name) const;
  void change_input(const std::string& name, const std::vector<std::filesystem::path>& files);
  /// Where pictures go and what computes them, as parameters whose defaults are those of the settings.
  ParameterDescriptions common_parameters() const;
  Json common(const std::string& name) const;
  void change_common(const std::string& name, const Json& value);
  std::string model() const;
  void set_model(const std::string& model);

  /// The masks of an input that can be painted; none where the method has no such input.
  const std::vector<Mask>& masks(const std::string& input) const;
  /// One step of work on one of them.
  void paint(const std::string& label, const std::string& input, size_t index, Mask after);
  /// The files of an input in another order, with what belongs to them: entry i is the one that stood at order[i].
  void reorder_input(const std::string& name, const std::vector<size_t>& order);

  /// Finds out what is wrong with the form; cheap when nothing changed since.
  void find_problems();
  /// What was wrong outside the form may have been put right: a file, a folder, a model.
  void look_again();
  /// What is wrong with a parameter, an input or "model", "" if nothing. Known after find_problems() or job().
  std::string problem(const std::string& name) const;
  std::string first_problem() const;
  /// Where pictures go.
  const std::filesystem::path& pictures_folder() const;
  /// The job of the form as it is now, once its masks are written: at once, or on another thread where they are large. Not valid if the form is wrong; first_problem() says how. get() throws
  /// Error if a mask cannot be written.
  std::future<Job> job();
  /// Takes everything over from a job.
  void restore(const Json& job);

  /// Presets of the method (app/session/presets.h); "" = the settings alone. Throw Error.
  void apply_preset(const std::string& name);
  void save_preset(const std::string& name) const;

  bool can_undo() const;
  bool can_redo() const;
  std::string undo_label() const;
  std::string redo_label() const;
  void undo();
  void redo();

  /// Every frame: what was edited goes to the disk at times, and comes back when the app is opened again.
  void autosave_if_due();
  /// When the form was saved that was found after the app ended without being closed (seconds since 1970); nothing otherwise.
  std::optional<int64_t> recovered() const;
  /// A new form with the settings' defaults.
  void start_over();
  /// What went wrong behind the user's back, "" if nothing: settings that are wrong, an autosave that failed.
  const std::string& trouble() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace attelier::desktop
