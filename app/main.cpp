#include "app/cli/console.h"
#include "app/session/tensor_memory.h"

int main(int argc, char** argv) {
  attelier::keep_freed_memory();
  return attelier::run_command_line(argc, argv);
}
