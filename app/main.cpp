#include "app/cli/console.h"

int main(int argc, char** argv) { return attelier::run_command_line(argc, argv); }
