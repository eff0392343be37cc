// The pictures and captions of a user's own folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace attelier {

/// A picture that a folder promises; nothing has been opened yet.
struct ListedPicture {
  std::filesystem::path file;
  std::string caption;
  std::filesystem::path condition;  // a ControlNet's picture, empty without one
};

struct FolderListing {
  std::vector<ListedPicture> pictures;
  std::vector<std::string> left_out;         // and why: "cat.png: has no pixels"
  std::vector<std::filesystem::path> runs;   // folders of training runs whose sheets and loss curve were passed over
};

/// With metadata.jsonl (of the datasets library's imagefolder: "file_name", "text", perhaps "conditioning_image") or captions.jsonl (of `attelier
/// scenes`: "file", "caption") the pictures that it names, otherwise every picture below the folder in the order of names, each captioned by the .txt
/// or .caption file beside it, but for what a training run in one of the folders has drawn. `caption` is for pictures without one. Lines that are no JSON object with a file's name are left out.
FolderListing list_pictures(const std::filesystem::path& folder, const std::string& caption);

}  // namespace attelier
