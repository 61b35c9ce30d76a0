#include "reprise/tests/cuda_emulator/cudnn_object.h"

namespace reprise::emulator {

std::int64_t cudnn_plans = 0, cudnn_runs = 0;

cudaDataType element_type(const Object& object, int name) {
  switch (object.value<cudnnDataType_t>(name)) {
    case CUDNN_DATA_DOUBLE:
      return CUDA_R_64F;
    case CUDNN_DATA_BFLOAT16:
      return CUDA_R_16BF;
    case CUDNN_DATA_HALF:
      return CUDA_R_16F;
    default:
      return CUDA_R_32F;
  }
}

Tensor::Tensor(const Object& object)
    : type(element_type(object, CUDNN_ATTR_TENSOR_DATA_TYPE)),
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
