#include "core/weights/pickle_globals.h"

#include <algorithm>
#include <array>
#include <utility>

namespace attelier {
namespace {

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 10> kStorages = {{
    {"torch.FloatStorage", at::kFloat},
    {"torch.HalfStorage", at::kHalf},
    {"torch.BFloat16Storage", at::kBFloat16},
    {"torch.DoubleStorage", at::kDouble},
    {"torch.IntStorage", at::kInt},
    {"torch.LongStorage", at::kLong},
    {"torch.ShortStorage", at::kShort},
    {"torch.CharStorage", at::kChar},
    {"torch.ByteStorage", at::kByte},
    {"torch.BoolStorage", at::kBool},
}};

constexpr std::array<std::string_view, 14> kKnown = {"collections.OrderedDict",
                                                     "torch._utils._rebuild_tensor_v2",
                                                     "torch._utils._rebuild_parameter",
                                                     "torch.Size",
                                                     "torch.float32",
                                                     "torch.float16",
                                                     "torch.bfloat16",
                                                     "torch.float64",
                                                     "torch.int32",
                                                     "torch.int64",
                                                     "torch.int16",
                                                     "torch.int8",
                                                     "torch.uint8",
                                                     "torch.bool"};

constexpr std::array<std::string_view, 24> kDangerousModules = {"os",       "posix",  "nt",       "subprocess", "pty",     "sys",
                                                                "socket",   "shutil", "runpy",    "importlib",  "ctypes",  "webbrowser",
                                                                "commands", "popen2", "urllib",   "requests",   "asyncio", "multiprocessing",
                                                                "code",     "timeit", "cProfile", "pdb",        "marshal", "shelve"};

constexpr std::array<std::string_view, 10> kDangerousBuiltins = {"eval",  "exec",       "execfile", "compile", "open",
                                                                 "input", "__import__", "apply",    "globals", "breakpoint"};

template <size_t N>
bool holds(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::optional<at::ScalarType> storage_dtype(std::string_view name) {
  for (const auto& [storage, dtype] : kStorages)
    if (storage == name) return dtype;
  return std::nullopt;
}

bool is_known_global(std::string_view name) { return holds(kKnown, name) || storage_dtype(name).has_value(); }

bool is_dangerous_global(std::string_view module, std::string_view name) {
  if (module == "builtins" || module == "__builtin__") return holds(kDangerousBuiltins, name);
  return holds(kDangerousModules, module.substr(0, module.find('.')));
}

}  // namespace attelier
