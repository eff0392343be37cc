// Many files that belong together: all of them appear, or none.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace attelier {

/// Files are written into a hidden folder inside the target and moved into place by publish(). Without it (an error, an interruption) nothing of them
/// stays. The hidden folder is on the same file system, so that moving cannot run out of space.
class FileSet {
 public:
  /// `folder` must exist. Throws Error(kBadInput) with the system's reason.
  explicit FileSet(const std::filesystem::path& folder);
  ~FileSet();
  FileSet(const FileSet&) = delete;
  FileSet& operator=(const FileSet&) = delete;

  /// `name` is a plain file name. Throws Error(kBadInput), for instance on a full disk.
  void add(const std::string& name, std::string_view bytes);
  /// Moves everything into the folder, over older files of the same names.
  void publish();

 private:
  std::filesystem::path folder_, hidden_;
  std::vector<std::string> names_;
};

}  // namespace attelier
