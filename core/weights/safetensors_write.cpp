#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/weights/quote.h"
#include "core/weights/safetensors.h"

namespace attelier {
namespace {

constexpr size_t kLongestName = 4096;

struct Item {
  const std::string* name;
  const at::Tensor* tensor;
  const SafetensorsType* type;
};

Item describe(const std::filesystem::path& path, const std::string& name, const at::Tensor& tensor) {
  const auto reject = [&](const std::string& why) {
    fail(ExitCode::kBadInput, "{}: tensor {} cannot be written: {}", path.string(), in_quotes(name), why);
  };
  if (name.empty() || name == "__metadata__") reject("this name is reserved");
  if (name.size() > kLongestName) reject(fmt::format("the name is longer than {} bytes", kLongestName));
  if (!tensor.defined()) reject("it has no value yet");
  if (tensor.layout() != at::kStrided) reject("only dense tensors can be written");
  if (tensor.dim() > 8) reject("it has more than 8 dimensions");
  const auto types = safetensors_types();
  const auto type =
      std::find_if(types.begin(), types.end(), [&](const SafetensorsType& candidate) { return candidate.type == tensor.scalar_type(); });
  if (type == types.end()) reject(fmt::format("dtype {} has no place in the format", c10::toString(tensor.scalar_type())));
  return {&name, &tensor, &*type};
}

std::string make_header(const std::filesystem::path& path, const std::vector<Item>& items, const std::map<std::string, std::string>& metadata) {
  std::string header = "{";
  try {
    if (!metadata.empty()) header += "\"__metadata__\":" + nlohmann::json(metadata).dump() + (items.empty() ? "" : ",");
    uint64_t offset = 0;
    for (const Item& item : items) {
      const uint64_t end = offset + item.tensor->nbytes();
      header += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", &item == &items.front() ? "" : ",",
                            nlohmann::json(*item.name).dump(), item.type->name, fmt::join(item.tensor->sizes(), ","), offset, end);
      offset = end;
    }
  } catch (const nlohmann::json::type_error&) {
    fail(ExitCode::kBadInput, "{}: cannot be written: a tensor name or a metadata entry is not valid UTF-8", path.string());
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  return header;
}

class Output {
 public:
  explicit Output(const std::filesystem::path& path) : file_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
    if (file_ < 0) throw std::runtime_error(std::strerror(errno));
  }
  ~Output() {
    if (file_ >= 0) close(file_);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void write(const void* data, size_t size) {
    const auto* from = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t n = ::write(file_, from, size);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw std::runtime_error(std::strerror(errno));
      from += n;
      size -= static_cast<size_t>(n);
    }
  }

  void finish() {
    if (close(std::exchange(file_, -1)) != 0) throw std::runtime_error(std::strerror(errno));
  }

 private:
  int file_;
};

}  // namespace

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata) {
  std::vector<Item> items;
  std::set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    items.push_back(describe(path, name, tensor));
    if (!names.insert(name).second) fail(ExitCode::kBadInput, "{}: tensor {} cannot be written: the name is used twice", path.string(), in_quotes(name));
  }
  // Largest alignment first, then by name: every tensor is aligned, and the same tensors always give the same bytes.
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.type != b.type ? a.type > b.type : *a.name < *b.name; });
  const std::string header = make_header(path, items, metadata);
  write_atomically(path, [&](const std::filesystem::path& temporary) {
    Output output(temporary);
    const uint64_t size = header.size();
    output.write(&size, sizeof size);
    output.write(header.data(), header.size());
    for (const Item& item : items) {
      const at::Tensor dense = item.tensor->detach().to(at::kCPU).resolve_neg().contiguous();
      output.write(dense.const_data_ptr(), dense.nbytes());
    }
    output.finish();
  });
}

}  // namespace attelier
