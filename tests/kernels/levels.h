// Tests of the CPU kernels on all instruction sets that this machine has.
#pragma once

#include <gtest/gtest.h>

#include "kernels/cpu/level.h"

namespace attelier::kernels {

/// Runs the body once per instruction set.
template <typename Body>
void on_every_level(const Body& body) {
  const cpu::Level before = cpu::current_level();
  for (const cpu::Level level : cpu::available_levels()) {
    SCOPED_TRACE(std::string(cpu::level_name(level)));
    cpu::use_level(level);
    body();
  }
  cpu::use_level(before);
}

}  // namespace attelier::kernels
