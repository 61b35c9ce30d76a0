#include "reprise/tests/cuda_planning/unused.h"

#include <array>

#include "reprise/cuda/operation_graph.h"

namespace reprise::planning {

namespace {

using cuda::Descriptor;
using cuda::Extents;
using cuda::GraphTensor;
using cuda::OperationGraph;

constexpr Extents kImages = {32, 64, 56, 56}, kLargeImages = {32, 64, 112, 112}, kChannels = {1, 64, 1, 1};

Extents channels_last(const Extents& e) { return {e[1] * e[2] * e[3], 1, e[3] * e[1], e[1]}; }

GraphTensor images(std::int64_t id, DType dtype, const Extents& extents = kImages) {
  return OperationGraph::memory(id, dtype, extents, channels_last(extents));
}
GraphTensor statistics(std::int64_t id) {
  return OperationGraph::memory(id, DType::f32, kChannels, channels_last(kChannels));
}

void append_forward(OperationGraph& graph, const GraphTensor& x, const GraphTensor& y) {
  const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
  const cudnnBackendNormFwdPhase_t phase = CUDNN_NORM_FWD_TRAINING;
  graph.append(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, 1, &phase)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, x.descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, y.descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, statistics(10).descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, statistics(11).descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, statistics(12).descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, statistics(13).descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, OperationGraph::number(14).descriptor)
      .finalize();
}

void append_backward(OperationGraph& graph, DType dtype) {
  const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
  graph.append(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, images(1, dtype).descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, images(2, dtype).descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, statistics(10).descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, statistics(11).descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, statistics(12).descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, statistics(15).descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, statistics(16).descriptor)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, images(3, dtype).descriptor)
      .finalize();
}

Descriptor pooling_settings() {
  const cudnnResampleMode_t mode = CUDNN_RESAMPLE_MAXPOOL;
  const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
  const cudnnNanPropagation_t nan = CUDNN_PROPAGATE_NAN;
  const cudnnPaddingMode_t padding = CUDNN_NEG_INF_PAD;
  const auto pair = [](std::int64_t n) { return std::array<cudnnFraction_t, 2>{{{n, 1}, {n, 1}}}; };
  const auto window = pair(3), stride = pair(2), border = pair(1);
  Descriptor result(CUDNN_BACKEND_RESAMPLE_DESCRIPTOR);
  result.set(CUDNN_ATTR_RESAMPLE_MODE, CUDNN_TYPE_RESAMPLE_MODE, 1, &mode)
      .set(CUDNN_ATTR_RESAMPLE_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute)
      .set(CUDNN_ATTR_RESAMPLE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &nan)
      .set(CUDNN_ATTR_RESAMPLE_PADDING_MODE, CUDNN_TYPE_PADDING_MODE, 1, &padding)
      .set(CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS, std::int64_t{2})
      .set(CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, CUDNN_TYPE_FRACTION, 2, window.data())
      .set(CUDNN_ATTR_RESAMPLE_STRIDES, CUDNN_TYPE_FRACTION, 2, stride.data())
      .set(CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, CUDNN_TYPE_FRACTION, 2, border.data())
      .set(CUDNN_ATTR_RESAMPLE_POST_PADDINGS, CUDNN_TYPE_FRACTION, 2, border.data())
      .finalize();
  return result;
}

Descriptor index_tensor() {
  const cudnnDataType_t type = CUDNN_DATA_INT8;
  Descriptor result(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  result.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, std::int64_t{3})
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, kImages)
      .set(CUDNN_ATTR_TENSOR_STRIDES, channels_last(kImages))
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t{16})
      .finalize();
  return result;
}

}  // namespace

std::vector<Descriptor> batch_norm_operations(BatchNorm kind, DType dtype) {
  OperationGraph graph;
  const GraphTensor x = images(1, dtype), y = images(2, dtype);
  const auto between = [&] { return graph.between(kImages, channels_last(kImages), CUDNN_DATA_FLOAT); };
  if (kind == BatchNorm::backward) {
    append_backward(graph, dtype);
  } else if (kind == BatchNorm::forward) {
    append_forward(graph, x, y);
  } else {
    const GraphTensor normalized = between(), sum = between();
    const bool add = kind == BatchNorm::forward_add_relu;
    append_forward(graph, x, normalized);
    if (add) graph.pointwise(CUDNN_POINTWISE_ADD, normalized, images(3, dtype), sum);
    graph.pointwise(CUDNN_POINTWISE_RELU_FWD, add ? sum : normalized, y);
  }
  return graph.take_operations();
}

std::vector<Descriptor> max_pool_operations(DType dtype, bool indices) {
  OperationGraph graph;
  Descriptor& operation =
      graph.append(CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR)
          .set(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC, images(1, dtype, kLargeImages).descriptor)
          .set(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC, images(2, dtype).descriptor)
          .set(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC, pooling_settings());
  if (indices) operation.set(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC, index_tensor());
  operation.finalize();
  return graph.take_operations();
}

}  // namespace reprise::planning
