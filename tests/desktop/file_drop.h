// Files dragged onto a window and dropped there, as file managers do it: the XDND protocol, version 5.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace attelier {

/// Drops files at a place of the screen onto the window there that takes files. False if there is none, or it does not take them within ten seconds.
bool drop_files(const std::string& display, const std::vector<std::filesystem::path>& files, int x, int y);

}  // namespace attelier
