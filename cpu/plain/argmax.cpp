#include "reprise/ops/argmax.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

// T: the type computed in.
template <class T, class Stored>
void find_greatest(const ArgmaxArgs& args) {
  const Shape& shape = args.x.info->shape;
  const std::int64_t extent = shape[args.dim];
  const std::int64_t step = contiguous_strides(shape)[static_cast<std::size_t>(args.dim)];
  const Stored* x = args.x.as<Stored>();
  std::int64_t* y = args.y.as<std::int64_t>();
  parallel_for(args.y.info->shape.numel(), kGrain / extent + 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Stored* from = x + i / step * step * extent + i % step;
      T greatest = widen(from[0]);
      y[i] = 0;
      for (std::int64_t k = 1; k < extent; ++k) {
        const T candidate = widen(from[k * step]);
        const bool found_nan = greatest != greatest;
        if (found_nan || !(candidate > greatest || candidate != candidate)) continue;
        greatest = candidate;
        y[i] = k;
      }
    }
  });
}

template <class T>
void argmax(const ArgmaxArgs& args, std::span<std::byte>) {
  with_stored<T>(args.x.info->dtype, [&](auto stored) { find_greatest<T, decltype(stored)>(args); });
}

}  // namespace

void fill_argmax() {
  fill_any_floating(argmax_slot, argmax<float>, argmax<double>);
  fill_integers(argmax_slot, argmax<std::int32_t>, argmax<std::int64_t>);
}

}  // namespace reprise::cpu
