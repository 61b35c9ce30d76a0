#include "reprise/ops/sum.h"

#include <fmt/format.h>

#include "reprise/ops/elementwise.h"
#include "reprise/ops/mul.h"
#include "reprise/ops/reduced_dims.h"
#include "reprise/ops/reshape.h"

namespace reprise {
namespace {

double count_of(const ReducedDims& dims, const Shape& x) {
  double count = 1;
  for (int d = 0; d < x.rank(); ++d)
    if (dims.contains(d)) count *= static_cast<double>(x.extents()[static_cast<std::size_t>(d)]);
  return count;
}

// sum and mean differ by a factor.
struct Reduce : KernelOp<SumArgs> {
  ReducedDims dims;
  bool keepdim;
  Reduce(const char* op, ReducedDims d, bool keep) : KernelOp(op, sum_slot), dims(d), keepdim(keep) {}
  virtual double scale(const Shape& x) const = 0;
  std::string attributes() const override { return "dims=" + dims.text() + (keepdim ? ", keepdim" : ""); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const Shape& x = in[0].shape;
    return {{keepdim ? dims.kept(x) : dims.removed(x), summed_dtype(in[0].dtype), in[0].device}};
  }
  SumArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    const Shape& x = in[0].info->shape;
    return {in[0], out[0], dims.kept(x), scale(x)};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Shape& x = context.infos[0].shape;
    Tensor gradient = gradients[0];
    if (const double factor = scale(x); factor != 1) gradient = std::move(gradient) * factor;
    return tensors(broadcast_to(reshape(std::move(gradient), dims.kept(x)), x));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[0].shape.numel());
  }
};

struct Sum final : Reduce {
  Sum(ReducedDims d, bool keep) : Reduce("sum", d, keep) {}
  double scale(const Shape&) const override { return 1; }
};

struct Mean final : Reduce {
  Mean(ReducedDims d, bool keep) : Reduce("mean", d, keep) {}
  double scale(const Shape& x) const override { return 1 / count_of(dims, x); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    if (!is_floating(in[0].dtype))
      throw UserError(fmt::format("mean: the mean of {} is no {}: convert with .to(DType::f32)",
                                  to_string(in[0]), to_string(in[0].dtype)));
    return Reduce::infer(in);
  }
};

}  // namespace

Tensor sum(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Sum>(ReducedDims(), false);
  return record(op, std::move(x));
}
Tensor sum(Tensor x, Dims dims, ReduceOptions options) {
  const ReducedDims reduced("sum", dims, x.shape().rank());
  return record(Sum(reduced, options.keepdim), std::move(x));
}
Tensor mean(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Mean>(ReducedDims(), false);
  return record(op, std::move(x));
}
Tensor mean(Tensor x, Dims dims, ReduceOptions options) {
  const ReducedDims reduced("mean", dims, x.shape().rank());
  return record(Mean(reduced, options.keepdim), std::move(x));
}

}  // namespace reprise
