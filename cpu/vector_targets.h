#pragma once
// Included before Highway by every vectorized file: which instruction sets its kernels are compiled for. At run time the
// best that the processor has is taken: AVX-512, AVX2, or what every x86-64 (or other machine) has. Each costs about a
// second of compile time a file.
#include <cstddef>
#include <cstdint>
#include <span>

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
