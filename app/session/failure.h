// What went wrong in a job, in words and with its exit code, whatever was thrown.
#pragma once

#include <exception>

#include "core/base/error.h"

namespace attelier {

/// An Error as it is (Interrupted too, by its code); memory that ran out, of the host or the device, becomes kOutOfMemory with what to do; anything else
/// kUnexpected.
Error as_error(const std::exception_ptr& thrown);

}  // namespace attelier
