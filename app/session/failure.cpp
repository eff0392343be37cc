#include "app/session/failure.h"

#include <c10/util/Exception.h>

#include <new>
#include <string>

namespace attelier {
namespace {

bool is_out_of_memory(const std::string& text) {
  return text.find("out of memory") != std::string::npos || text.find("DefaultCPUAllocator") != std::string::npos || text.find("can't allocate memory") != std::string::npos;
}

Error no_memory() { return {ExitCode::kOutOfMemory, "out of memory: choose a smaller --size, a smaller --batch, or --vae-tiling on"}; }

}  // namespace

Error as_error(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return no_memory();
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    if (is_out_of_memory(text)) return no_memory();
    return Error(ExitCode::kUnexpected, text);
  } catch (const std::exception& error) {
    return Error(ExitCode::kUnexpected, error.what());
  } catch (...) {
    return Error(ExitCode::kUnexpected, "an unknown exception was thrown");
  }
}

}  // namespace attelier
