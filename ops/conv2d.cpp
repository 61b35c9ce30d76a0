#include "reprise/ops/conv2d.h"

#include <fmt/format.h>

#include "reprise/ops/column_sum.h"
#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/statistics.h"
#include "reprise/ops/sum_to.h"

namespace reprise {

constinit KernelSlot<Conv2dArgs> conv2d_slot{"conv2d"};
constinit KernelSlot<Conv2dBackwardInputArgs> conv2d_backward_input_slot{"conv2d_backward_input"};
constinit KernelSlot<Conv2dBackwardWeightArgs> conv2d_backward_weight_slot{"conv2d_backward_weight"};

namespace {

std::string describe(const Conv2dFunctionOptions& o) {
  return fmt::format("stride={}x{} padding={}x{} dilation={}x{} groups={}", o.stride.h, o.stride.w,
                     o.padding.h, o.padding.w, o.dilation.h, o.dilation.w, o.groups);
}

std::int64_t output_extent(std::int64_t input, std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                           std::int64_t dilation) {
  return (input + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
}

// Is the kernel larger than the padded image? In double: sums and products of options may overflow.
bool exceeds(std::int64_t kernel, std::int64_t dilation, std::int64_t input, std::int64_t padding) {
  return static_cast<double>(dilation) * static_cast<double>(kernel - 1) + 1 >
         static_cast<double>(input) + 2 * static_cast<double>(padding);
}

// The shape of y; UserError where x, weight and the options do not fit. One check for the op and its
// gradients.
Shape output_shape(const char* op, const Shape& x, const Shape& weight, const Conv2dFunctionOptions& o) {
  if (x.rank() != 4 || weight.rank() != 4)
    throw UserError(
        fmt::format("{}: x {} and weight {} must be [n, h, w, in] and [out, kernel h, kernel w, in / groups]",
                    op, to_string(x), to_string(weight)));
  constexpr std::int64_t kMostPadding = std::int64_t{1} << 48;  // elements of a shape
  if (o.stride.h < 1 || o.stride.w < 1 || o.dilation.h < 1 || o.dilation.w < 1 || o.padding.h < 0 ||
      o.padding.w < 0 || o.groups < 1 || o.padding.h > kMostPadding || o.padding.w > kMostPadding)
    throw UserError(fmt::format(
        "{}: {}: strides, dilations and groups must be at least 1, paddings at least 0 and at most 2^48", op,
        describe(o)));
  if (x[3] % o.groups != 0 || weight[0] % o.groups != 0)
    throw UserError(fmt::format(
        "{}: x {} and weight {}: {} groups must divide both the {} input and the {} output channels", op,
        to_string(x), to_string(weight), o.groups, x[3], weight[0]));
  if (weight[3] != x[3] / o.groups)
    throw UserError(fmt::format(
        "{}: x {} and weight {} do not fit: x has {} channels in {} groups, so weight's last extent must be "
        "{}, not {} (images are [n, h, w, channels], weights [out, h, w, in / groups])",
        op, to_string(x), to_string(weight), x[3], o.groups, x[3] / o.groups, weight[3]));
  if (weight[1] < 1 || weight[2] < 1 || exceeds(weight[1], o.dilation.h, x[1], o.padding.h) ||
      exceeds(weight[2], o.dilation.w, x[2], o.padding.w))
    throw UserError(fmt::format("{}: x {} and weight {} with {}: the kernel is larger than the padded image",
                                op, to_string(x), to_string(weight), describe(o)));
  return {x[0], output_extent(x[1], weight[1], o.stride.h, o.padding.h, o.dilation.h),
          output_extent(x[2], weight[2], o.stride.w, o.padding.w, o.dilation.w), weight[0]};
}

void require_gradient_shape(const char* op, const Shape& dy, const Shape& y) {
  if (!(dy == y))
    throw UserError(
        fmt::format("{}: dy {} must have the output's shape {}", op, to_string(dy), to_string(y)));
}

// Multiplications and additions: each output element reads in / groups channels at every place of the kernel.
double convolution_flops(const Shape& y, const Shape& weight) {
  return 2.0 * static_cast<double>(y.numel()) * static_cast<double>(weight[1] * weight[2] * weight[3]);
}

struct Conv2d final : KernelOp<Conv2dArgs> {
  Conv2dFunctionOptions options;
  explicit Conv2d(Conv2dFunctionOptions o) : KernelOp("conv2d", conv2d_slot), options(o) {}

  std::string attributes() const override { return describe(options); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    for (std::size_t i = 1; i < in.size(); ++i) require_same_dtype("conv2d", in[0], in[i]);
    require_floating("conv2d", in[0]);
    const Shape y = output_shape("conv2d", in[0].shape, in[1].shape, options);
    if (in.size() == 3 && !(in[2].shape == Shape({y[3]})))
      throw UserError(fmt::format("conv2d: bias {} does not fit weight {}: it must be [out] = [{}]",
                                  to_string(in[2].shape), to_string(in[1].shape), y[3]));
    return {{y, in[0].dtype, in[0].device}};
  }
  Conv2dArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], in.size() == 3 ? in[2] : ConstView{}, out[0], options};
  }
  Saved saves(Needs needs) const override { return saves_of_bilinear(needs); }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& dy = gradients[0];
    const Shape& weight = context.infos[1].shape;
    const bool needs_bias = context.infos.size() == 3 && context.needs(2);
    std::vector<Tensor> result(context.infos.size());
    if (context.needs(1) && needs_bias) {
      Conv2dWeightGradients both =
          conv2d_backward_weight_and_bias(dy, context.inputs[0], {weight[1], weight[2]}, options);
      result[1] = std::move(both.weight);
      result[2] = std::move(both.bias);
    } else if (context.needs(1)) {
      result[1] = conv2d_backward_weight(dy, context.inputs[0], {weight[1], weight[2]}, options);
    } else if (needs_bias) {
      result[2] = column_sum(dy);
    }
    if (context.needs(0))
      result[0] = conv2d_backward_input(dy, context.inputs[1], context.infos[0].shape, options);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return convolution_flops(output_shape("conv2d", in[0].shape, in[1].shape, options), in[1].shape);
  }
};

