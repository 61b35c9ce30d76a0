// The formulas of ops/adam_update.h, element by element.
#include "reprise/ops/adam_update.h"

#include <cmath>

#include "reprise/core/parallel.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void step(const AdamArgs& args) {
  T* parameter = args.parameter.as<T>();
  const T* gradient = args.gradient.as<T>();
  T* m = args.m.as<T>();
  T* v = args.v.as<T>();
  const bool decoupled = args.weight_decay_kind == WeightDecay::decoupled;
  const T decay = static_cast<T>(decoupled ? 0.0 : args.weight_decay);
  const T shrink = static_cast<T>(decoupled ? 1.0 - args.lr * args.weight_decay : 1.0);
  const T beta1 = static_cast<T>(args.beta1), one_minus_beta1 = static_cast<T>(1.0 - args.beta1),
          beta2 = static_cast<T>(args.beta2), one_minus_beta2 = static_cast<T>(1.0 - args.beta2),
          rate = static_cast<T>(args.lr / args.correction1),
          root = static_cast<T>(std::sqrt(args.correction2)), eps = static_cast<T>(args.eps);
  parallel_for(args.parameter.info->shape.numel(), 16384, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T g = gradient[i] + decay * parameter[i];
      m[i] = beta1 * m[i] + one_minus_beta1 * g;
      v[i] = beta2 * v[i] + one_minus_beta2 * g * g;
      parameter[i] = shrink * parameter[i] - rate * m[i] / (std::sqrt(v[i]) / root + eps);
    }
  });
}

template <class T>
void run(const UpdateListArgs<AdamArgs>& args, std::span<std::byte>) {
  for (const AdamArgs& update : args.updates) {
    step<T>(update);
    if (update.rounded.info)
      convert(update.parameter.data, DType::f32, update.rounded.data, update.rounded.info->dtype,
              update.parameter.info->shape.numel());
  }
}

}  // namespace

void fill_adam_update() {
  adam_slot.fill_plain(DType::f32, {run<float>});
  adam_slot.fill_plain(DType::f64, {run<double>});
}

}  // namespace reprise::cpu
