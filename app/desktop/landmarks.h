// Where named controls stand in the window, for tests that point at them as a hand does. Nobody asks, nothing is kept.
#pragma once

#include <filesystem>
#include <string>

namespace attelier::desktop {

/// From now on every frame whose controls stand elsewhere than before writes "name" -> [left, top, right, bottom] into this JSON file.
void write_landmarks_to(const std::filesystem::path& file);
/// The last item is called this.
void mark(const std::string& name);
/// After every frame.
void write_landmarks();

}  // namespace attelier::desktop
