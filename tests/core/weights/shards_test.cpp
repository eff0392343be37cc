#include "core/weights/shards.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "tests/core/weights/weights_testing.h"

namespace attelier {
namespace {

class Sharded : public ::testing::Test {
 protected:
  Sharded() {
    write_safetensors(folder / "model-00001-of-00002.safetensors", {{"a", at::full({2}, 1.f)}, {"b", at::full({3}, 2.f)}});
    write_safetensors(folder / "model-00002-of-00002.safetensors", {{"c", at::full({4}, 3.f)}, {"unlisted", at::zeros({1})}});
    std::filesystem::create_directory(folder / "deeper");
    write_safetensors(folder / "deeper/x.safetensors", {{"a", at::zeros({1})}});
  }

  std::filesystem::path index(const nlohmann::json& map) {
    return folder.write("model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
  }
  std::string error(const nlohmann::json& map) {
    const auto path = index(map);
    return message_of(ExitCode::kModel, [&] { open_tensors(path); });
  }
  std::string text_error(const std::string& text) {
    const auto path = folder.write("index.json", text);
    return message_of(ExitCode::kModel, [&] { open_tensors(path); });
  }

  TemporaryFolder folder;
  const std::string first = "model-00001-of-00002.safetensors", second = "model-00002-of-00002.safetensors";
};

TEST_F(Sharded, ReadsEveryTensorFromItsShard) {
  const auto source = open_tensors(index({{"a", first}, {"b", first}, {"c", second}}));
  ASSERT_EQ(source->tensors().size(), 3u);
  EXPECT_TRUE(at::equal(source->read("a"), at::full({2}, 1.f)));
  EXPECT_TRUE(at::equal(source->read("b"), at::full({3}, 2.f)));
  EXPECT_TRUE(at::equal(source->read("c"), at::full({4}, 3.f)));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { source->read("unlisted"); }), "has no tensor \"unlisted\""));
}

TEST_F(Sharded, RecognisesIndexFilesOfVariantsByTheirContent) {
  const std::string text = nlohmann::json{{"metadata", {{"total_size", 20}}}, {"weight_map", {{"a", first}}}}.dump(2);
  for (const std::string name : {"model.safetensors.index.fp16.json", "model.safetensors.fp16.index.json", "anything"}) {
    const auto source = open_tensors(folder.write(name, "\n " + text));
    EXPECT_EQ(source->read("a").numel(), 2);
    EXPECT_EQ(source->metadata().at("total_size"), "20");
  }
}

TEST_F(Sharded, FollowsALinkedIndexToTheShardsBesideTheLink) {
  std::filesystem::create_directory(folder / "blobs");
  std::filesystem::rename(index({{"a", first}}), folder / "blobs/0123");
  std::filesystem::create_symlink("blobs/0123", folder / "model.safetensors.index.json");
  EXPECT_EQ(open_tensors(folder / "model.safetensors.index.json")->read("a").numel(), 2);
}

TEST_F(Sharded, RefusesShardsThatAreNoPlainFileNames) {
  for (const std::string name : {"../x.safetensors", "deeper/x.safetensors", "/etc/passwd", "deeper\\x", "..", ".", ""}) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(contains(error({{"a", name}}), "must be a plain file name"));
  }
  EXPECT_TRUE(contains(error({{"a", std::string("x\0y", 3)}}), "must be a plain file name"));
}

TEST_F(Sharded, RefusesTensorsThatAreNotWhereTheIndexSays) {
  EXPECT_TRUE(contains(error({{"a", second}}), "\"a\": is not in \"model-00002-of-00002.safetensors\""));
  EXPECT_TRUE(contains(error({{"a", first}, {"d", first}}), "\"d\": is not in"));
  EXPECT_TRUE(contains(error({{"a", "none.safetensors"}}), "No such file"));
}

TEST_F(Sharded, RefusesAnIndexAsShard) {
  const auto path = index({{"a", "model.safetensors.index.json"}});
  message_of(ExitCode::kModel, [&] { open_tensors(path); });
}

TEST_F(Sharded, RefusesDamagedIndexFiles) {
  EXPECT_TRUE(contains(text_error("{}"), "no weight_map"));
  EXPECT_TRUE(contains(text_error(R"({"weight_map":[]})"), "no object"));
  EXPECT_TRUE(contains(text_error(R"({"weight_map":{}})"), "at least one tensor"));
  EXPECT_TRUE(contains(text_error(R"({"weight_map":{"a":1}})"), "not given as text"));
  EXPECT_TRUE(contains(text_error(R"({"weight_map":{"a":"x","a":"y"}})"), "\"a\" twice"));
  EXPECT_TRUE(contains(text_error(R"({"weight_map":{"a":"x)"), "not valid JSON"));
  EXPECT_TRUE(contains(text_error(R"({"weight_map":{}} x)"), "not valid JSON"));
  EXPECT_TRUE(contains(text_error(R"({"weight_map":1e999999})"), "not valid JSON"));
  EXPECT_TRUE(contains(text_error("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}"), "nested deeper than 16"));
  EXPECT_TRUE(contains(text_error("{\"weight_map\":{\"\xff\":\"x\"}}     "), "not valid JSON"));
}

TEST_F(Sharded, ReadsShardsOfTorchSave) {
  std::filesystem::copy(std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/weights/repacked.pt", folder / "pytorch_model-1.bin");
  EXPECT_TRUE(at::equal(open_tensors(index({{"a", "pytorch_model-1.bin"}}))->read("a"), at::ones({2})));
}

TEST(OpenTensors, SaysWhatOtherFilesAre) {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"},
      {"GGUF\x03 and more bytes", "GGUF"},
      {"<!DOCTYPE html><html></html>", "web page"},
      {std::string("\x1f\x8b\x08\0\0\0\0\x01\0", 9), "gzip"},
      {"\x89HDF\r\n\x1a\n", "HDF5"},
      {"plain text that is long enough", "is not a safetensors file"},
  };
  for (const auto& [bytes, reason] : cases) {
    const auto path = folder.write("x", bytes);
    EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { open_tensors(path); }), reason));
  }
}

TEST(OpenTensors, ReadsTheReferenceFileAndWritesItsBytes) {
  const auto reference = std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/weights/reference.safetensors";
  const TemporaryFolder folder;
  const auto source = open_tensors(reference);
  EXPECT_TRUE(at::equal(source->read("a"), at::tensor({1.f, -2.f})));
  EXPECT_TRUE(at::equal(source->read("b"), at::arange(6, at::kHalf).view({2, 3})));
  EXPECT_TRUE(at::equal(source->read("g").to(at::kFloat), at::ones({2})));
  NamedTensors tensors;
  for (const auto& [name, tensor] : read_all(*source)) tensors.emplace_back(name, tensor);
  write_safetensors(folder / "copy", tensors, source->metadata());
  EXPECT_EQ(read_file(folder / "copy"), read_file(reference));
}

}  // namespace
}  // namespace attelier
