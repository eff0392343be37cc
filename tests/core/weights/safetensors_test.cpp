#include <ATen/Context.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <limits>
#include <random>

#include "core/base/files.h"
#include "core/weights/tensor_file.h"
#include "tests/core/weights/weights_testing.h"

namespace attelier {
namespace {

std::string file_of(std::string_view header, std::string_view data = "") {
  const uint64_t size = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &size, 8);
  return bytes.append(header).append(data);
}

// Appendix B of the format's description: one F32 tensor a = [1, -2].
std::string smallest_file() {
  return file_of(std::string(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})") + "  ", std::string_view("\0\0\x80\x3f\0\0\0\xc0", 8));
}

struct Broken {
  std::string what;
  std::string bytes;
  std::string message;
};

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":[)" + shape + R"(],"data_offsets":[)" + offsets + "]}";
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets, size_t data) {
  return file_of("{\"a\":" + entry(dtype, shape, offsets) + "}", std::string(data, '\0'));
}

std::string two(const std::string& first, const std::string& second, size_t data) {
  return file_of("{\"a\":" + entry("U8", "4", first) + ",\"b\":" + entry("U8", "4", second) + "}", std::string(data, '\0'));
}

std::vector<Broken> broken_files() {
  const std::string good = smallest_file();
  std::string huge = good;
  std::memset(huge.data(), 0xff, 8);
  std::string over_limit = good;
  const uint64_t limit = 100'000'001;
  std::memcpy(over_limit.data(), &limit, 8);
  std::string long_rank = "1";
  for (int i = 0; i < 8; ++i) long_rank += ",1";
  std::string deep = R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})";
  return {
      {"empty", "", "truncated"},
      {"seven bytes", good.substr(0, 7), "truncated"},
      {"header length of 2^64-1", huge, "at most 100000000"},
      {"header length above the limit", over_limit, "at most 100000000"},
      {"header length of 1", file_of("{"), "at least 2"},
      {"header longer than the file", good.substr(0, 40), "truncated: the header has 56 bytes"},
      {"bad UTF-8", file_of("{\"a\xff\":" + entry("U8", "0", "0,0") + "}"), "not valid UTF-8"},
      {"UTF-8 surrogate", file_of("{\"\xed\xa0\x80\":" + entry("U8", "0", "0,0") + "}"), "not valid UTF-8"},
      {"not JSON", file_of("{\"a\":"), "not valid JSON"},
      {"a list", file_of("[]"), "not a JSON object"},
      {"byte order mark", file_of("\xef\xbb\xbf{}"), "not a JSON object"},
      {"trailing junk", file_of("{} x"), "other bytes after its JSON object"},
      {"two objects", file_of("{}{}"), "other bytes after its JSON object"},
      {"NUL after the object", file_of(std::string_view("{}\0junk", 7)), "NUL byte"},
      {"nested object", file_of(R"({"a":{"dtype":{"x":1},"shape":[],"data_offsets":[0,1]}})"), "is an object"},
      {"nested list", file_of(deep, "x"), "nested deeper than 3"},
      {"duplicate tensor", file_of("{\"a\":" + entry("U8", "0", "0,0") + ",\"a\":" + entry("U8", "0", "0,0") + "}"), "the tensor \"a\" twice"},
      {"duplicate tensor, escaped", file_of("{\"a\":" + entry("U8", "0", "0,0") + ",\"\\u0061\":" + entry("U8", "0", "0,0") + "}"), "\"a\" twice"},
      {"duplicate field", file_of(R"({"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})"), "field \"dtype\" twice"},
      {"duplicate metadata", file_of(R"({"__metadata__":{},"__metadata__":{}})"), "__metadata__ twice"},
      {"duplicate metadata key", file_of(R"({"__metadata__":{"k":"1","k":"2"}})"), "key \"k\" twice"},
      {"metadata is a list", file_of(R"({"__metadata__":[]})"), "__metadata__ is a list"},
      {"metadata is a string", file_of(R"({"__metadata__":"x"})"), "__metadata__ is a string"},
      {"metadata holds a number", file_of(R"({"__metadata__":{"k":1}})"), "\"k\" is a number, a string was expected"},
      {"metadata holds an object", file_of(R"({"__metadata__":{"k":{}}})"), "\"k\" is an object"},
      {"empty name", file_of("{\"\":" + entry("U8", "0", "0,0") + "}"), "empty name"},
      {"long name", file_of("{\"" + std::string(4097, 'n') + "\":" + entry("U8", "0", "0,0") + "}"), "longer than 4096"},
      {"entry is a number", file_of(R"({"a":1})"), "is a number, an object was expected"},
      {"no dtype", file_of(R"({"a":{"shape":[0],"data_offsets":[0,0]}})"), "lacks the field dtype"},
      {"no shape", file_of(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", "x"), "lacks the field shape"},
      {"no offsets", file_of(R"({"a":{"dtype":"U8","shape":[0]}})"), "lacks the field data_offsets"},
      {"unknown field", file_of(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}})"), "unknown field \"x\""},
      {"unknown dtype", one("F33", "2", "0,8", 8), "unknown dtype \"F33\""},
      {"dtype is a number", file_of(R"({"a":{"dtype":1,"shape":[0],"data_offsets":[0,0]}})"), "dtype is a number"},
      {"float dimension", one("F32", "2.0", "0,8", 8), "plain non-negative integers"},
      {"exponent dimension", one("F32", "2e0", "0,8", 8), "plain non-negative integers"},
      {"negative dimension", one("F32", "-2", "0,8", 8), "plain non-negative integers"},
      {"minus zero dimension", one("F32", "-0", "0,0", 0), "plain non-negative integers"},
      {"dimension of 2^64", one("F32", "18446744073709551616", "0,8", 8), "plain non-negative integers"},
      {"text dimension", one("F32", "\"2\"", "0,8", 8), "plain non-negative integers"},
      {"null dimension", one("F32", "null", "0,8", 8), "plain non-negative integers"},
      {"negative offset", one("F32", "2", "-8,0", 8), "plain non-negative integers"},
      {"rank 9", one("U8", long_rank, "0,1", 1), "more than 8 dimensions"},
      {"one offset", one("F32", "2", "0", 8), "1 values, 2 were expected"},
      {"three offsets", one("F32", "2", "0,8,8", 8), "more than 2 values"},
      {"product overflows", one("U8", "4294967296,4294967296", "0,0", 0), "overflows"},
      {"product overflows around a zero", one("U8", "9223372036854775808,0", "0,0", 0), "overflows"},
      {"bits overflow", one("F64", "2305843009213693952", "0,0", 0), "overflows"},
      {"half a byte", one("F4", "3", "0,1", 1), "not whole bytes"},
      {"shape smaller than the data", one("F32", "1", "0,8", 8), "needs 4 bytes, data_offsets give 8"},
      {"shape larger than the data", one("F32", "4", "0,8", 8), "needs 16 bytes, data_offsets give 8"},
      {"begin behind end", one("U8", "4", "8,4", 8), "behind its end"},
      {"first does not begin at 0", one("U8", "4", "4,8", 8), "hole of 4 bytes"},
      {"hole", two("0,4", "5,9", 9), "hole of 1 bytes"},
      {"overlap", two("0,4", "3,7", 7), "overlaps another tensor by 1"},
      {"same range twice", two("0,4", "0,4", 4), "overlaps another tensor by 4"},
      {"short tail", two("0,4", "4,8", 7), "truncated: the tensors need 8 bytes of data, the file has 7"},
      {"long tail", two("0,4", "4,8", 9), "1 bytes of data behind the last tensor"},
  };
}

