#include "reprise/tests/cuda_emulator/elements.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <bit>

namespace reprise::emulator {

std::size_t size_of_element(cudaDataType type) {
  switch (type) {
    case CUDA_R_64F:
      return 8;
    case CUDA_R_32F:
      return 4;
    default:
      return 2;
  }
}

double load(const void* data, cudaDataType type, std::int64_t i) {
  if (type == CUDA_R_64F) return static_cast<const double*>(data)[i];
  if (type == CUDA_R_16BF)
    return static_cast<double>(__bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]));
  if (type == CUDA_R_16F) return static_cast<double>(__half2float(static_cast<const __half*>(data)[i]));
  return static_cast<double>(static_cast<const float*>(data)[i]);
}
void store(void* data, cudaDataType type, std::int64_t i, double x) {
  if (type == CUDA_R_64F)
    static_cast<double*>(data)[i] = x;
  else if (type == CUDA_R_16BF)
    static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(static_cast<float>(x));
  else if (type == CUDA_R_16F)
    static_cast<__half*>(data)[i] = __float2half_rn(static_cast<float>(x));
  else
    static_cast<float*>(data)[i] = static_cast<float>(x);
}

double rounded(cudaDataType type, double x) {
  double result = 0;  // room for an element of any type
  store(&result, type, 0, x);
  return load(&result, type, 0);
}

// To ten bits behind the first, ties to even.
double rounded_to_tf32(double x) {
  auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(x));
  bits += 0xFFFU + (bits >> 13 & 1U);
  return static_cast<double>(std::bit_cast<float>(bits & ~0x1FFFU));
}

}  // namespace reprise::emulator