// Inputs dy, weight; output dx.
struct Conv2dBackwardInput final : KernelOp<Conv2dBackwardInputArgs> {
  Shape input;
  Conv2dFunctionOptions options;
  Conv2dBackwardInput(const Shape& x, Conv2dFunctionOptions o)
      : KernelOp("conv2d_backward_input", conv2d_backward_input_slot), input(x), options(o) {}

  std::string attributes() const override { return describe(options) + " input=" + to_string(input); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_same_dtype("conv2d_backward_input", in[0], in[1]);
    require_floating("conv2d_backward_input", in[0]);
    require_gradient_shape("conv2d_backward_input", in[0].shape,
                           output_shape("conv2d_backward_input", input, in[1].shape, options));
    return {{input, in[0].dtype, in[0].device}};
  }
  Conv2dBackwardInputArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], out[0], options};
  }
  Saved saves(Needs needs) const override { return saves_of_bilinear(needs); }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& u = gradients[0];  // shaped as x
    const Shape& weight = context.infos[1].shape;
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = conv2d(u, context.inputs[1], {}, options);
    if (context.needs(1))
      result[1] = conv2d_backward_weight(context.inputs[0], u, {weight[1], weight[2]}, options);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return convolution_flops(in[0].shape, in[1].shape);
  }
};

// Inputs dy, x; outputs dweight and, with `bias`, dbias.
struct Conv2dBackwardWeight final : KernelOp<Conv2dBackwardWeightArgs> {
  Pair kernel_size;
  Conv2dFunctionOptions options;
  bool bias;
  Conv2dBackwardWeight(Pair kernel, Conv2dFunctionOptions o, bool with_bias)
      : KernelOp("conv2d_backward_weight", conv2d_backward_weight_slot),
        kernel_size(kernel),
        options(o),
        bias(with_bias) {}

  std::string attributes() const override {
    return fmt::format("{} kernel={}x{} bias={}", describe(options), kernel_size.h, kernel_size.w, bias);
  }
  Shape weight_shape(const Shape& dy, const Shape& x) const {
    if (dy.rank() != 4 || x.rank() != 4 || options.groups < 1)
      throw UserError(
          fmt::format("conv2d_backward_weight: dy {} and x {} must be [n, p, q, out] and [n, h, w, in]",
                      to_string(dy), to_string(x)));
    return {dy[3], kernel_size.h, kernel_size.w, x[3] / options.groups};
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_same_dtype("conv2d_backward_weight", in[0], in[1]);
    require_floating("conv2d_backward_weight", in[0]);
    const Shape weight = weight_shape(in[0].shape, in[1].shape);
    require_gradient_shape("conv2d_backward_weight", in[0].shape,
                           output_shape("conv2d_backward_weight", in[1].shape, weight, options));
    const DType dtype = statistics_dtype(in[0].dtype);
    std::vector<ValueInfo> out = {{weight, dtype, in[0].device}};
    if (bias) out.push_back({{weight[0]}, dtype, in[0].device});
    return out;
  }
  Conv2dBackwardWeightArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], out[0], bias ? out[1] : View{}, options};
  }
  std::vector<int> differentiable() const override {
    return bias ? std::vector<int>{0, 1} : std::vector<int>{0};
  }
  Saved saves(Needs needs) const override { return saves_of_bilinear(needs); }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const DType dtype = context.infos[0].dtype;
    const Tensor u = gradients[0].defined() ? gradients[0].to(dtype) : Tensor();  // shaped as weight
    const Tensor u_bias = bias && gradients[1].defined() ? gradients[1].to(dtype) : Tensor();
    std::vector<Tensor> result(2);
    if (context.needs(0)) {
      if (u.defined())
        result[0] = conv2d(context.inputs[1], u, u_bias, options);
      else
        result[0] = broadcast_to(u_bias, context.infos[0].shape);
    }
    if (context.needs(1) && u.defined())
      result[1] = conv2d_backward_input(context.inputs[0], u, context.infos[1].shape, options);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return convolution_flops(in[0].shape, weight_shape(in[0].shape, in[1].shape));
  }
};

}  // namespace

Tensor conv2d(Tensor x, Tensor weight, Tensor bias, Conv2dFunctionOptions options) {
  if (!bias.defined()) return record(Conv2d(options), std::move(x), std::move(weight));
  return record(Conv2d(options), std::move(x), std::move(weight), std::move(bias));
}

Tensor conv2d_backward_input(Tensor dy, Tensor weight, const Shape& input, Conv2dFunctionOptions options) {
  return record(Conv2dBackwardInput(input, options), std::move(dy), std::move(weight));
}

Tensor conv2d_backward_weight(Tensor dy, Tensor x, Pair kernel_size, Conv2dFunctionOptions options) {
  return record(Conv2dBackwardWeight(kernel_size, options, false), std::move(dy), std::move(x));
}

Conv2dWeightGradients conv2d_backward_weight_and_bias(Tensor dy, Tensor x, Pair kernel_size,
                                                      Conv2dFunctionOptions options) {
  std::vector<Tensor> out = record(std::make_shared<const Conv2dBackwardWeight>(kernel_size, options, true),
                                   tensors(std::move(dy), std::move(x)));
  return {std::move(out[0]), std::move(out[1])};
}

}  // namespace reprise
