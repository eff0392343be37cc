// Any bytes as a safetensors file; and any bytes as its header, with a length and data that fit, so that the fuzzer need not find them.
#include <cstring>

#include "core/weights/safetensors.h"
#include "tests/core/weights/fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attelier;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  open_and_read(bytes);

  const std::string_view header = size > 8 && data[4] == 0 && data[5] == 0 && data[6] == 0 && data[7] == 0 ? bytes.substr(8) : bytes;
  const uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  uint64_t data_size = 0;
  for (size_t i = 0; i < header.size(); ++i) data_size = (data_size * 31 + static_cast<unsigned char>(header[i])) % 64;
  open_and_read(file.append(header).append(data_size, '\1'));
  return 0;
}
