#include "core/weights/pickle.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/base/files.h"
#include "core/weights/tensor_file.h"
#include "tests/core/weights/pickle_assembly.h"
#include "tests/core/weights/weights_testing.h"

namespace attelier {
namespace {

using namespace assembly;

std::filesystem::path fixture(const std::string& name) { return std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/weights" / name; }

class TorchCheckpoint : public ::testing::TestWithParam<const char*> {};

TEST_P(TorchCheckpoint, GivesTheTensorsThatTorchSaved) {
  const auto expected = open_tensors(fixture(std::string(GetParam()) + ".safetensors"));
  const auto source = open_tensors(fixture(std::string(GetParam()) + ".pt"));
  EXPECT_EQ(source->tensors().size(), expected->tensors().size());
  for (const auto& [name, info] : expected->tensors()) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(source->tensors().contains(name));
    EXPECT_EQ(source->tensors().at(name).dtype, info.dtype);
    EXPECT_EQ(source->tensors().at(name).shape, info.shape);
    const at::Tensor tensor = source->read(name);
    EXPECT_TRUE(tensor.is_contiguous());
    EXPECT_TRUE(at::equal(tensor, expected->read(name)));
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, TorchCheckpoint, ::testing::Values("plain", "views", "parameters", "nested", "framework", "repacked"),
                         [](const auto& info) { return std::string(info.param); });

TEST(PickleCheckpoint, KeepsNumbersAndTextsBesideTheStateDict) {
  const auto source = open_tensors(fixture("framework.pt"));
  const auto& metadata = source->metadata();
  EXPECT_EQ(metadata.at("global_step"), "875000");
  EXPECT_EQ(metadata.at("pytorch-lightning_version"), "1.4.2");
  EXPECT_EQ(metadata.at("learning_rate"), "0.25");
  EXPECT_EQ(metadata.at("finished"), "true");
  EXPECT_FALSE(metadata.contains("callbacks"));
}

TEST(PickleCheckpoint, RefusesWhatItCannotReadAndSaysWhatToDo) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"legacy.pt", "old format of torch.save; convert it to safetensors"},
      {"protocol4.pt", "protocol 4"},
      {"module.pt", "object of \"torch.nn.modules.linear.Linear\" instead of a dictionary"},
      {"no_tensors.pt", "holds no tensors"},
      {"bare_tensor.pt", "no dictionary of tensors"},
      {"attack_system.pt", "\"posix.system\": this is an attack"},
      {"attack_eval.pt", "\"__builtin__.eval\": this is an attack"},
      {"deflated.pt", "is compressed"},
      {"big_endian.pt", "byte order \"big\""},
      {"no_storage.pt", "has no storage \"0\""},
      {"short_storage.pt", "the archive has 7 bytes"},
      {"script.pt", "TorchScript"},
  };
  for (const auto& [name, reason] : cases) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&name = name] { open_tensors(fixture(name)); }), reason));
  }
  EXPECT_FALSE(std::filesystem::exists("attacked"));
}

TEST(PickleCheckpoint, LeavesOutTensorsOfOtherTypes) {
  const auto source = open_tensors(fixture("complex.pt"));
  EXPECT_EQ(source->tensors().size(), 1u);
  EXPECT_TRUE(at::equal(source->read("f"), at::ones({2})));
}

TEST(PickleCheckpoint, HandsOutNothingLargerThanItsStorage) {
  const auto source = open_tensors(fixture("broadcast.pt"));
  EXPECT_TRUE(at::equal(source->read("ok"), at::ones({2})));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { source->read("wide"); }), "repeats the elements"));
}

TEST(PickleCheckpoint, RefusesEveryTruncationOfAGoodFile) {
  const TemporaryFolder folder;
  const std::string good = read_file(fixture("nested.pt"));
  for (size_t size = 0; size < good.size(); size += size < 100 || size + 200 > good.size() ? 1 : 37) {
    SCOPED_TRACE(size);
    const auto path = folder.write("cut.pt", std::string_view(good).substr(0, size));
    message_of(ExitCode::kModel, [&] { open_tensors(path); });
  }
}

