#include "core/weights/pickle_checkpoint.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/weights/pickle.h"
#include "core/weights/quote.h"
#include "core/weights/zip.h"

namespace attelier {
namespace {

using Kind = PickleValue::Kind;

constexpr uint64_t kLargestPickle = uint64_t{1} << 26;
constexpr size_t kMostVisited = 1'000'000;
constexpr size_t kLongestName = 4096;
constexpr size_t kMostNameBytes = size_t{1} << 26;
constexpr int kDeepestDictionary = 32;

class PickleCheckpoint : public TensorSource {
 public:
  explicit PickleCheckpoint(std::shared_ptr<const ReadOnlyFile> file) : file_(file), zip_(std::move(file)), folder_(find_folder()) {
    check_byte_order();
    const StoredZip::Entry pickle_entry = zip_.entries().at(folder_ + "data.pkl");
    if (pickle_entry.size > kLargestPickle) reject("its pickle has {} bytes, at most {} are read", pickle_entry.size, kLargestPickle);
    const Pickle pickle(file_->bytes(pickle_entry.offset, pickle_entry.size), path().string());
    const PickleValue& dictionary = descend(pickle.root());
    collect(dictionary, "", 0);
    if (tensors_.empty()) reject("holds no tensors{}; save the state_dict of the model, best as safetensors", foreign_objects(pickle));
  }

  const std::map<std::string, TensorInfo>& tensors() const override { return infos_; }
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }
  const std::filesystem::path& path() const override { return file_->path(); }

