#include "reprise/tests/cuda_emulator/cudnn_object.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace reprise::emulator {

std::int64_t cudnn_plans = 0, cudnn_runs = 0;

std::size_t size_of_element(cudnnDataType_t type) {
  switch (type) {
    case CUDNN_DATA_DOUBLE:
      return 8;
    case CUDNN_DATA_FLOAT:
    case CUDNN_DATA_INT32:
      return 4;
    case CUDNN_DATA_BOOLEAN:
      return 1;
    default:
      return 2;
  }
}

double load(const void* data, cudnnDataType_t type, std::int64_t i) {
  if (type == CUDNN_DATA_DOUBLE) return static_cast<const double*>(data)[i];
  if (type == CUDNN_DATA_BFLOAT16)
    return static_cast<double>(__bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]));
  if (type == CUDNN_DATA_HALF) return static_cast<double>(__half2float(static_cast<const __half*>(data)[i]));
  return static_cast<double>(static_cast<const float*>(data)[i]);
}
void store(void* data, cudnnDataType_t type, std::int64_t i, double x) {
  const auto single = static_cast<float>(x);
  if (type == CUDNN_DATA_DOUBLE)
    static_cast<double*>(data)[i] = x;
  else if (type == CUDNN_DATA_BFLOAT16)
    static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(single);
  else if (type == CUDNN_DATA_HALF)
    static_cast<__half*>(data)[i] = __float2half_rn(single);
  else
    static_cast<float*>(data)[i] = single;
}
double rounded(cudnnDataType_t type, double x) {
  double result = 0;  // room for an element of any type
  store(&result, type, 0, x);
  return load(&result, type, 0);
}

Tensor::Tensor(const Object& object)
    : type(object.value<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE)),
      id(object.value<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID)),
      alignment(object.value<std::int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT)),
      is_virtual(object.is(CUDNN_ATTR_TENSOR_IS_VIRTUAL)),
      by_value(object.is(CUDNN_ATTR_TENSOR_IS_BY_VALUE)) {
  const auto e = object.values<std::int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
  const auto s = object.values<std::int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
  for (std::size_t d = 0; d < 4; ++d) {
    extents[d] = e.at(d);
    strides[d] = s.at(d);
  }
}

std::int64_t Tensor::elements() const {
  std::int64_t last = 0;
  for (std::size_t d = 0; d < 4; ++d) last += (extents[d] - 1) * strides[d];
  return last + 1;
}

}  // namespace reprise::emulator