std::string pickle_error(const std::string& bytes) {
  return message_of(ExitCode::kModel, [&] { Pickle(bytes, "x.pt"); });
}

TEST(Pickle, RefusesBrokenPrograms) {
  const std::string dict = "}";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "truncated"},
      {"}.", "protocol"},
      {std::string("\x80\x05") + "}.", "protocol 5"},
      {"\x80\x02}", "truncated"},
      {pickle("} junk"), "operation 0x20"},
      {pickle("}") + "x", "1 bytes follow"},
      {pickle("}}"), "2 values"},
      {pickle(""), "0 values"},
      {pickle("(}"), "values instead of one"},
      {pickle("a"), "empty stack"},
      {pickle("t"), "did not open"},
      {pickle("(}a"), "empty stack"},
      {pickle("}Na"), "no list"},
      {pickle("]NNs"), "no dictionary"},
      {pickle("}(Nu"), "key without a value"},
      {pickle("h\x07"), "value 7, which it did not remember"},
      {pickle(std::string("j\xff\xff\xff\xff")), "value 4294967295"},
      {pickle("q\x01"), "empty stack"},
      {pickle("X\xff\xff\xff\x7f"), "truncated"},
      {pickle("\x8a\x20"), "truncated"},
      {pickle("G1234"), "truncated"},
      {pickle("cname without end"), "name without an end"},
      {pickle("c" + std::string(1000, 'm') + "\nn\n"), "name without an end"},
      {pickle("}}R"), "without a tuple"},
      {pickle("})R"), "no function"},
      {pickle("NQ"), "damaged storage"},
      {pickle(tuple({text("storage"), global("torch", "Size"), text("0"), text("cpu"), integer(1)}) + "Q"), "no known type"},
      {pickle(tuple({text("storage"), text("torch.FloatStorage"), text("0"), text("cpu"), integer(1)}) + "Q"), "no known type"},
      {pickle(tuple({text("storage"), global("torch", "FloatStorage"), text(std::string(65, '0')), text("cpu"), integer(1)}) + "Q"),
       "damaged storage"},
      {pickle(storage(-1)), "damaged storage"},
      {pickle(call(global("torch", "Size"), {integer(1)})), "damaged torch.Size"},
      {pickle(call(global("collections", "OrderedDict"), {integer(1)})), "damaged OrderedDict"},
      {pickle(call(global("torch._utils", "_rebuild_parameter"), {integer(1)})), "parameter without a tensor"},
      {pickle(call(global("torch._utils", "_rebuild_tensor_v2"), {storage(1)})), "damaged tensor"},
      {pickle(tensor(integer(1), 0, {1}, {1})), "without a storage"},
      {pickle(std::string("\x80\x02}")), "changes its protocol"},
  };
  for (const auto& [bytes, reason] : cases) {
    SCOPED_TRACE(reason);
    EXPECT_TRUE(contains(pickle_error(bytes), reason));
  }
}

