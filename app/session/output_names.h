// Names of the pictures that a job writes.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/parameters.h"

namespace attelier {

struct Job;
struct JobOutput;

/// What is wrong with a pattern such as "{name}_{seed}_{index:04}.png", "" if nothing. Fields: name, method, model, seed, index, date. A pattern is a
/// file name, not a path, and ends in .png, .jpg, .jpeg or .webp, or in the ending of a video where these are allowed.
std::string pattern_problem(const std::string& pattern, bool with_videos = false);

/// The file name of picture `index`, whose parameters are `params`: fields filled in, everything unsafe in them replaced, long texts cut.
std::string picture_name(const Job& job, const Json& params, int64_t index);

/// The path of the next picture under the rules of output.exists: "number" counts `index` up (or appends _1, _2, ... where the pattern has no index)
/// to a free name; "error" throws Error(kBadInput) if the name is taken; "skip" and "overwrite" return the name as it is. `extension`
/// replaces the pattern's, unless that is a video's.
std::filesystem::path picture_path(const Job& job, const Json& params, int64_t& index, const std::string& extension = "");

/// A name that is free, and that no other process and no other job of this one is given as long as this lives: a locked file `.NAME.claim` beside it, whose
/// lock ends with its process. Where a file system has no locks, or under "skip" and "overwrite", it is the name alone.
class ClaimedPath {
 public:
  /// As picture_path().
  ClaimedPath(const Job& job, const Json& params, int64_t& index, const std::string& extension = "");
  ~ClaimedPath() { release(); }
  ClaimedPath(const ClaimedPath&) = delete;
  ClaimedPath& operator=(const ClaimedPath&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  bool claim(const std::filesystem::path& path);
  void release();

  std::filesystem::path claim_;
  int lock_ = -1;
  std::filesystem::path path_;  // found with the two above
};

/// Throws Error(kBadInput) unless `folder` is there, may be written and has room for `bytes`. Leaves nothing behind.
void check_folder(const std::filesystem::path& folder, int64_t bytes);

}  // namespace attelier