TEST(Safetensors, RefusesEveryBrokenFileWithItsOwnReason) {
  const TemporaryFolder folder;
  for (const Broken& broken : broken_files()) {
    SCOPED_TRACE(broken.what);
    const auto path = folder.write("broken.safetensors", broken.bytes);
    const std::string message = message_of(ExitCode::kModel, [&] { open_tensors(path); });
    EXPECT_TRUE(contains(message, broken.message));
    EXPECT_TRUE(contains(message, path.string()));
  }
}

TEST(Safetensors, RefusesEveryTruncationOfAGoodFile) {
  const TemporaryFolder folder;
  const std::string good = smallest_file();
  for (size_t size = 0; size < good.size(); ++size) {
    SCOPED_TRACE(size);
    const auto path = folder.write("cut.safetensors", std::string_view(good).substr(0, size));
    message_of(ExitCode::kModel, [&] { open_tensors(path); });
  }
}

TEST(Safetensors, ReadsTheSmallestFile) {
  const TemporaryFolder folder;
  const auto source = open_tensors(folder.write("a.safetensors", smallest_file()));
  ASSERT_EQ(source->tensors().size(), 1u);
  EXPECT_EQ(source->tensors().at("a").dtype, at::kFloat);
  EXPECT_TRUE(at::equal(source->read("a"), at::tensor({1.f, -2.f})));
  EXPECT_TRUE(source->metadata().empty());
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { source->read("b"); }), "has no tensor \"b\""));
}

