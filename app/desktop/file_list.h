// The files of an input that takes several, as rows: what each weighs, where it acts, and their order.
#pragma once

#include <filesystem>

#include "app/desktop/method_form.h"

namespace attelier::desktop {

void draw_file_list(const Method& method, const InputDescription& input, const FormValues& values, const Theme& theme);

/// A square button with the picture of a file, or a plus sign where there is none. True when it was pressed.
bool draw_file_square(const char* id, const std::filesystem::path& file, float side, const FormValues& values, const Theme& theme);

}  // namespace attelier::desktop