  at::Tensor read(const std::string& name) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) reject("has no tensor {}", in_quotes(name));
    const PickledTensor& tensor = found->second;
    // A broadcast view (stride 0) of one element could claim any size: nothing larger than its storage is handed out.
    if (static_cast<uint64_t>(c10::multiply_integers(tensor.shape)) > tensor.storage.count)
      reject("tensor {}: repeats the elements of its storage; save a contiguous copy", in_quotes(name));
    const uint64_t element = c10::elementSize(tensor.storage.dtype);
    const uint64_t start = zip_.entries().at(storage_entry(tensor.storage)).offset + tensor.offset * element;
    if (c10::multiply_integers(tensor.shape) == 0) return at::empty(tensor.shape, at::TensorOptions().dtype(tensor.storage.dtype));
    int64_t extent = 1;
    bool is_contiguous = true;
    for (size_t i = tensor.shape.size(); i-- > 0;) {
      is_contiguous = is_contiguous && (tensor.shape[i] == 1 || tensor.strides[i] == extent_of_rest(tensor, i));
      extent += (tensor.shape[i] - 1) * tensor.strides[i];
    }
    if (is_contiguous) return file_->tensor(start, tensor.shape, tensor.storage.dtype, name);
    return file_->tensor(start, {extent}, tensor.storage.dtype, name).as_strided(tensor.shape, tensor.strides).contiguous();
  }

 private:
  template <typename... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ExitCode::kModel, path().string() + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

  static int64_t extent_of_rest(const PickledTensor& tensor, size_t axis) {
    return c10::multiply_integers(tensor.shape.begin() + static_cast<int64_t>(axis) + 1, tensor.shape.end());
  }

  // "NAME/", the folder in the archive that holds data.pkl.
  std::string find_folder() const {
    constexpr std::string_view kPickle = "/data.pkl";
    std::string folder;
    for (const auto& [name, entry] : zip_.entries()) {
      if (!name.ends_with(kPickle) || name.find('/') != name.size() - kPickle.size()) continue;
      if (!folder.empty()) reject("has more than one data.pkl");
      folder = name.substr(0, name.size() - kPickle.size() + 1);
    }
    if (folder.empty()) reject("is a zip archive, but not one of torch.save: it has no data.pkl");
    if (zip_.entries().contains(folder + "constants.pkl")) reject("is a TorchScript program; save the state_dict of the model, best as safetensors");
    return folder;
  }

  void check_byte_order() const {
    const auto found = zip_.entries().find(folder_ + "byteorder");
    if (found == zip_.entries().end()) return;
    const std::string order = file_->bytes(found->second.offset, std::min<uint64_t>(found->second.size, 16));
    if (order != "little") reject("was written on a machine with byte order {}; convert it to safetensors there", in_quotes(order));
  }

  std::string storage_entry(const PickledStorage& storage) const { return folder_ + "data/" + storage.key; }

  std::string foreign_objects(const Pickle& pickle) const {
    if (pickle.foreign_names().empty()) return "";
    std::vector<std::string> names;
    for (const std::string& name : pickle.foreign_names()) names.push_back(in_quotes(name));
    return fmt::format(" that can be read, but objects of {}", fmt::join(names, ", "));
  }

  const PickleValue& descend(const PickleValue& root) {
    const PickleValue* value = &root;
    for (int level = 0; level < kDeepestDictionary; ++level) {
      if (value->kind == Kind::kForeign || value->kind == Kind::kGlobal)
        reject("holds an object of {} instead of a dictionary of tensors; save the state_dict of the model, best as safetensors",
               in_quotes(value->text));
      if (value->kind != Kind::kDict) reject("holds no dictionary of tensors; save the state_dict of the model, best as safetensors");
      // Training scripts keep the moving average, with which they report their results, beside the last weights.
      const PickleValue* next = value->find("state_dict_ema");
      if (next == nullptr || next->kind != Kind::kDict) next = value->find("state_dict");
      if (next == nullptr || next->kind == Kind::kTensor) return *value;
      keep_scalars(*value);
      value = next;
    }
    reject("has more than {} state_dict inside each other", kDeepestDictionary);
  }

  void keep_scalars(const PickleValue& dictionary) {
    for (size_t i = 0; i + 1 < dictionary.items.size(); i += 2) {
      const PickleValue &key = *dictionary.items[i], &value = *dictionary.items[i + 1];
      if (key.kind != Kind::kText || key.text.size() > kLongestName) continue;
      if (value.kind == Kind::kInteger) metadata_[key.text] = std::to_string(value.integer);
      if (value.kind == Kind::kFloat) metadata_[key.text] = fmt::format("{}", value.number);
      if (value.kind == Kind::kBool) metadata_[key.text] = value.integer != 0 ? "true" : "false";
      if (value.kind == Kind::kText && value.text.size() <= kLongestName) metadata_[key.text] = value.text;
    }
  }

  // Dictionaries may be shared, so that a small pickle can describe exponentially many paths: the visits are counted.
  void collect(const PickleValue& dictionary, const std::string& prefix, int depth) {
    if (depth > kDeepestDictionary) reject("its dictionaries are nested deeper than {} levels", kDeepestDictionary);
    std::map<std::string_view, const PickleValue*> last;
    for (size_t i = 0; i + 1 < dictionary.items.size(); i += 2) {
      if (++visited_ > kMostVisited) reject("has more than {} entries", kMostVisited);
      if (dictionary.items[i]->kind == Kind::kText) last[dictionary.items[i]->text] = dictionary.items[i + 1];
    }
    for (const auto& [key, value] : last) {
      const std::string name = prefix + std::string(key);
      if (name.size() > kLongestName) reject("tensor {}: the name is longer than {} bytes", in_quotes(name), kLongestName);
      if (value->kind == Kind::kDict) collect(*value, name + ".", depth + 1);
      if (value->kind == Kind::kTensor) add(name, *value->tensor);
    }
  }

  void add(const std::string& name, const PickledTensor& tensor) {
    if (name.empty()) reject("a tensor has an empty name");
    name_bytes_ += name.size();
    if (name_bytes_ > kMostNameBytes) reject("its tensor names have more than {} bytes", kMostNameBytes);
    const auto entry = zip_.entries().find(storage_entry(tensor.storage));
    if (entry == zip_.entries().end()) reject("tensor {}: the archive has no storage {}", in_quotes(name), in_quotes(tensor.storage.key));
    const uint64_t element = c10::elementSize(tensor.storage.dtype);
    if (entry->second.size / element < tensor.storage.count)
      reject("tensor {}: its storage should have {} elements of {} bytes, the archive has {} bytes", in_quotes(name), tensor.storage.count, element,
             entry->second.size);
    if (!tensors_.emplace(name, tensor).second) reject("has the tensor {} twice", in_quotes(name));
    infos_.emplace(name, TensorInfo{tensor.storage.dtype, tensor.shape});
  }

  std::shared_ptr<const ReadOnlyFile> file_;
  StoredZip zip_;
  std::string folder_;
  std::map<std::string, PickledTensor> tensors_;
  std::map<std::string, TensorInfo> infos_;
  std::map<std::string, std::string> metadata_;
  size_t visited_ = 0;
  size_t name_bytes_ = 0;
};

}  // namespace

std::shared_ptr<TensorSource> open_pickle_checkpoint(std::shared_ptr<const ReadOnlyFile> file) {
  return std::make_shared<PickleCheckpoint>(std::move(file));
}

}  // namespace attelier
