// How strongly a style acts, for all of the model's layers at once or for coarse, middle and fine ones apart.
#pragma once

#include <string>

#include "app/desktop/method_form.h"

namespace attelier::desktop {

/// Draws nothing for methods whose strength has no layers.
void draw_strength_table(const Method& method, const FormValues& values, const Theme& theme);
/// Whether a parameter is set there.
bool is_in_strength_table(const Method& method, const std::string& parameter);

}  // namespace attelier::desktop
