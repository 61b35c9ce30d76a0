#include "reprise/ops/linear.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void linear(const LinearArgs& args, std::span<std::byte>) {
  const std::int64_t out = args.w.info->shape[0], in = args.w.info->shape[1];
  const std::int64_t rows = args.x.info->shape.without(-1).numel();
  const T *x = args.x.as<T>(), *w = args.w.as<T>(), *b = args.b.as<T>();
  T* y = args.y.as<T>();
  parallel_for(rows, grain_for(in * out), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t o = 0; o < out; ++o) y[row * out + o] = b ? b[o] : T{0};
    add_product<T>({x + begin * in, in, 1}, {w, 1, in}, y + begin * out, out, end - begin, in, out);
  });
}

template <class T>
void linear_backward_weight(const LinearBackwardWeightArgs& args, std::span<std::byte>) {
  const std::int64_t out = args.dw.info->shape[0], in = args.dw.info->shape[1];
  const std::int64_t rows = args.x.info->shape.without(-1).numel();
  const T *dy = args.dy.as<T>(), *x = args.x.as<T>();
  T* dw = args.dw.as<T>();
  parallel_for(out, grain_for(rows * in), [&](std::int64_t begin, std::int64_t end) {
    std::fill(dw + begin * in, dw + end * in, T{0});
    add_product<T>({dy + begin, 1, out}, {x, in, 1}, dw + begin * in, in, end - begin, rows, in);
  });
}

}  // namespace

void fill_linear() {
  fill_floating(linear_slot, linear<float>, linear<double>);
  fill_floating(linear_backward_weight_slot, linear_backward_weight<float>, linear_backward_weight<double>);
  fill_widened<linear_slot, &LinearArgs::x, &LinearArgs::w, &LinearArgs::b, &LinearArgs::y>();
  fill_widened<linear_backward_weight_slot, &LinearBackwardWeightArgs::dy, &LinearBackwardWeightArgs::x>();
}

}  // namespace reprise::cpu
