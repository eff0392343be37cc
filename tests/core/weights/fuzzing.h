// What the fuzzers of the weight readers share: a file in memory, opened and read like any other.
#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/weights/tensor_file.h"

namespace attelier {

/// The reader may refuse the bytes with Error(kModel). Anything else, another exception included, is a finding.
inline void open_and_read(std::string_view bytes) {
  const int file = memfd_create("fuzz", MFD_CLOEXEC);
  if (file < 0 || write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
  // Private files are mapped, files that others may write are copied: the last byte chooses, so that both ways are tried.
  fchmod(file, !bytes.empty() && (bytes.back() & 1) != 0 ? 0600 : 0666);
  try {
    const auto source = open_tensors("/proc/self/fd/" + std::to_string(file));
    for (const auto& [name, info] : source->tensors()) {
      try {
        const at::Tensor tensor = source->read(name);
        if (tensor.sizes() != at::IntArrayRef(info.shape) || tensor.scalar_type() != info.dtype) std::abort();
        if (!tensor.is_contiguous() || tensor.nbytes() > bytes.size()) std::abort();
        // Touches every byte, so that a view outside the file is noticed.
        volatile unsigned sum = 0;
        const auto* data = static_cast<const unsigned char*>(tensor.const_data_ptr());
        for (size_t i = 0; i < tensor.nbytes(); ++i) sum = sum + data[i];
      } catch (const Error& error) {
        if (error.code() != ExitCode::kModel) std::abort();
      }
    }
  } catch (const Error& error) {
    if (error.code() != ExitCode::kModel) std::abort();
  }
  close(file);
}

}  // namespace attelier
