// The JSON Schema of jobs.
#include "app/session/job.h"

namespace attelier {
namespace {

Json method_schema(const Method& method) {
  Json inputs = Json::object();
  std::vector<std::string> required;
  for (const InputDescription& input : method.inputs) {
    const Json one = {{"$ref", "#/$defs/file"}};
    Json list = {{"type", "array"}, {"items", one}};
    if (input.most > 0) list["maxItems"] = input.most;
    inputs[input.name] = input.several ? Json{{"anyOf", {one, list}}} : Json{{"anyOf", Json::array({one})}};
    inputs[input.name]["anyOf"].push_back({{"type", "null"}});
    inputs[input.name]["description"] = input.help;
    if (input.required) required.push_back(input.name);
  }
  Json schema = {{"title", method.summary},
                 {"properties",
                  {{"method", {{"const", method.name}}},
                   {"inputs", {{"type", "object"}, {"additionalProperties", false}, {"properties", inputs}, {"required", required}}},
                   {"params", parameters_schema(method.parameters)}}}};
  if (!required.empty()) schema["required"] = Json::array({"inputs"});
  return schema;
}

}  // namespace

Json job_schema() {
  Json variants = Json::array();
  for (const Method* method : methods()) variants.push_back(method_schema(*method));
  const Json text = {{"type", "string"}};
  const Json hash = {{"type", "string"}, {"pattern", "^[0-9a-f]{64}$"}};
  const Json file = {{"anyOf",
                      {text,
                       {{"type", "object"},
                        {"additionalProperties", false},
                        {"required", Json::array({"file"})},
                        {"properties", {{"file", text}, {"sha256", hash}}}}}}};
  const Json model = {{"type", "object"}, {"additionalProperties", false}, {"required", Json::array({"unet"})}, {"properties", {{"unet", text}, {"sha256", hash}}}};
  return {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
          {"title", "Attelier job, version 1"},
          {"type", "object"},
          {"additionalProperties", false},
          {"required", Json::array({"method"})},
          {"$defs", {{"file", file}}},
          {"properties",
           {{"job", {{"const", 1}}},
            {"name", text},
            {"method", text},
            {"model", {{"anyOf", {text, model}}}},
            {"inputs", {{"type", "object"}}},
            {"params", {{"type", "object"}}},
            {"output", parameters_schema(common_group("output"))},
            {"run", parameters_schema(common_group("run"))},
            {"record", {{"type", "object"}, {"description", "What a finished picture says about its making; it decides nothing."}}}}},
          {"oneOf", variants}};
}

}  // namespace attelier
