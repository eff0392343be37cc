#include "app/cli/file_set.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "core/base/files.h"

namespace attelier {

namespace fs = std::filesystem;

FileSet::FileSet(const fs::path& folder) : folder_(folder), hidden_(temporary_beside(folder / kHiddenFolder)) {
  remove_abandoned_files(folder);
  std::error_code ignored;
  fs::remove_all(hidden_, ignored);  // of a process that had this one's number
  if (mkdir(hidden_.c_str(), 0755) != 0) fail(ExitCode::kBadInput, "{}: cannot be written: {}; choose another folder with --out", folder.string(), std::strerror(errno));
}

FileSet::~FileSet() {
  std::error_code ignored;
  fs::remove_all(hidden_, ignored);
}

void FileSet::add(const std::string& name, std::string_view bytes) {
  write_file_atomically(hidden_ / name, bytes);
  names_.push_back(name);
}

void FileSet::publish() {
  // A folder in the place of a file is the one thing that could stop the moving half way: looked for first.
  for (const std::string& name : names_)
    if (fs::is_directory(folder_ / name)) fail(ExitCode::kBadInput, "{}: is a folder where a file should go; move it or choose another folder with --out", (folder_ / name).string());
  for (const std::string& name : names_) {
    std::error_code error;
    fs::rename(hidden_ / name, folder_ / name, error);
    if (error) fail(ExitCode::kBadInput, "{}: cannot be written: {}", (folder_ / name).string(), error.message());
  }
  names_.clear();
}

}  // namespace attelier
