#include "core/weights/safetensors.h"

#include <bit>
#include <cstring>

#include "core/base/error.h"
#include "core/weights/quote.h"

namespace attelier {
namespace {

static_assert(std::endian::native == std::endian::little, "weight files are little-endian and are used in place");

constexpr uint64_t kPrefixSize = 8;
constexpr uint64_t kLongestHeader = 100'000'000;

class Safetensors : public TensorSource {
 public:
  explicit Safetensors(std::shared_ptr<const ReadOnlyFile> file) : file_(std::move(file)) {
    const std::string name = file_->path().string();
    if (file_->size() < kPrefixSize)
      fail(ExitCode::kModel, "{}: is truncated: it has {} bytes, a safetensors file has at least 10", name, file_->size());
    uint64_t header_size = 0;
    file_->read(0, kPrefixSize, &header_size);
    if (header_size > kLongestHeader)
      fail(ExitCode::kModel, "{}: is not a safetensors file, or damaged: its header would have {} bytes, at most {} are allowed", name, header_size,
           kLongestHeader);
    if (header_size < 2) fail(ExitCode::kModel, "{}: the header has {} bytes, at least 2 are needed", name, header_size);
    const uint64_t rest = file_->size() - kPrefixSize;
    if (header_size > rest)
      fail(ExitCode::kModel, "{}: is truncated: the header has {} bytes, the file only {} after the length", name, header_size, rest);
    data_start_ = kPrefixSize + header_size;
    header_ = parse_safetensors_header(file_->bytes(kPrefixSize, header_size), rest - header_size, name);
    for (const auto& [tensor, entry] : header_.entries) tensors_.emplace_hint(tensors_.end(), tensor, TensorInfo{entry.type->type, entry.shape});
  }

  const std::map<std::string, TensorInfo>& tensors() const override { return tensors_; }
  const std::map<std::string, std::string>& metadata() const override { return header_.metadata; }
  const std::filesystem::path& path() const override { return file_->path(); }

  at::Tensor read(const std::string& name) const override {
    const auto found = header_.entries.find(name);
    if (found == header_.entries.end()) fail(ExitCode::kModel, "{}: has no tensor {}", path().string(), in_quotes(name));
    const SafetensorsHeader::Entry& entry = found->second;
    if (entry.type->type == at::ScalarType::Undefined)
      fail(ExitCode::kModel, "{}: tensor {}: dtype {} is not supported; convert it to F32, F16, BF16 or F8_E4M3", path().string(), in_quotes(name),
           entry.type->name);
    return file_->tensor(data_start_ + entry.begin, entry.shape, entry.type->type, name);
  }

 private:
  std::shared_ptr<const ReadOnlyFile> file_;
  uint64_t data_start_ = 0;
  SafetensorsHeader header_;
  std::map<std::string, TensorInfo> tensors_;
};

}  // namespace

std::shared_ptr<TensorSource> open_safetensors(std::shared_ptr<const ReadOnlyFile> file) { return std::make_shared<Safetensors>(std::move(file)); }

}  // namespace attelier