TEST(Safetensors, WritesTheSmallestFileByteForByte) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a.safetensors", {{"a", at::tensor({1.f, -2.f})}});
  EXPECT_EQ(read_file(folder / "a.safetensors"), smallest_file());
}

TEST(Safetensors, AcceptsWhitespaceAroundTheObject) {
  const TemporaryFolder folder;
  EXPECT_TRUE(open_tensors(folder.write("a", file_of(" \n\t\r{} \n")))->tensors().empty());
}

TEST(Safetensors, ReportsUnsupportedTypesOnlyWhenTheyAreRead) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "a",
      file_of("{\"c\":" + entry("C64", "1", "0,8") + ",\"f\":" + entry("F4", "2", "9,10") + ",\"u\":" + entry("U8", "1", "8,9") + "}", "0123456789"));
  const auto source = open_tensors(path);
  EXPECT_EQ(source->tensors().at("c").dtype, at::ScalarType::Undefined);
  EXPECT_EQ(source->read("u").item<uint8_t>(), '8');
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { source->read("c"); }), "dtype C64 is not supported"));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { source->read("f"); }), "dtype F4 is not supported"));
}

TEST(Safetensors, RefusesBooleansOtherThanZeroAndOne) {
  const TemporaryFolder folder;
  const std::string header = "{\"a\":" + entry("BOOL", "3", "0,3") + "}";
  const auto good = open_tensors(folder.write("good", file_of(header, std::string_view("\1\0\1", 3))));
  EXPECT_TRUE(at::equal(good->read("a"), at::tensor({1, 0, 1}).to(at::kBool)));
  const auto bad = open_tensors(folder.write("bad", file_of(header, std::string_view("\1\0\2", 3))));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { bad->read("a"); }), "element 2 is 2"));
}

TEST(Safetensors, ReadsUnalignedDataByCopying) {
  const TemporaryFolder folder;
  for (size_t padding = 0; padding < 8; ++padding) {
    const std::string header = "{\"a\":" + entry("F64", "1", "0,8") + "}" + std::string(padding, ' ');
    const double value = 1.0 / 3;
    std::string data(8, '\0');
    std::memcpy(data.data(), &value, 8);
    const at::Tensor a = open_tensors(folder.write("a", file_of(header, data)))->read("a");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a.const_data_ptr()) % 8, 0u);
    EXPECT_EQ(a.item<double>(), value);
  }
}

