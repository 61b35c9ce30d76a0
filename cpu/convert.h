#pragma once
// f32 to bf16 and back, vectorized and shared among threads; f32 is rounded to the nearest, ties to even.
#include <cstdint>

#include "reprise/core/dtype.h"

namespace reprise::cpu {

void convert(const float* from, BFloat16* to, std::int64_t count);
void convert(const BFloat16* from, float* to, std::int64_t count);

}  // namespace reprise::cpu
