// Both products of a linear layer by oneDNN, or where it is slow by our own; the plain loops where it has nothing fast.
#include "reprise/ops/linear.h"

#include <algorithm>

#include "reprise/cpu/dnnl_product.h"
#include "reprise/cpu/fast_slots.h"
#include "reprise/cpu/packed_product.h"
#include "reprise/cpu/plain_fallback.h"

namespace reprise::cpu {
namespace {

std::shared_ptr<const DnnlOperation> primitive(const LinearArgs& args) {
  const std::int64_t in = args.w.info->shape[-1], out = args.w.info->shape[0];
  if (in == 0) return nullptr;
  return product_primitive({.m = args.x.info->shape.numel() / in,
                            .n = out,
                            .k = in,
                            .transpose_b = true,
                            .bias = args.b.info != nullptr,
                            .dtype = args.x.info->dtype,
                            .result = args.y.info->dtype});
}

std::size_t linear_workspace(const LinearArgs& args) {
  const auto product = primitive(args);
  return product ? product->workspace() : plain_workspace(linear_slot, args, args.x.info->dtype);
}

void linear(const LinearArgs& args, std::span<std::byte> workspace) {
  const auto product = primitive(args);
  if (!product) return run_plain(linear_slot, args, workspace, args.x.info->dtype);
  product->run({args.x.data, args.w.data, args.y.data, args.b.data}, workspace);
}

std::shared_ptr<const DnnlOperation> primitive(const LinearBackwardWeightArgs& args) {
  const std::int64_t in = args.dw.info->shape[1], out = args.dw.info->shape[0];
  if (in == 0) return nullptr;
  return product_primitive({.m = out,
                            .n = in,
                            .k = args.x.info->shape.numel() / in,
                            .transpose_a = true,
                            .dtype = args.x.info->dtype,
                            .result = args.dw.info->dtype});
}

PackedProduct packed_product(const LinearBackwardWeightArgs& args) {
  const std::int64_t in = args.dw.info->shape[1], out = args.dw.info->shape[0];
  return {.m = out,
          .n = in,
          .k = args.x.info->shape.numel() / std::max<std::int64_t>(in, 1),
          .dtype = args.x.info->dtype};
}

std::size_t linear_backward_weight_workspace(const LinearBackwardWeightArgs& args) {
  if (const PackedProduct packed = packed_product(args); packed.pays()) return packed.workspace();
  const auto product = primitive(args);
  return product ? product->workspace()
                 : plain_workspace(linear_backward_weight_slot, args, args.x.info->dtype);
}

void linear_backward_weight(const LinearBackwardWeightArgs& args, std::span<std::byte> workspace) {
  if (const PackedProduct packed = packed_product(args); packed.pays())
    return packed.run(args.dy.data, args.x.data, args.dw.as<float>(), workspace);
  const auto product = primitive(args);
  if (!product) return run_plain(linear_backward_weight_slot, args, workspace, args.x.info->dtype);
  product->run({args.dy.data, args.x.data, args.dw.data}, workspace);
}

}  // namespace

void fill_fast_linear() {
  fill_both(linear_slot, linear, linear_workspace);
  fill_both(linear_backward_weight_slot, linear_backward_weight, linear_backward_weight_workspace);
}

}  // namespace reprise::cpu
