// The committed JSON Schema is the one that the program writes.
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "tests/app/session/session_testing.h"

namespace attelier {
namespace {

TEST(JobSchema, TheCommittedFileIsCurrent) {
  const auto path = std::filesystem::path(ATTELIER_SOURCE_DIR) / "assets/job.schema.json";
  EXPECT_EQ(read_file(path), dump(job_schema(), 2) + "\n") << "run: attelier config schema > assets/job.schema.json";
}

TEST(JobSchema, EveryParameterOfEveryMethodIsDescribed) {
  const Json schema = job_schema();
  ASSERT_EQ(schema["oneOf"].size(), methods().size());
  for (size_t i = 0; i < methods().size(); ++i) {
    const Json& params = schema["oneOf"][i]["properties"]["params"];
    EXPECT_EQ(params["additionalProperties"], false);
    for (const ParameterDescription& description : methods()[i]->parameters) {
      ASSERT_TRUE(params["properties"].contains(description.name)) << description.name;
      EXPECT_EQ(params["properties"][description.name]["description"], description.help);
      EXPECT_FALSE(description.label.empty()) << description.name;
      EXPECT_TRUE(description.help.ends_with(".")) << description.name;
    }
  }
}

TEST(JobSchema, DefaultsPassTheirOwnCheck) {
  for (const Method* method : methods()) {
    std::vector<Problem> problems;
    const Json defaults = resolve_parameters(method->parameters, Json::object(), "/params", problems);
    resolve_parameters(method->parameters, defaults, "/params", problems);
    for (const Problem& problem : problems) ADD_FAILURE() << method->name << " " << problem.pointer << " " << problem.message;
  }
}

}  // namespace
}  // namespace attelier