TEST(Safetensors, HandsOutViewsThatOutliveTheSource) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {{"a", at::arange(1000, at::kFloat)}});
  auto source = open_tensors(folder / "a");
  const at::Tensor first = source->read("a");
  EXPECT_EQ(first.const_data_ptr(), source->read("a").const_data_ptr()) << "the second read is a copy";
  source.reset();
  EXPECT_TRUE(at::equal(first, at::arange(1000, at::kFloat)));
}

TEST(Safetensors, CopiesFromFilesThatOthersMayWrite) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {{"a", at::arange(1000, at::kFloat)}});
  chmod((folder / "a").c_str(), 0666);
  const auto source = open_tensors(folder / "a");
  const at::Tensor first = source->read("a");
  EXPECT_NE(first.const_data_ptr(), source->read("a").const_data_ptr());
  std::filesystem::resize_file(folder / "a", 100);
  EXPECT_TRUE(at::equal(first, at::arange(1000, at::kFloat)));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { source->read("a"); }), "while it was in use"));
}

TEST(Safetensors, NoticesAFileTruncatedAfterOpening) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {{"a", at::zeros({100'000})}});
  const auto source = open_tensors(folder / "a");
  std::filesystem::resize_file(folder / "a", 4096);
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { source->read("a"); }), "while it was in use"));
}

TEST(Safetensors, ReplacingAFileLeavesOpenedTensorsAlone) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {{"a", at::ones({100'000})}});
  const auto source = open_tensors(folder / "a");
  const at::Tensor view = source->read("a");
  write_safetensors(folder / "a", {{"b", at::zeros({1})}});
  EXPECT_EQ(view.sum().item<float>(), 100'000);
  EXPECT_EQ(source->read("a").sum().item<float>(), 100'000);
}

TEST(Safetensors, RefusesThingsThatAreNoFiles) {
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { open_tensors(folder.path()); }), "is a folder"));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { open_tensors(folder / "none"); }), "No such file"));
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { open_tensors(folder / "pipe"); }), "not a regular file"));
}

at::Tensor random_tensor(at::ScalarType dtype, const std::vector<int64_t>& shape) {
  const at::Tensor bytes = at::randint(0, 256, {c10::multiply_integers(shape) * static_cast<int64_t>(c10::elementSize(dtype))}, at::kByte);
  if (dtype == at::kBool) return (bytes > 127).view(shape);
  return bytes.view(dtype).view(shape);
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  const at::Tensor x = a.contiguous(), y = b.contiguous();
  return x.nbytes() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0;
}

TEST(Safetensors, WritingAndReadingIsTheIdentityForAllTypesShapesAndStrides) {
  at::manual_seed(7);
  const TemporaryFolder folder;
  std::mt19937 random(7);
  const std::vector<at::ScalarType> dtypes = {at::kBool,   at::kByte,   at::kChar,   at::kFloat8_e5m2, at::kFloat8_e4m3fn,
                                              at::kShort,  at::kUInt16, at::kHalf,   at::kBFloat16,    at::kInt,
                                              at::kUInt32, at::kFloat,  at::kDouble, at::kLong,        at::kUInt64};
  const std::vector<std::vector<int64_t>> shapes = {{}, {0}, {3, 0, 2}, {1}, {7}, {3, 5}, {2, 1, 3}, {1, 2, 1, 3, 1, 2, 1, 2}};
  const std::vector<std::string> names = {"plain", "with.dots.0.weight", "Größe", "重み", "😀", "quote\"back\\slash", "tab\tnew\nline", "/",
                                          " ",     "__metadata"};
  for (int round = 0; round < 40; ++round) {
    NamedTensors tensors;
    for (const std::string& name : names) {
      const auto& shape = shapes[random() % shapes.size()];
      at::Tensor tensor = random_tensor(dtypes[random() % dtypes.size()], shape);
      if (shape.size() == 2 && random() % 2 == 0) tensor = tensor.t();
      if (shape.size() == 3 && random() % 2 == 0) tensor = tensor.slice(2, 0, std::max<int64_t>(shape[2] - 1, 0));
      tensors.emplace_back(name, tensor);
    }
    std::shuffle(tensors.begin(), tensors.end(), random);
    const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"größe", "\"1\"\n"}, {"empty", ""}};
    write_safetensors(folder / "a", tensors, metadata);
    const auto source = open_tensors(folder / "a");
    EXPECT_EQ(source->metadata(), metadata);
    ASSERT_EQ(source->tensors().size(), tensors.size());
    for (const auto& [name, tensor] : tensors)
      EXPECT_TRUE(same_bits(source->read(name), tensor)) << name << " " << tensor.sizes() << " " << tensor.dtype();
    EXPECT_EQ(read_all(*source).size(), tensors.size());

    std::shuffle(tensors.begin(), tensors.end(), random);
    write_safetensors(folder / "b", tensors, metadata);
    EXPECT_EQ(read_file(folder / "a"), read_file(folder / "b")) << "the order of the tensors changed the bytes";
  }
}

