// Any bytes as a zip archive; and any bytes as the pickle in a right archive with two storages.
#include "tests/core/weights/fuzzing.h"
#include "tests/core/weights/zip_building.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attelier;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.starts_with("PK")) {
    open_and_read(bytes);
  } else {
    open_and_read(
        zip_of({{.name = "a/data.pkl", .data = bytes}, {.name = "a/data/0", .data = std::string(96, '\1')}, {.name = "a/data/1", .data = "123"}}));
  }
  return 0;
}
