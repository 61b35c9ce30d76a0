// Convolution. A 1x1 convolution is a product of the weight with each pixel (of strided ones only the weight's gradient, with
// AVX2), a 3x3 one of stride 1 goes to Winograd's method, the gradient of a strided one's weight in bf16 to a product with
// patches, others to oneDNN, and what it has nothing fast for to the plain loops.
#include "reprise/ops/conv2d.h"

#include "reprise/cpu/dnnl_convolution.h"
#include "reprise/cpu/dnnl_product.h"
#include "reprise/cpu/fast_slots.h"
#include "reprise/cpu/packed_product.h"
#include "reprise/cpu/patch_product.h"
#include "reprise/cpu/plain_fallback.h"
#include "reprise/cpu/tall_product.h"
#include "reprise/cpu/winograd.h"

namespace reprise::cpu {
namespace {

Convolution convolution(ConvolutionPass pass, const ValueInfo& x, const ValueInfo& weight, const ValueInfo& y,
                        const Conv2dFunctionOptions& options, bool bias) {
  return {.pass = pass,
          .n = x.shape[0],
          .h = x.shape[1],
          .w = x.shape[2],
          .in = x.shape[3],
          .out = weight.shape[0],
          .kernel_h = weight.shape[1],
          .kernel_w = weight.shape[2],
          .p = y.shape[1],
          .q = y.shape[2],
          .options = options,
          .dtype = x.dtype,
          .bias = bias};
}
Convolution convolution(const Conv2dArgs& args) {
  return convolution(ConvolutionPass::forward, *args.x.info, *args.weight.info, *args.y.info, args.options,
                     args.bias.info != nullptr);
}
Convolution convolution(const Conv2dBackwardInputArgs& args) {
  return convolution(ConvolutionPass::backward_input, *args.dx.info, *args.weight.info, *args.dy.info,
                     args.options, false);
}
Convolution convolution(const Conv2dBackwardWeightArgs& args) {
  return convolution(ConvolutionPass::backward_weight, *args.x.info, *args.dweight.info, *args.dy.info,
                     args.options, args.dbias.info != nullptr);
}

// Some pixels, each by itself. The gradient of a bias comes from no product.
bool is_product_of_some(const Convolution& c) {
  const Conv2dFunctionOptions& o = c.options;
  return c.kernel_h == 1 && c.kernel_w == 1 && o.padding == Pair(0) && o.groups == 1 &&
         !(c.bias && c.pass == ConvolutionPass::backward_weight);
}
// Each pixel by itself: y [pixels, out] = x [pixels, in] weight^T.
bool is_product(const Convolution& c) { return is_product_of_some(c) && c.options.stride == Pair(1); }

TallProduct weight_product(const Convolution& c) { return {.m = c.out, .n = c.in, .k = c.n * c.h * c.w}; }

std::shared_ptr<const DnnlOperation> pixel_product(const Convolution& c) {
  if (!is_product(c)) return nullptr;
  const std::int64_t pixels = c.n * c.h * c.w;
  switch (c.pass) {
    case ConvolutionPass::forward:
      return product_primitive({.m = pixels,
                                .n = c.out,
                                .k = c.in,
                                .transpose_b = true,
                                .bias = c.bias,
                                .dtype = c.dtype,
                                .result = c.dtype});
    case ConvolutionPass::backward_input:
      return product_primitive({.m = pixels, .n = c.in, .k = c.out, .dtype = c.dtype, .result = c.dtype});
    case ConvolutionPass::backward_weight:
      return product_primitive({.m = c.out, .n = c.in, .k = pixels, .transpose_a = true, .dtype = c.dtype});
  }
  return nullptr;
}

// Null where the plain loops are left.
std::shared_ptr<const DnnlOperation> operation(const Convolution& c) {
  auto product = pixel_product(c);
  return product ? product : convolution_primitive(c);
}

template <class Args>
std::size_t workspace_bytes(const KernelSlot<Args>& slot, const Args& args) {
  const Convolution c = convolution(args);
  if (uses_winograd(c)) return winograd_workspace(c);
  if (uses_patches(c)) return patch_workspace(c);
  const auto fast = operation(c);
  return fast ? fast->workspace() : plain_workspace(slot, args, c.dtype);
}

std::size_t forward_workspace(const Conv2dArgs& args) { return workspace_bytes(conv2d_slot, args); }

void forward(const Conv2dArgs& args, std::span<std::byte> workspace) {
  const Convolution c = convolution(args);
  if (uses_winograd(c))
    winograd_forward(c, args.x.data, args.weight.data, args.bias.data, args.y.data, workspace);
  else if (const auto fast = operation(c))
    fast->run({args.x.data, args.weight.data, args.y.data, args.bias.data}, workspace);
  else
    run_plain(conv2d_slot, args, workspace, c.dtype);
}

std::size_t backward_input_workspace(const Conv2dBackwardInputArgs& args) {
  return workspace_bytes(conv2d_backward_input_slot, args);
}

void backward_input(const Conv2dBackwardInputArgs& args, std::span<std::byte> workspace) {
  const Convolution c = convolution(args);
  if (uses_winograd(c))
    winograd_backward_input(c, args.dy.data, args.weight.data, args.dx.data, workspace);
  else if (const auto fast = operation(c))
    fast->run({args.dy.data, args.weight.data, args.dx.data}, workspace);
  else
    run_plain(conv2d_backward_input_slot, args, workspace, c.dtype);
}

bool is_tall(const Convolution& c) {
  return is_product(c) && c.dtype == DType::f32 && weight_product(c).pays();
}

PackedProduct packed_product(const Convolution& c) {
  const Pair stride = c.options.stride;
  return {.m = c.out,
          .n = c.in,
          .k = c.n * c.p * c.q,
          .dtype = c.dtype,
          .b_rows = {c.p, c.q, c.h * c.w * c.in, stride.h * c.w * c.in, stride.w * c.in}};
}

bool is_packed(const Convolution& c) { return is_product_of_some(c) && packed_product(c).pays(); }

std::size_t backward_weight_workspace(const Conv2dBackwardWeightArgs& args) {
  const Convolution c = convolution(args);
  if (is_tall(c)) return weight_product(c).workspace();
  if (is_packed(c)) return packed_product(c).workspace();
  return workspace_bytes(conv2d_backward_weight_slot, args);
}

void backward_weight(const Conv2dBackwardWeightArgs& args, std::span<std::byte> workspace) {
  const Convolution c = convolution(args);
  if (is_tall(c))
    weight_product(c).run(args.dy.as<float>(), args.x.as<float>(), args.dweight.as<float>(), workspace);
  else if (is_packed(c))
    packed_product(c).run(args.dy.data, args.x.data, args.dweight.as<float>(), workspace);
  else if (uses_winograd(c))
    winograd_backward_weight(c, args.dy.data, args.x.data, args.dweight.as<float>(), args.dbias.as<float>(),
                             workspace);
  else if (uses_patches(c))
    patch_backward_weight(c, args.dy.data, args.x.data, args.dweight.as<float>(), workspace);
  else if (const auto fast = operation(c))
    fast->run({args.dy.data, args.x.data, args.dweight.data, args.dbias.data}, workspace);
  else
    run_plain(conv2d_backward_weight_slot, args, workspace, c.dtype);
}

}  // namespace

void fill_fast_conv2d() {
  fill_both(conv2d_slot, forward, forward_workspace);
  fill_both(conv2d_backward_input_slot, backward_input, backward_input_workspace);
  fill_both(conv2d_backward_weight_slot, backward_weight, backward_weight_workspace);
}

}  // namespace reprise::cpu