TEST(Safetensors, WritesAlignedTensorsAndHeader) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a",
                    {{"byte", at::zeros({3}, at::kByte)}, {"half", at::zeros({3}, at::kHalf)}, {"double", at::zeros({1}, at::kDouble)}});
  const std::string bytes = read_file(folder / "a");
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_EQ(header % 8, 0u);
  EXPECT_LT(bytes.find("double"), bytes.find("half"));
  EXPECT_LT(bytes.find("half"), bytes.find("byte"));
}

TEST(Safetensors, WritesNothingWhenATensorCannotBeWritten) {
  const TemporaryFolder folder;
  folder.write("a", "old");
  const auto refuse = [&](const NamedTensors& tensors, const std::string& why, const std::map<std::string, std::string>& metadata = {}) {
    EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { write_safetensors(folder / "a", tensors, metadata); }), why));
    EXPECT_EQ(read_file(folder / "a"), "old");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  };
  const at::Tensor ok = at::zeros({2});
  refuse({{"x", ok}, {"x", ok}}, "used twice");
  refuse({{"", ok}}, "reserved");
  refuse({{"__metadata__", ok}}, "reserved");
  refuse({{std::string(4097, 'n'), ok}}, "longer than 4096");
  refuse({{"bad\xff", ok}}, "UTF-8");
  refuse({{"x", ok}}, "UTF-8", {{"k", "\xff"}});
  refuse({{"x", at::Tensor()}}, "no value");
  refuse({{"x", at::zeros({2}, at::kComplexFloat)}}, "ComplexFloat");
  refuse({{"x", at::eye(3).to_sparse()}}, "dense");
  refuse({{"x", at::zeros({1, 1, 1, 1, 1, 1, 1, 1, 1})}}, "8 dimensions");
}

TEST(Safetensors, ReportsAFolderThatIsMissing) {
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { write_safetensors(folder / "none/a", {{"x", at::zeros({2})}}); }), "No such file"));
}

TEST(Safetensors, ReportsAFullDisk) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP();
  const TemporaryFolder folder;
  const std::string temporary = (folder / "a").string() + ".tmp-" + std::to_string(getpid());
  std::filesystem::create_symlink("/dev/full", temporary);
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { write_safetensors(folder / "a", {{"x", at::zeros({2})}}); }), "No space left"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, EscapesAndShortensHostileNamesInMessages) {
  const TemporaryFolder folder;
  const std::string name = "\\u001b[31m" + std::string(3000, 'x');
  const std::string message =
      message_of(ExitCode::kModel, [&] { open_tensors(folder.write("a", file_of("{\"" + name + "\":" + entry("F33", "1", "0,4") + "}", "1234"))); });
  EXPECT_TRUE(contains(message, "\"\\x1b[31mxxx"));
  EXPECT_LT(message.size(), 500u);
}

}  // namespace
}  // namespace attelier
