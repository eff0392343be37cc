#include "core/weights/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "core/base/error.h"
#include "core/weights/pickle_globals.h"
#include "core/weights/quote.h"

// The opcodes are those of Python's Lib/pickle.py up to protocol 2, as far as torch.save writes them.
namespace attelier {

const PickleValue* PickleValue::find(std::string_view key) const {
  for (size_t i = items.size(); i >= 2; i -= 2)
    if (items[i - 2]->kind == Kind::kText && items[i - 2]->text == key) return items[i - 1];
  return nullptr;
}

using Kind = PickleValue::Kind;

namespace {

constexpr size_t kMostOperations = 4'000'000;
constexpr size_t kMostItems = 2 * kMostOperations;
constexpr size_t kMostMemoEntries = 2'000'000;
constexpr size_t kMostMarks = 256;
constexpr int kDeepestNesting = 256;
constexpr size_t kLongestKey = 64;
constexpr size_t kLongestGlobal = 512;
constexpr size_t kMostForeignNames = 20;
constexpr size_t kHighestRank = 8;

}  // namespace

class PickleMachine {
 public:
  PickleMachine(Pickle& pickle, std::string_view bytes, const std::string& file) : pickle_(pickle), bytes_(bytes), file_(file) {
    none_ = make(Kind::kNone);
    false_ = make(Kind::kBool);
    true_ = make(Kind::kBool);
    true_->integer = 1;
  }

  const PickleValue* run() {
    if (take<uint8_t>() != 0x80) reject("the pickle does not begin with its protocol");
    if (const int protocol = take<uint8_t>(); protocol != 2)
      reject("the pickle has protocol {}, only 2, the default of torch.save, is read; save it again or convert it to safetensors", protocol);
    for (size_t operations = 0;; ++operations) {
      if (operations == kMostOperations) reject("the pickle has more than {} operations", kMostOperations);
      const auto opcode = take<uint8_t>();
      if (opcode == '.') break;
      execute(opcode);
    }
    if (!bytes_.empty()) reject("{} bytes follow the end of the pickle", bytes_.size());
    if (stack_.size() != 1 || !marks_.empty()) reject("the pickle ends with {} values instead of one", stack_.size());
    return stack_.back();
  }

 private:
  void execute(uint8_t opcode) {
    switch (opcode) {
      case 0x80:
        reject("the pickle changes its protocol");
      case '(':
        if (marks_.size() == kMostMarks) reject("the pickle is nested deeper than {} levels", kMostMarks);
        marks_.push_back(stack_.size());
        return;
      case 'N':
        return push(none_);
      case 0x88:
        return push(true_);
      case 0x89:
        return push(false_);
      case 'K':
        return push_integer(take<uint8_t>());
      case 'M':
        return push_integer(take<uint16_t>());
      case 'J':
        return push_integer(take<int32_t>());
      case 0x8a:
        return push_long(take_bytes(take<uint8_t>()));
      case 'G':
        return push_float();
      case 'X':
        return push_text(take_bytes(take<uint32_t>()));
      case 'U':
        return push_text(take_bytes(take<uint8_t>()));
      case '}':
        return push(make(Kind::kDict));
      case ']':
        return push(make(Kind::kList));
      case ')':
        return push(make(Kind::kTuple));
      case 0x8f:
        return push(foreign("set"));
      case 't':
        return push_tuple(take_mark());
      case 0x85:
        return push_tuple(take_top(1));
      case 0x86:
        return push_tuple(take_top(2));
      case 0x87:
        return push_tuple(take_top(3));
      case 'a':
        return append(take_top(1));
      case 'e':
        return append(take_mark());
      case 's':
        return set_items(take_top(2));
      case 'u':
        return set_items(take_mark());
      case 'q':
        return memoise(take<uint8_t>());
      case 'r':
        return memoise(take<uint32_t>());
      case 'h':
        return recall(take<uint8_t>());
      case 'j':
        return recall(take<uint32_t>());
      case 'c':
        return push_global();
      case 'Q':
        return push_storage();
      case 'R':
        return reduce();
      case 0x81:
        return reduce();
      case 'b':
        return build();
      default:
        reject("the pickle uses the operation 0x{:02x}, which torch.save does not write", opcode);
    }
  }

  template <typename... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ExitCode::kModel, file_ + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

  template <typename T>
  T take() {
    T value;
    std::memcpy(&value, take_bytes(sizeof value).data(), sizeof value);
    return value;
  }

