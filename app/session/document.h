// What a person is working on: the job that would run now, for each method its own, and the painted mask. A value: copies are cheap and independent.
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
  bool operator==(const MethodState&) const = default;
};

struct Document {
  std::string method;
  std::map<std::string, MethodState> methods;  // by name, all that there are
  JobOutput output;
  JobRun run;
  Mask mask;  // stands for the input "mask" of a method that has one

  MethodState& state() { return methods[method]; }
  const MethodState& state() const { return methods.at(method); }
  bool operator==(const Document&) const = default;
};

/// Defaults under the settings of system, user and environment. Throws Error for settings that are wrong.
Document new_document(const std::string& method = "generate");

/// Commands on `document` as it is now. Those of one parameter merge with each other.
std::unique_ptr<Command> set_parameter(const Document& document, const std::string& name, Json value);
std::unique_ptr<Command> set_input(const Document& document, const std::string& name, InputPaths paths);
std::unique_ptr<Command> set_model(const Document& document, const std::string& model);
std::unique_ptr<Command> set_method(const Document& document, const std::string& method);
std::unique_ptr<Command> set_output(const Document& document, JobOutput output);
std::unique_ptr<Command> set_run(const Document& document, JobRun run);
/// One stroke: `before` is a copy of the mask from before it. The document may hold the painted mask already; memory is that of the tiles that differ.
std::unique_ptr<Command> paint(const std::string& label, Mask before, Mask after);
/// The settings of a job (of a picture, of the history): method, model, parameters and inputs; where results go stays. Its mask, where the method
/// reads one, becomes the painted mask. Throws Error for a mask that cannot be read.
std::unique_ptr<Command> restore(const Document& document, const Job& job);

/// What is wrong with the document as a job: JSON pointer ("/params/steps") -> what is wrong there. Empty = it can run.
std::map<std::string, std::string> problems_of(const Document& document);
/// The job. A painted mask is written into `mask_folder` (by the hash of its contents) where the method has a picture to use it on. Throws Error.
Job to_job(const Document& document, const std::filesystem::path& mask_folder);

/// Without the mask. Reading keeps what is valid and takes defaults for the rest, so that files of other versions open.
Json to_json(const Document& document);
Document document_from_json(const Json& json);

}  // namespace attelier
