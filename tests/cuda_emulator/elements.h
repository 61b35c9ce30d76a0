#pragma once
// Elements of operands, as the stand-ins for cuBLASLt and cuDNN read and write them.
#include <library_types.h>

#include <cstddef>
#include <cstdint>

namespace reprise::emulator {

std::size_t size_of_element(cudaDataType type);
// f64 holds every element; what is stored is rounded to the element's type, by way of f32 unless that is f64.
double load(const void* data, cudaDataType type, std::int64_t i);
void store(void* data, cudaDataType type, std::int64_t i, double x);
double rounded(cudaDataType type, double x);
double rounded_to_tf32(double x);

}  // namespace reprise::emulator