  std::string_view take_bytes(uint64_t size) {
    if (size > bytes_.size()) reject("the pickle is truncated");
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

  std::string_view take_line() {
    const size_t end = bytes_.substr(0, kLongestGlobal).find('\n');
    if (end == std::string_view::npos) reject("the pickle has a name without an end");
    const std::string_view line = bytes_.substr(0, end);
    bytes_.remove_prefix(end + 1);
    return line;
  }

  PickleValue* make(Kind kind) {
    PickleValue& value = pickle_.values_.emplace_back();
    value.kind = kind;
    return &value;
  }

  PickleValue* foreign(std::string name) {
    PickleValue* value = make(Kind::kForeign);
    value->text = std::move(name);
    return value;
  }

  void push(PickleValue* value) { stack_.push_back(value); }

  void push_integer(int64_t integer) {
    PickleValue* value = make(Kind::kInteger);
    value->integer = integer;
    push(value);
  }

  // Two's complement of any length; what does not fit 64 bits is no size, offset or step count.
  void push_long(std::string_view bytes) {
    if (bytes.size() > 8) return push(foreign("a large integer"));
    const bool is_negative = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
    uint64_t bits = is_negative ? ~uint64_t{0} : 0;
    std::memcpy(&bits, bytes.data(), bytes.size());
    push_integer(static_cast<int64_t>(bits));
  }

  void push_float() {
    uint64_t bits = 0;
    for (const char byte : take_bytes(8)) bits = bits << 8 | static_cast<unsigned char>(byte);
    PickleValue* value = make(Kind::kFloat);
    value->number = std::bit_cast<double>(bits);
    push(value);
  }

  void push_text(std::string_view text) {
    PickleValue* value = make(Kind::kText);
    value->text = text;
    push(value);
  }

  PickleValue* top() const {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) reject("the pickle takes a value from an empty stack");
    return stack_.back();
  }

  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }

  std::vector<PickleValue*> take_top(size_t count) {
    std::vector<PickleValue*> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    return items;
  }

  std::vector<PickleValue*> take_mark() {
    if (marks_.empty()) reject("the pickle closes a list that it did not open");
    std::vector<PickleValue*> items(stack_.begin() + static_cast<int64_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }

  void add_items(PickleValue& container, const std::vector<PickleValue*>& items) {
    // Copying an OrderedDict's pairs is the only way to get more items than operations; a pickle must not multiply itself that way.
    item_count_ += items.size();
    if (item_count_ > kMostItems) reject("the pickle has more than {} items", kMostItems);
    container.items.insert(container.items.end(), items.begin(), items.end());
    for (const PickleValue* item : items) container.depth = std::max(container.depth, item->depth + 1);
    if (container.depth > kDeepestNesting) reject("the pickle is nested deeper than {} levels", kDeepestNesting);
  }

  void push_tuple(const std::vector<PickleValue*>& items) {
    PickleValue* tuple = make(Kind::kTuple);
    add_items(*tuple, items);
    push(tuple);
  }

  void append(const std::vector<PickleValue*>& items) {
    PickleValue* list = top();
    if (list->kind == Kind::kForeign) return;
    if (list->kind != Kind::kList) reject("the pickle appends to something that is no list");
    add_items(*list, items);
  }

  void set_items(const std::vector<PickleValue*>& items) {
    PickleValue* dict = top();
    if (items.size() % 2 != 0) reject("the pickle has a key without a value");
    if (dict->kind == Kind::kForeign) return;
    if (dict->kind != Kind::kDict) reject("the pickle sets an item of something that is no dictionary");
    add_items(*dict, items);
  }

  void memoise(uint32_t index) {
    if (memo_.size() >= kMostMemoEntries && !memo_.contains(index)) reject("the pickle remembers more than {} values", kMostMemoEntries);
    memo_[index] = top();
  }

  void recall(uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) reject("the pickle refers to value {}, which it did not remember", index);
    push(found->second);
  }

  void push_global() {
    const std::string_view module = take_line(), name = take_line();
    const std::string full = fmt::format("{}.{}", module, name);
    if (is_dangerous_global(module, name))
      reject("the pickle wants to call {}: this is an attack or no checkpoint; nothing was executed", in_quotes(full));
    PickleValue* global = make(is_known_global(full) ? Kind::kGlobal : Kind::kForeign);
    global->text = full;
    if (global->kind == Kind::kForeign && pickle_.foreign_names_.size() < kMostForeignNames) pickle_.foreign_names_.insert(full);
    push(global);
  }

  // The persistent id of torch.save: ('storage', torch.FloatStorage, key, location, element count).
  void push_storage() {
    PickleValue* id = pop();
    const auto& items = id->items;
    if (id->kind != Kind::kTuple || items.size() != 5 || items[0]->text != "storage" || items[2]->kind != Kind::kText ||
        items[2]->text.size() > kLongestKey || items[4]->kind != Kind::kInteger || items[4]->integer < 0)
      reject("the pickle has a damaged storage");
    if (items[1]->kind == Kind::kForeign) return push(items[1]);
    const auto dtype = items[1]->kind == Kind::kGlobal ? storage_dtype(items[1]->text) : std::nullopt;
    if (!dtype) reject("the pickle has a storage of no known type");
    PickleValue* value = make(Kind::kStorage);
    value->storage = std::make_unique<PickledStorage>(PickledStorage{items[2]->text, *dtype, static_cast<uint64_t>(items[4]->integer)});
    push(value);
  }

