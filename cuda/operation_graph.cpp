#include "reprise/cuda/operation_graph.h"

namespace reprise::cuda {

namespace {

// Of a kind that is no memory of the device: a number by value, or virtual.
GraphTensor make_tensor(std::int64_t id, cudnnDataType_t type, const Extents& extents, const Extents& strides,
                        cudnnBackendAttributeName_t kind) {
  const std::int64_t alignment = 16;
  GraphTensor tensor{extents, Descriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR)};
  tensor.descriptor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, extents)
      .set(CUDNN_ATTR_TENSOR_STRIDES, strides)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment);
  const bool yes = true;
  tensor.descriptor.set(kind, CUDNN_TYPE_BOOLEAN, 1, &yes).finalize();
  return tensor;
}

}  // namespace

GraphTensor OperationGraph::memory(std::int64_t id, DType dtype, const Extents& extents,
                                   const Extents& strides) {
  return {extents, tensor_descriptor(id, dtype, extents, strides, 16)};
}
GraphTensor OperationGraph::number(std::int64_t id) {
  return make_tensor(id, CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, CUDNN_ATTR_TENSOR_IS_BY_VALUE);
}
GraphTensor OperationGraph::between(const Extents& extents) { return between(extents, computed_); }
GraphTensor OperationGraph::between(const Extents& extents, cudnnDataType_t type) {
  return between(extents, row_major(extents), type);
}

GraphTensor OperationGraph::between(const Extents& extents, const Extents& strides, cudnnDataType_t type) {
  return make_tensor(next_id_++, type, extents, strides, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
}

Descriptor& OperationGraph::append(cudnnBackendDescriptorType_t type) {
  return operations_.emplace_back(type);
}

void OperationGraph::matmul(const GraphTensor& a, const GraphTensor& b, const GraphTensor& c) {
  Descriptor settings(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  settings.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &computed_).finalize();
  append(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR)
      .set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, a.descriptor)
      .set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, b.descriptor)
      .set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, c.descriptor)
      .set(CUDNN_ATTR_OPERATION_MATMUL_DESC, settings)
      .finalize();
}

void OperationGraph::append_pointwise(cudnnPointwiseMode_t mode, cudnnDataType_t compute, std::int64_t axis,
                                      const GraphTensor& x, const GraphTensor* b, const GraphTensor* t,
                                      const GraphTensor& y) {
  Descriptor settings(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  settings.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode)
      .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute);
  if (mode == CUDNN_POINTWISE_GEN_INDEX) settings.set(CUDNN_ATTR_POINTWISE_AXIS, axis);
  settings.finalize();
  Descriptor& operation = append(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
                              .set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, settings)
                              .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x.descriptor)
                              .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y.descriptor);
  if (b) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b->descriptor);
  if (t) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, t->descriptor);
  operation.finalize();
}

void OperationGraph::pointwise(cudnnPointwiseMode_t mode, const GraphTensor& x, const GraphTensor& y) {
  append_pointwise(mode, computed_, 0, x, nullptr, nullptr, y);
}
void OperationGraph::pointwise(cudnnPointwiseMode_t mode, const GraphTensor& x, const GraphTensor& b,
                               const GraphTensor& y) {
  append_pointwise(mode, computed_, 0, x, &b, nullptr, y);
}
void OperationGraph::select(const GraphTensor& x, const GraphTensor& b, const GraphTensor& t,
                            const GraphTensor& y) {
  append_pointwise(CUDNN_POINTWISE_BINARY_SELECT, computed_, 0, x, &b, &t, y);
}
void OperationGraph::index(const GraphTensor& x, std::int64_t axis, const GraphTensor& y) {
  append_pointwise(CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_INT32, axis, x, nullptr, nullptr, y);
}
void OperationGraph::compare(cudnnPointwiseMode_t mode, const GraphTensor& x, const GraphTensor& b,
                             const GraphTensor& y) {
  append_pointwise(mode, CUDNN_DATA_BOOLEAN, 0, x, &b, nullptr, y);
}

void OperationGraph::reduce(cudnnReduceTensorOp_t op, const GraphTensor& x, const GraphTensor& y) {
  Descriptor settings(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  settings.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &computed_)
      .set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &op)
      .finalize();
  append(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR)
      .set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, settings)
      .set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x.descriptor)
      .set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y.descriptor)
      .finalize();
}

void OperationGraph::transpose(const GraphTensor& x, const GraphTensor& y) {
  append(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR)
      .set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x.descriptor)
      .set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y.descriptor)
      .finalize();
}

}  // namespace reprise::cuda