TEST(Pickle, RefusesTensorsOutsideTheirStorage) {
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  const auto error = [](int64_t count, int64_t offset, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
    return pickle_error(pickle(tensor(storage(count), offset, shape, strides)));
  };
  EXPECT_TRUE(contains(error(6, 0, {7}, {1}), "reaches outside its storage"));
  EXPECT_TRUE(contains(error(6, 1, {2, 3}, {3, 1}), "reaches outside its storage"));
  EXPECT_TRUE(contains(error(6, 0, {2, 2}, {5, 1}), "reaches outside its storage"));
  EXPECT_TRUE(contains(error(0, 0, {}, {}), "reaches outside its storage"));
  EXPECT_TRUE(contains(error(6, 7, {0}, {1}), "reaches outside its storage"));
  EXPECT_TRUE(contains(error(6, kLargest, {2}, {1}), "overflows"));
  EXPECT_TRUE(contains(error(6, 0, {kLargest, 2}, {0, 0}), "overflows"));
  EXPECT_TRUE(contains(error(kLargest, 0, {3}, {kLargest}), "overflows"));
  EXPECT_TRUE(contains(error(6, -1, {1}, {1}), "damaged tensor"));
  EXPECT_TRUE(contains(error(6, 0, {-1}, {1}), "size that is no non-negative integer"));
  EXPECT_TRUE(contains(error(6, 5, {2}, {-1}), "stride that is no non-negative integer"));
  EXPECT_TRUE(contains(error(6, 0, {1, 1}, {1}), "2 sizes and 1 strides"));
  EXPECT_TRUE(contains(error(6, 0, std::vector<int64_t>(9, 1), std::vector<int64_t>(9, 1)), "more than 8 dimensions"));
  EXPECT_NO_THROW(Pickle(pickle(tensor(storage(6), 0, {2, 3}, {3, 1})), "x.pt"));
  EXPECT_NO_THROW(Pickle(pickle(tensor(storage(6), 5, {}, {})), "x.pt"));
  EXPECT_NO_THROW(Pickle(pickle(tensor(storage(0), 0, {0, 4}, {4, 1})), "x.pt"));
}