  // REDUCE and NEWOBJ: a class or function and its arguments. Four are known; every other result is inert, and so the name may stand for it.
  void reduce() {
    PickleValue* arguments = pop();
    PickleValue* function = pop();
    if (arguments->kind != Kind::kTuple) reject("the pickle calls {} without a tuple of arguments", in_quotes(function->text));
    if (function->kind == Kind::kForeign) return push(function);
    if (function->kind != Kind::kGlobal) reject("the pickle calls something that is no function");
    const auto& items = arguments->items;
    if (function->text == "collections.OrderedDict") {
      push_ordered_dict(items);
    } else if (function->text == "torch._utils._rebuild_tensor_v2") {
      push_tensor(items);
    } else if (function->text == "torch._utils._rebuild_parameter") {
      if (items.empty() || (items[0]->kind != Kind::kTensor && items[0]->kind != Kind::kForeign))
        reject("the pickle has a parameter without a tensor");
      push(items[0]);
    } else if (function->text == "torch.Size") {
      if (items.size() != 1 || items[0]->kind != Kind::kTuple) reject("the pickle has a damaged torch.Size");
      push(items[0]);
    } else {
      push(foreign(function->text));
    }
  }

  void push_ordered_dict(const std::vector<PickleValue*>& arguments) {
    PickleValue* dict = make(Kind::kDict);
    if (!arguments.empty()) {
      if (arguments.size() != 1 || arguments[0]->kind != Kind::kList) reject("the pickle has a damaged OrderedDict");
      for (PickleValue* pair : arguments[0]->items) {
        if ((pair->kind != Kind::kList && pair->kind != Kind::kTuple) || pair->items.size() != 2) reject("the pickle has a damaged OrderedDict");
        add_items(*dict, pair->items);
      }
    }
    push(dict);
  }

  std::vector<int64_t> take_sizes(const PickleValue& tuple, const char* what) const {
    if (tuple.kind != Kind::kTuple) reject("a tensor of the pickle has no tuple as {}", what);
    if (tuple.items.size() > kHighestRank) reject("a tensor of the pickle has more than {} dimensions", kHighestRank);
    std::vector<int64_t> sizes;
    for (const PickleValue* item : tuple.items) {
      if (item->kind != Kind::kInteger || item->integer < 0) reject("a tensor of the pickle has a {} that is no non-negative integer", what);
      sizes.push_back(item->integer);
    }
    return sizes;
  }

  // _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])
  void push_tensor(const std::vector<PickleValue*>& arguments) {
    if (arguments.size() < 4 || arguments[1]->kind != Kind::kInteger || arguments[1]->integer < 0) reject("the pickle has a damaged tensor");
    if (arguments[0]->kind == Kind::kForeign) return push(arguments[0]);
    if (arguments[0]->kind != Kind::kStorage) reject("the pickle has a tensor without a storage");
    auto tensor = std::make_unique<PickledTensor>();
    tensor->storage = *arguments[0]->storage;
    tensor->offset = static_cast<uint64_t>(arguments[1]->integer);
    tensor->shape = take_sizes(*arguments[2], "size");
    tensor->strides = take_sizes(*arguments[3], "stride");
    if (tensor->shape.size() != tensor->strides.size())
      reject("a tensor of the pickle has {} sizes and {} strides", tensor->shape.size(), tensor->strides.size());
    check_extent(*tensor);
    PickleValue* value = make(Kind::kTensor);
    value->tensor = std::move(tensor);
    push(value);
  }

  // The last element, offset + sum (size - 1) * stride, must lie in the storage, and the element and byte counts must fit 63 bits.
  void check_extent(const PickledTensor& tensor) const {
    int64_t bytes = static_cast<int64_t>(c10::elementSize(tensor.storage.dtype));
    bool overflows = false, is_empty = false;
    int64_t last = static_cast<int64_t>(tensor.offset);
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      int64_t span = 0;
      const int64_t size = std::max<int64_t>(tensor.shape[i], 1);
      is_empty = is_empty || tensor.shape[i] == 0;
      overflows = overflows || __builtin_mul_overflow(bytes, size, &bytes) || __builtin_mul_overflow(size - 1, tensor.strides[i], &span) ||
                  __builtin_add_overflow(last, span, &last);
    }
    if (overflows)
      reject("the size of a tensor of shape [{}] and strides [{}] overflows", fmt::join(tensor.shape, ", "), fmt::join(tensor.strides, ", "));
    if (is_empty ? tensor.offset > tensor.storage.count : static_cast<uint64_t>(last) >= tensor.storage.count)
      reject("a tensor of shape [{}], strides [{}] and offset {} reaches outside its storage {} of {} elements", fmt::join(tensor.shape, ", "),
             fmt::join(tensor.strides, ", "), tensor.offset, in_quotes(tensor.storage.key), tensor.storage.count);
  }

  // The state of an object: dropped. (For an OrderedDict of torch it is the `_metadata` of the modules.)
  void build() {
    pop();
    top();
  }

  Pickle& pickle_;
  std::string_view bytes_;
  const std::string& file_;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, PickleValue*> memo_;
  size_t item_count_ = 0;
  PickleValue* none_;
  PickleValue* false_;
  PickleValue* true_;
};

Pickle::Pickle(std::string_view bytes, const std::string& file) { root_ = PickleMachine(*this, bytes, file).run(); }

}  // namespace attelier
