// What a person is working on: the job that would run now, for each method its own, with its painted masks. A value: copies are cheap and independent.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/session/job.h"
#include "app/session/mask.h"
#include "app/session/undo.h"

namespace attelier {

using InputPaths = std::vector<std::filesystem::path>;

/// What was set for one method; switching to another one and back keeps it.
struct MethodState {
  std::string model;
  Json params = Json::object();  // every parameter of the method
  std::map<std::string, InputPaths> inputs;  // every input of the method, empty where none is chosen
  /// Every input that can be painted: one mask, or one for each file of the input that it has one_per; without size where nothing is painted.
  std::map<std::string, std::vector<Mask>> masks;
  bool operator==(const MethodState&) const = default;
};

struct Document {
  std::string method;
  std::map<std::string, MethodState> methods;  // by name, all that there are
  JobOutput output;
  JobRun run;
  Json settings;  // common_json() as the settings gave it: what is different now was changed by a person

  MethodState& state() { return methods[method]; }
  const MethodState& state() const { return methods.at(method); }
  bool operator==(const Document&) const = default;
};

/// Defaults under the settings of system, user and environment. Throws Error for settings that are wrong.
Document new_document(const std::string& method = "generate");

/// Commands on `document` as it is now. Those of one parameter merge with each other.
std::unique_ptr<Command> set_parameter(const Document& document, const std::string& name, Json value);
/// All parameters of the method as one step.
std::unique_ptr<Command> set_parameters(const Document& document, const std::string& label, Json params);
/// What belongs to a file that stays, its weight and its painted masks, stays with it wherever it now stands. A mask's file becomes the painted mask as
/// soon as there is a picture to paint over, so that there is one mask, not two; without files nothing is painted.
std::unique_ptr<Command> set_input(const Document& document, const std::string& name, InputPaths paths);
/// The same by place, which tells equal files apart: entry i is the file that stood at `order[i]`.
std::unique_ptr<Command> reorder_input(const Document& document, const std::string& name, const std::vector<size_t>& order);
std::unique_ptr<Command> set_model(const Document& document, const std::string& model);
std::unique_ptr<Command> set_method(const Document& document, const std::string& method);
/// One value of common_json(); null = as the settings say.
std::unique_ptr<Command> set_common(const Document& document, const std::string& group, const std::string& name, Json value);
/// One stroke on mask `index` of input `name`. The document may hold the painted mask already, so that `before` is what was there before the stroke; memory
/// is that of the tiles that differ.
std::unique_ptr<Command> paint(const Document& document, const std::string& label, const std::string& name, size_t index, Mask before, Mask after);
/// The settings of a job (of a picture, of the history): method, model, parameters, inputs, device and number format, so that it makes the same picture;
/// where results go stays. Its masks become painted ones.
/// Throws Error for a mask that cannot be read.
std::unique_ptr<Command> restore(const Document& document, const Job& job);

/// Where results go and what computes them: {"output": {...}, "run": {...}}, with the names of common_group().
Json common_json(const Document& document);
/// An older document under today's settings: what no person had changed follows them.
void follow_settings(Document& document, const Document& today);

/// What is wrong with the document as a job: JSON pointer ("/params/steps") -> what is wrong there. Empty = it can run.
std::map<std::string, std::string> problems_of(const Document& document);
/// The job. Painted masks are written into `mask_folder` (by the hashes of their contents) where the method has a picture to use them on. Of several masks
/// those that are blank are all that the painted ones leave: a style that is not painted acts where no other is. Throws Error.
Job to_job(const Document& document, const std::filesystem::path& mask_folder);
/// Writes a mask into `folder` under the hash of its contents; the file's name.
std::string write_mask(const Mask& mask, const std::filesystem::path& folder);

/// Without the masks. Reading keeps what is valid and takes defaults for the rest, so that files of other versions open.
Json to_json(const Document& document);
Document document_from_json(const Json& json);

}  // namespace attelier
