#include "core/base/context.h"

#include <ATen/CPUGeneratorImpl.h>

namespace attelier {

at::Generator make_generator(uint64_t seed) { return at::make_generator<at::CPUGeneratorImpl>(seed); }

}  // namespace attelier
