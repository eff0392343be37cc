// A restricted interpreter for the pickles of torch.save. A pickle is a program that may call any function; this one has no functions to call.
#pragma once

#include <ATen/ATen.h>

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attelier {

/// A raw storage of the archive, named by its key: `count` elements of `dtype`.
struct PickledStorage {
  std::string key;
  at::ScalarType dtype = at::kFloat;
  uint64_t count = 0;
};

/// A strided view of a storage, checked to lie inside it.
struct PickledTensor {
  PickledStorage storage;
  uint64_t offset = 0;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
};

/// A value of the pickle. Everything but plain data and tensors is kForeign: an inert remainder that only remembers the name of its class.
struct PickleValue {
  enum class Kind { kNone, kBool, kInteger, kFloat, kText, kList, kTuple, kDict, kGlobal, kStorage, kTensor, kForeign };
  Kind kind = Kind::kNone;
  int depth = 0;                    // longest chain of containers below
  int64_t integer = 0;              // kBool, kInteger
  double number = 0;                // kFloat
  std::string text;                 // kText; the class or function of kGlobal and kForeign
  std::vector<PickleValue*> items;  // kList, kTuple; kDict: key, value, key, value, ...
  std::unique_ptr<PickledStorage> storage;
  std::unique_ptr<PickledTensor> tensor;

  /// The last value under a text key of a kDict, or nullptr.
  const PickleValue* find(std::string_view key) const;
};

/// The values of one pickle, which refer to each other (circularly, if the pickle says so).
class Pickle {
 public:
  /// Runs the program in `bytes` (protocol 2). Throws Error(kModel), starting with `file`, at anything that torch.save does not write or that
  /// exceeds the limits on operations, memo entries and nesting, and at functions that only an attack would call.
  Pickle(std::string_view bytes, const std::string& file);

  const PickleValue& root() const { return *root_; }
  /// Classes and functions that were met but not used, for messages.
  const std::set<std::string>& foreign_names() const { return foreign_names_; }

 private:
  friend class PickleMachine;
  std::deque<PickleValue> values_;
  const PickleValue* root_ = nullptr;
  std::set<std::string> foreign_names_;
};

}  // namespace attelier
