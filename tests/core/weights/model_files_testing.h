// What the tests of layouts, LoRA and the store share: fixtures, environment variables, checkpoints without data.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "core/weights/tensor_file.h"
#include "tests/core/weights/weights_testing.h"

namespace attelier {

inline std::filesystem::path fixture(const std::string& name) { return std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures" / name; }

/// Sets an environment variable until the end of the scope.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    setenv(name, value.c_str(), 1);
  }
  ~Environment() {
    if (old_)
      setenv(name_, old_->c_str(), 1);
    else
      unsetenv(name_);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

/// Names and shapes alone: full-size models without their gigabytes.
class ShapesOnly : public TensorSource {
 public:
  explicit ShapesOnly(std::map<std::string, TensorInfo> tensors, std::map<std::string, std::string> metadata = {})
      : tensors_(std::move(tensors)), metadata_(std::move(metadata)) {}
  const std::map<std::string, TensorInfo>& tensors() const override { return tensors_; }
  at::Tensor read(const std::string& name) const override { throw std::logic_error("read " + name); }
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }
  const std::filesystem::path& path() const override { return path_; }

 private:
  std::map<std::string, TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
  std::filesystem::path path_ = "shapes";
};

/// A folder of symbolic links to a fixture's files, so that a test can replace some of them.
inline void link_tree(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::create_directories(to);
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    if (entry.is_directory())
      link_tree(entry.path(), to / entry.path().filename());
    else
      std::filesystem::create_symlink(entry.path(), to / entry.path().filename());
  }
}

inline NamedTensors all_tensors(const TensorSource& source) {
  NamedTensors tensors;
  for (const auto& [name, info] : source.tensors()) tensors.emplace_back(name, source.read(name).contiguous());
  return tensors;
}

}  // namespace attelier
