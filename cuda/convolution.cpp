// conv2d and its gradients on cuDNN. A bias is added in the convolution's graph; its gradient is summed by a kernel of our own.
#include <algorithm>
#include <optional>
#include <vector>

#include "reprise/autograd/intrinsics.h"
#include "reprise/core/allow_tf32.h"
#include "reprise/core/error.h"
#include "reprise/cuda/check.h"
#include "reprise/cuda/context.h"
#include "reprise/cuda/convolution_graph.h"
#include "reprise/cuda/cudnn_plans.h"
#include "reprise/cuda/slots.h"
#include "reprise/ops/add.h"
#include "reprise/ops/column_sum.h"
#include "reprise/ops/elementwise.h"

namespace reprise::cuda {
namespace {

CudnnGraph graph_of(const Convolution& c) {
  CudnnGraph graph{.kind = GraphKind::convolution,
                   .key = {static_cast<int>(c.kind), static_cast<int>(c.dtype), c.alignment, c.bias},
                   .request = plan_request(c, allow_tf32()),
                   .operations = [c] { return convolution_operations(c); }};
  for (const Shape* shape : {&c.x, &c.weight, &c.y})
    for (const std::int64_t extent : shape->extents()) graph.key.push_back(extent);
  for (const Pair pair : {c.stride, c.padding, c.dilation})
    graph.key.insert(graph.key.end(), {pair.h, pair.w});
  return graph;
}

bool is_empty(const Convolution& c) { return c.x.numel() == 0 || c.weight.numel() == 0 || c.y.numel() == 0; }

std::size_t convolution_workspace(const Convolution& convolution, Device device) {
  return is_empty(convolution) ? 0 : required_workspace(graph_of(convolution), device);
}

// Do all of them begin at a multiple of 16 bytes?
bool are_aligned(std::span<void* const> operands) {
  std::uintptr_t addresses = 0;
  for (const void* operand : operands) addresses |= reinterpret_cast<std::uintptr_t>(operand);
  return addresses % 16 == 0;
}

// `written` is one of the three.
void run_convolution(const Convolution& convolution, const View& written, const void* x, const void* weight,
                     const void* y, std::span<std::byte> workspace) {
  const Device device = written.info->device;
  if (is_empty(convolution))
    return check(cudaMemsetAsync(written.data, 0, written.info->bytes(), use(device).stream),
                 "cudaMemsetAsync");
  const std::int64_t ids[] = {kImage, kWeight, kResult};
  void* const data[] = {const_cast<void*>(x), const_cast<void*>(weight), const_cast<void*>(y)};
  Convolution asked = convolution;
  if (!are_aligned(data)) asked.alignment = static_cast<std::int64_t>(size_of(convolution.dtype));
  const CudnnGraph graph = graph_of(asked);
  if (required_workspace(graph, device) > workspace.size())
    throw UserError(
        "conv2d on cuda: an operand begins at no multiple of 16 bytes, and cuDNN then needs more workspace "
        "than there is: "
        "copy the part of the tensor first");
  run_graph(graph, device, ids, data, workspace);
}

Convolution convolution_of(ConvolutionKind kind, const Shape& x, const Shape& weight, const Shape& y,
                           DType dtype, const Conv2dFunctionOptions& options) {
  return {kind, dtype, x, weight, y, options.stride, options.padding, options.dilation};
}

// ---- forward

Convolution convolution_of(const Conv2dArgs& args) {
  return convolution_of(ConvolutionKind::forward, args.x.info->shape, args.weight.info->shape,
                        args.y.info->shape, args.x.info->dtype, args.options);
}

// With the bias in the same graph: added before y is rounded, so that it is rounded once. Nothing without a bias, and where there is no
// product.
std::optional<CudnnGraph> graph_with_bias(const Conv2dArgs& args) {
  Convolution convolution = convolution_of(args);
  if (!args.bias.info || is_empty(convolution)) return {};
  convolution.bias = true;
  return graph_of(convolution);
}

std::size_t conv2d_workspace(const Conv2dArgs& args) {
  const Device device = args.x.info->device;
  if (const std::optional<CudnnGraph> graph = graph_with_bias(args))
    if (const std::optional<std::size_t> bytes = planned_workspace(*graph, device)) return *bytes;
  return convolution_workspace(convolution_of(args), device);
}

void conv2d(const Conv2dArgs& args, std::span<std::byte> workspace) {
  if (const std::optional<CudnnGraph> graph = graph_with_bias(args)) {
    const Device device = args.y.info->device;
    const std::int64_t ids[] = {kImage, kWeight, kBias, kResult};
    void* const data[] = {const_cast<void*>(args.x.data), const_cast<void*>(args.weight.data),
                          const_cast<void*>(args.bias.data), args.y.data};
    // Here cuDNN 9.19 takes no heed of the alignment that it is told of, as it does without a bias: it chooses the engine that
    // it chooses for 16 bytes.
    if (are_aligned(data) && planned_workspace(*graph, device))
      return run_graph(*graph, device, ids, data, workspace);
  }
  // y is rounded before the bias is added, and again.
  run_convolution(convolution_of(args), args.y, args.x.data, args.weight.data, args.y.data, workspace);
  if (!args.bias.info) return;
  const ConstView y{args.y.data, args.y.info};
  add_slot.run({y, args.bias, args.y}, {}, args.y.info->device, args.y.info->dtype);
}

// ---- the image's gradient

Convolution convolution_of(const Conv2dBackwardInputArgs& args) {
  return convolution_of(ConvolutionKind::backward_input, args.dx.info->shape, args.weight.info->shape,
                        args.dy.info->shape, args.dy.info->dtype, args.options);
}

std::size_t conv2d_backward_input_workspace(const Conv2dBackwardInputArgs& args) {
  return convolution_workspace(convolution_of(args), args.dy.info->device);
}

void conv2d_backward_input(const Conv2dBackwardInputArgs& args, std::span<std::byte> workspace) {
  run_convolution(convolution_of(args), args.dx, args.dx.data, args.weight.data, args.dy.data, workspace);
}

// ---- the weight's gradient, and the bias's

Convolution convolution_of(const Conv2dBackwardWeightArgs& args) {
  return convolution_of(ConvolutionKind::backward_weight, args.x.info->shape, args.dweight.info->shape,
                        args.dy.info->shape, args.dy.info->dtype, args.options);
}

ColumnSumArgs bias_gradient(const Conv2dBackwardWeightArgs& args) { return {args.dy, args.dbias}; }

// The weight's gradient in the operands' dtype, where it has another; behind it what one kernel after the other needs.
std::size_t rounded_bytes(const Conv2dBackwardWeightArgs& args) {
  if (args.dweight.info->dtype == args.dy.info->dtype) return 0;
  const auto bytes =
      static_cast<std::size_t>(args.dweight.info->shape.numel()) * size_of(args.dy.info->dtype);
  return (bytes + 255) / 256 * 256;
}

std::size_t conv2d_backward_weight_workspace(const Conv2dBackwardWeightArgs& args) {
  const Device device = args.dy.info->device;
  std::size_t bytes = convolution_workspace(convolution_of(args), device);
  if (args.dbias.info)
    bytes = std::max(bytes, column_sum_slot.workspace(bias_gradient(args), device, args.dy.info->dtype));
  return rounded_bytes(args) + bytes;
}

void conv2d_backward_weight(const Conv2dBackwardWeightArgs& args, std::span<std::byte> workspace) {
  const DType dtype = args.dy.info->dtype;
  const Device device = args.dy.info->device;
  const std::size_t rounded = rounded_bytes(args);
  const std::span<std::byte> rest = workspace.subspan(rounded);
  if (rounded == 0) {
    run_convolution(convolution_of(args), args.dweight, args.x.data, args.dweight.data, args.dy.data, rest);
  } else {
    const ValueInfo info{args.dweight.info->shape, dtype, device};
    const View dweight{workspace.data(), &info};
    run_convolution(convolution_of(args), dweight, args.x.data, dweight.data, args.dy.data, rest);
    cast_slot.run({{dweight.data, &info}, args.dweight}, {}, device, dtype);
  }
  if (args.dbias.info) column_sum_slot.run(bias_gradient(args), rest, device, dtype);
}

}  // namespace

void fill_convolution() {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    conv2d_slot.fill(Device::CUDA, dtype, {conv2d, conv2d_workspace});
    conv2d_backward_input_slot.fill(Device::CUDA, dtype,
                                    {conv2d_backward_input, conv2d_backward_input_workspace});
    conv2d_backward_weight_slot.fill(Device::CUDA, dtype,
                                     {conv2d_backward_weight, conv2d_backward_weight_workspace});
  }
}

}  // namespace reprise::cuda
