#pragma once
#include <cstdint>
namespace attelier { void draw_texture_picture(uint64_t seed, int64_t size, float* rgb); }
