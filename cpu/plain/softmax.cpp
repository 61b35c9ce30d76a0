#include "reprise/ops/softmax.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

// Calls body(outer, first) for each line along the middle of [outer, extent, inner]: its elements are
// first + i * inner.
template <class Args, class Body>
void for_each_line(const Args& args, Body body) {
  parallel_for(args.outer * args.inner, grain_for(8 * args.extent),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t line = begin; line < end; ++line)
                   body(line / args.inner, line / args.inner * args.extent * args.inner + line % args.inner);
               });
}

// The elements that a line sees; the others are masked.
template <class Args>
std::int64_t seen_by(const Args& args, std::int64_t outer) {
  return args.causal_rows > 0 ? std::min(args.extent, outer % args.causal_rows + 1) : args.extent;
}

template <class T>
void softmax(const SoftmaxArgs& args, std::span<std::byte>) {
  const std::int64_t step = args.inner;
  for_each_line(args, [&](std::int64_t outer, std::int64_t first) {
    const std::int64_t seen = seen_by(args, outer);
    const T* x = args.x.as<T>() + first;
    T* y = args.y.as<T>() + first;
    T highest = seen > 0 ? x[0] : T{0};
    for (std::int64_t i = 1; i < seen; ++i) highest = std::max(highest, x[i * step]);
    double sum = 0;
    for (std::int64_t i = 0; i < seen; ++i) {
      const T value = std::exp(x[i * step] - highest);
      sum += static_cast<double>(value);
      if (!args.log) y[i * step] = value;
    }
    const T scale = static_cast<T>(1.0 / sum), log_sum = static_cast<T>(std::log(sum));
    for (std::int64_t i = 0; i < seen; ++i)
      y[i * step] = args.log ? x[i * step] - highest - log_sum : y[i * step] * scale;
    for (std::int64_t i = seen; i < args.extent; ++i) y[i * step] = 0;
  });
}

template <class T>
void softmax_backward(const SoftmaxBackwardArgs& args, std::span<std::byte>) {
  const std::int64_t step = args.inner;
  for_each_line(args, [&](std::int64_t outer, std::int64_t first) {
    const std::int64_t seen = seen_by(args, outer);
    const T *dy = args.dy.as<T>() + first, *y = args.y.as<T>() + first;
    T* dx = args.dx.as<T>() + first;
    double sum = 0;
    for (std::int64_t i = 0; i < seen; ++i)
      sum += static_cast<double>(dy[i * step]) * (args.log ? 1.0 : static_cast<double>(y[i * step]));
    const T total = static_cast<T>(sum);
    for (std::int64_t i = 0; i < seen; ++i)
      dx[i * step] =
          args.log ? dy[i * step] - std::exp(y[i * step]) * total : y[i * step] * (dy[i * step] - total);
    for (std::int64_t i = seen; i < args.extent; ++i) dx[i * step] = 0;
  });
}

}  // namespace

void fill_softmax() {
  fill_floating(softmax_slot, softmax<float>, softmax<double>);
  fill_floating(softmax_backward_slot, softmax_backward<float>, softmax_backward<double>);
  fill_widened<softmax_slot, &SoftmaxArgs::x, &SoftmaxArgs::y>();
  fill_widened<softmax_backward_slot, &SoftmaxBackwardArgs::dy, &SoftmaxBackwardArgs::y,
               &SoftmaxBackwardArgs::dx>();
}

}  // namespace reprise::cpu
