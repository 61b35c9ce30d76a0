// The formulas of ops/sgd_update.h, element by element.
#include "reprise/ops/sgd_update.h"

#include "reprise/core/parallel.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void step(const SGDArgs& args) {
  T* parameter = args.parameter.as<T>();
  const T* gradient = args.gradient.as<T>();
  T* buffer = args.momentum_buffer.as<T>();
  const T lr = static_cast<T>(args.lr), momentum = static_cast<T>(args.momentum),
          weight_decay = static_cast<T>(args.weight_decay);
  parallel_for(args.parameter.info->shape.numel(), 16384, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T g = gradient[i] + weight_decay * parameter[i];
      T direction = g;
      if (buffer) {
        buffer[i] = args.first ? g : momentum * buffer[i] + g;
        direction = args.nesterov ? g + momentum * buffer[i] : buffer[i];
      }
      parameter[i] -= lr * direction;
    }
  });
}

template <class T>
void run(const UpdateListArgs<SGDArgs>& args, std::span<std::byte>) {
  for (const SGDArgs& update : args.updates) {
    step<T>(update);
    if (update.rounded.info)
      convert(update.parameter.data, DType::f32, update.rounded.data, update.rounded.info->dtype,
              update.parameter.info->shape.numel());
  }
}

}  // namespace

void fill_sgd_update() {
  sgd_slot.fill_plain(DType::f32, {run<float>});
  sgd_slot.fill_plain(DType::f64, {run<double>});
}

}  // namespace reprise::cpu
