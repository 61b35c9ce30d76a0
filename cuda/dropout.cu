#include "reprise/ops/dropout.h"

#include "reprise/cuda/philox.cuh"
#include "reprise/cuda/slots.h"

namespace reprise::cuda {
namespace {

// Four elements share a block of random words.
template <class T>
__global__ void drop_elements(std::int64_t count, DeviceRandom random, float p, double scale, const T* x,
                              T* y) {
  using C = Computed<T>;
  const std::int64_t block = thread_number();
  if (4 * block >= count) return;
  const RandomBlock words =
      random_block(random.seed(), random.offset() / 4 + static_cast<std::uint64_t>(block));
  for (int k = 0; k < 4; ++k) {
    const std::int64_t i = 4 * block + k;
    if (i < count)
      y[i] = narrow<T>(uniform_of(words.words[k]) >= p ? widen(x[i]) * static_cast<C>(scale) : C{0});
  }
}

void dropout(const DropoutArgs& args, std::span<std::byte>) {
  const std::int64_t count = args.x.info->shape.numel();
  const Context& context = use(args.x.info->device);
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch_each("dropout", context, divide_up(count, 4), drop_elements<T>, count,
                device_random(context, args.random), static_cast<float>(args.p), 1 / (1 - args.p),
                args.x.as<T>(), args.y.as<T>());
  });
}

}  // namespace

void fill_dropout() { fill_any_floating(dropout_slot, dropout); }

}  // namespace reprise::cuda
