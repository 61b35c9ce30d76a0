#include "reprise/cuda/convolution_graph.h"

#include <array>

#include "reprise/cuda/operation_graph.h"

namespace reprise::cuda {

namespace {

// cuDNN has channels second, whatever order they lie in.
Extents extents_of(const Shape& s) { return {s[0], s[3], s[1], s[2]}; }
Extents strides_of(const Shape& s) { return {s[1] * s[2] * s[3], 1, s[2] * s[3], s[3]}; }

Descriptor image(std::int64_t id, const Convolution& c, const Shape& s) {
  return tensor_descriptor(id, c.dtype, extents_of(s), strides_of(s), c.alignment);
}

Descriptor settings(const Convolution& c) {
  const cudnnDataType_t compute = computed_type(c.dtype);
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  const auto pair = [](Pair p) { return std::array<std::int64_t, 2>{p.h, p.w}; };
  Descriptor result(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  result.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, pair(c.padding))
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, pair(c.padding))
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, pair(c.dilation))
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, pair(c.stride))
      .finalize();
  return result;
}

// cuDNN's names of an operation's parts.
struct Names {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t x, weight, y, settings, alpha, beta;
};

Names names_of(ConvolutionKind kind) {
  switch (kind) {
    case ConvolutionKind::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case ConvolutionKind::backward_input:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case ConvolutionKind::backward_weight:
      break;
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

}  // namespace

std::vector<Descriptor> convolution_operations(const Convolution& c) {
  const Names names = names_of(c.kind);
  OperationGraph graph(computed_type(c.dtype));
  const GraphTensor y{extents_of(c.y), image(kResult, c, c.y)};
  // With a bias the sums stay in what they are computed in until it is added to them.
  const GraphTensor sums =
      c.bias ? graph.between(y.extents, strides_of(c.y), computed_type(c.dtype)) : GraphTensor();
  graph.append(names.operation)
      .set(names.x, image(kImage, c, c.x))
      .set(names.weight, image(kWeight, c, c.weight))
      .set(names.y, c.bias ? sums.descriptor : y.descriptor)
      .set(names.settings, settings(c))
      .set(names.alpha, 1.0F)
      .set(names.beta, 0.0F)
      .finalize();
  if (c.bias) {
    const Shape of_channels = {1, 1, 1, c.y[3]};
    const GraphTensor bias{extents_of(of_channels), image(kBias, c, of_channels)};
    graph.pointwise(CUDNN_POINTWISE_ADD, sums, bias, y);
  }
  return graph.take_operations();
}

}  // namespace reprise::cuda