TEST(Pickle, BoundsOperationsMemoryAndNesting) {
  EXPECT_TRUE(contains(pickle_error("\x80\x02" + std::string(5'000'000, 'N')), "more than 4000000 operations"));
  EXPECT_TRUE(contains(pickle_error("\x80\x02" + std::string(300, '(')), "nested deeper"));
  std::string deep = "N";
  for (int i = 0; i < 300; ++i) deep += "\x85";
  EXPECT_TRUE(contains(pickle_error(pickle(deep)), "nested deeper"));
  // A list appended to itself again and again.
  std::string circle = "]q";
  circle += '\0';
  for (int i = 0; i < 300; ++i) circle += std::string("h\0a", 3);
  EXPECT_TRUE(contains(pickle_error(pickle(circle)), "nested deeper"));
  // One long list of pairs, copied into a new OrderedDict a thousand times.
  std::string copies = "]q\x01(";
  for (int i = 0; i < 50'000; ++i) copies += "NN\x86";
  copies += "e";
  for (int i = 0; i < 1000; ++i) copies += global("collections", "OrderedDict") + "h\x01\x85R";
  EXPECT_TRUE(contains(pickle_error("\x80\x02" + copies), "more than 8000000 items"));
  // Memo indices up to 2^32 cost no memory of their own.
  std::string memo = "}r";
  memo += "\xff\xff\xff\xff";
  EXPECT_NO_THROW(Pickle(pickle(memo), "x.pt"));
}

TEST(Pickle, NeverCallsForeignFunctions) {
  const Pickle pickle_of_foreign(pickle(dictionary({{text("a"), call(global("some.module", "Class"), {integer(1)}) + "}b"}})), "x.pt");
  EXPECT_EQ(pickle_of_foreign.root().find("a")->kind, PickleValue::Kind::kForeign);
  EXPECT_TRUE(pickle_of_foreign.foreign_names().contains("some.module.Class"));
  for (const auto& [module, name] : std::vector<std::pair<std::string, std::string>>{{"os", "system"},
                                                                                     {"posix", "popen"},
                                                                                     {"nt", "system"},
                                                                                     {"subprocess", "Popen"},
                                                                                     {"builtins", "exec"},
                                                                                     {"os.path", "join"},
                                                                                     {"importlib.util", "x"}})
    EXPECT_TRUE(contains(pickle_error(pickle(global(module, name))), "attack"));
}

std::string checkpoint(const std::string& operations,
                       const std::vector<std::pair<std::string, std::string>>& storages = {{"0", std::string(24, '\0')}}) {
  std::vector<ZipEntry> entries = {{.name = "a/data.pkl", .data = pickle(operations)}};
  for (const auto& [key, data] : storages) entries.push_back({.name = "a/data/" + key, .data = data});
  return zip_of(entries);
}

std::string open_error(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder.write("x.pt", bytes);
  return message_of(ExitCode::kModel, [&] { read_all(*open_tensors(path)); });
}

TEST(PickleCheckpoint, RefusesExponentiallyManyPaths) {
  // Every level holds the one before twice: 2^25 tensors in a few hundred bytes.
  std::vector<std::pair<std::string, std::string>> levels = {{text("0"), tensor(storage(6), 0, {6}, {1}) + std::string("q\0", 2)}};
  for (char level = 1; level <= 25; ++level) {
    const std::string previous = std::string("h") + static_cast<char>(level - 1);
    levels.emplace_back(text(std::to_string(level)), dictionary({{text("a"), previous}, {text("b"), previous}}) + "q" + level);
  }
  EXPECT_TRUE(contains(open_error(checkpoint(dictionary(levels))), "more than 1000000 entries"));
}

TEST(PickleCheckpoint, RefusesDictionariesThatHoldThemselves) {
  EXPECT_TRUE(contains(open_error(checkpoint(std::string("}q\0(", 4) + text("a") + std::string("h\0", 2) + "u")), "nested deeper"));
  EXPECT_TRUE(
      contains(open_error(checkpoint(std::string("}q\0(", 4) + text("state_dict") + std::string("h\0", 2) + "u")), "state_dict inside each other"));
}

TEST(PickleCheckpoint, RefusesNamesThatMeetAndEmptyNames) {
  const std::string one = tensor(storage(6), 0, {6}, {1});
  EXPECT_TRUE(contains(open_error(checkpoint(dictionary({{text("a.b"), one}, {text("a"), dictionary({{text("b"), one}})}}))), "\"a.b\" twice"));
  EXPECT_TRUE(contains(open_error(checkpoint(dictionary({{text(""), one}}))), "empty name"));
  EXPECT_TRUE(contains(open_error(checkpoint(dictionary({{text(std::string(5000, 'n')), one}}))), "longer than 4096"));
}

TEST(PickleCheckpoint, KeepsTheLastOfEqualKeysAsPythonDoes) {
  const TemporaryFolder folder;
  const std::string first = tensor(storage(6), 0, {6}, {1}), second = tensor(storage(6), 1, {2}, {1});
  const auto source = open_tensors(folder.write("x.pt", checkpoint(dictionary({{text("a"), first}, {text("a"), second}, {integer(1), first}}))));
  ASSERT_EQ(source->tensors().size(), 1u);
  EXPECT_EQ(source->tensors().at("a").shape, std::vector<int64_t>{2});
}

TEST(PickleCheckpoint, RefusesBooleansOtherThanZeroAndOne) {
  const std::string one = tensor(storage(3, "BoolStorage"), 0, {3}, {1});
  EXPECT_TRUE(contains(open_error(checkpoint(dictionary({{text("a"), one}}), {{"0", "\1\1\2"}})), "element 2 is 2"));
}

TEST(PickleCheckpoint, ReadsUnalignedStoragesByCopying) {
  const TemporaryFolder folder;
  for (size_t shift = 0; shift < 4; ++shift) {
    const std::string data = packed(1.5f, -2.f);
    const std::string bytes = zip_of({{.name = "a/shift", .data = std::string(shift, 'x')},
                                      {.name = "a/data.pkl", .data = pickle(dictionary({{text("a"), tensor(storage(2), 0, {2}, {1})}}))},
                                      {.name = "a/data/0", .data = data}});
    EXPECT_TRUE(at::equal(open_tensors(folder.write("x.pt", bytes))->read("a"), at::tensor({1.5f, -2.f})));
  }
}

}  // namespace
}  // namespace attelier
