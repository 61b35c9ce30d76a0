// The optimizers' steps (formulas: ops/sgd_update.h, ops/adam_update.h), vectorized, with the elements of all parameters
// shared among threads as one long array.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/updates.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "reprise/core/parallel.h"
#include "reprise/cpu/vector_math.h"
#include "reprise/ops/adam_update.h"
#include "reprise/ops/sgd_update.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

inline constexpr std::int64_t kGrain = 32768;  // elements worth a thread

void round_part(const View& master, const View& rounded, std::int64_t begin, std::int64_t end) {
  const float* from = master.as<float>();
  if (rounded.info->dtype == DType::bf16)
    map(from + begin, rounded.as<BFloat16>() + begin, end - begin, [](Vec v) HWY_ATTR { return v; });
  else
    for (std::int64_t i = begin; i < end; ++i) rounded.as<Float16>()[i] = to_float16(from[i]);
}

// Calls step(update, begin, end) for parts of each parameter, and rounds them where they are masters.
template <class Args, class Step>
void for_each_part(std::span<const Args> updates, Step step) {
  std::int64_t total = 0;
  for (const Args& update : updates) total += update.parameter.info->shape.numel();
  parallel_for(total, kGrain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    std::int64_t first = 0;  // of this parameter, among all elements
    for (const Args& update : updates) {
      const std::int64_t count = update.parameter.info->shape.numel();
      const std::int64_t from = std::max(begin - first, std::int64_t{0}), to = std::min(end - first, count);
      if (from < to) {
        step(update, from, to);
        if (update.rounded.info) round_part(update.parameter, update.rounded, from, to);
      }
      first += count;
    }
  });
}

void sgd_step(const SGDArgs& args, std::int64_t begin, std::int64_t end) {
  float *parameter = args.parameter.as<float>() + begin, *buffer = args.momentum_buffer.as<float>();
  const float* gradient = args.gradient.as<float>() + begin;
  const std::int64_t count = end - begin;
  const Vec lr = set(static_cast<float>(args.lr)), momentum = set(static_cast<float>(args.momentum)),
            decay = set(static_cast<float>(args.weight_decay));
  const auto g = [=](std::int64_t i, auto read)
                     HWY_ATTR { return hn::MulAdd(decay, read(parameter + i), read(gradient + i)); };
  if (!buffer) {
    map_places(parameter, count, [=](std::int64_t i, auto read) HWY_ATTR {
      return hn::NegMulAdd(lr, g(i, read), read(parameter + i));
    });
    return;
  }
  buffer += begin;
  // A piece at a time, so that what was written is still near when it is read again.
  constexpr std::int64_t kPiece = 1024;
  for (std::int64_t first = 0; first < count; first += kPiece) {
    const std::int64_t length = std::min(kPiece, count - first);
    if (args.first)
      map_places(buffer + first, length,
                 [=](std::int64_t i, auto read) HWY_ATTR { return g(first + i, read); });
    else
      map_places(buffer + first, length, [=](std::int64_t i, auto read) HWY_ATTR {
        return hn::MulAdd(momentum, read(buffer + first + i), g(first + i, read));
      });
    if (args.nesterov)
      map_places(parameter + first, length, [=](std::int64_t i, auto read) HWY_ATTR {
        const Vec direction = hn::MulAdd(momentum, read(buffer + first + i), g(first + i, read));
        return hn::NegMulAdd(lr, direction, read(parameter + first + i));
      });
    else
      map_places(parameter + first, length, [=](std::int64_t i, auto read) HWY_ATTR {
        return hn::NegMulAdd(lr, read(buffer + first + i), read(parameter + first + i));
      });
  }
}

void adam_step(const AdamArgs& args, std::int64_t begin, std::int64_t end) {
  float *parameter = args.parameter.as<float>() + begin, *m = args.m.as<float>() + begin,
        *v = args.v.as<float>() + begin;
  const float* gradient = args.gradient.as<float>() + begin;
  const bool decoupled = args.weight_decay_kind == WeightDecay::decoupled;
  const auto constant = [](double value) HWY_ATTR { return set(static_cast<float>(value)); };
  const Vec decay = constant(decoupled ? 0.0 : args.weight_decay);
  const Vec shrink = constant(decoupled ? 1.0 - args.lr * args.weight_decay : 1.0);
  const Vec beta1 = constant(args.beta1), one_minus_beta1 = constant(1.0 - args.beta1);
  const Vec beta2 = constant(args.beta2), one_minus_beta2 = constant(1.0 - args.beta2);
  const Vec rate = constant(args.lr / args.correction1), eps = constant(args.eps);
  const Vec inverse_root = constant(1.0 / std::sqrt(args.correction2));
  const auto step = [=](float* p, const float* g_from, float* m_to, float* v_to, auto read,
                        auto write) HWY_ATTR {
    const Vec w = read(p), g = hn::MulAdd(decay, w, read(g_from));
    const Vec new_m = hn::MulAdd(beta1, read(m_to), hn::Mul(one_minus_beta1, g));
    const Vec new_v = hn::MulAdd(beta2, read(v_to), hn::Mul(one_minus_beta2, hn::Mul(g, g)));
    write(new_m, m_to);
    write(new_v, v_to);
    const Vec change = hn::Div(hn::Mul(rate, new_m), hn::MulAdd(hn::Sqrt(new_v), inverse_root, eps));
    write(hn::MulSub(shrink, w, change), p);
  };
  const std::int64_t n = lanes(), count = end - begin;
  std::int64_t i = 0;
  for (; i + n <= count; i += n)
    step(parameter + i, gradient + i, m + i, v + i, WholeVectors(),
         [](Vec x, float* to) HWY_ATTR { store(x, to); });
  if (i < count)
    step(parameter + i, gradient + i, m + i, v + i, LastLanes{count - i},
         [=](Vec x, float* to) HWY_ATTR { store_part(x, to, count - i); });
}

void sgd(const UpdateListArgs<SGDArgs>& args, std::span<std::byte>) { for_each_part(args.updates, sgd_step); }
void adam(const UpdateListArgs<AdamArgs>& args, std::span<std::byte>) {
  for_each_part(args.updates, adam_step);
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(sgd);
HWY_EXPORT(adam);

void fill_fast_updates() {
  fill(sgd_slot, HWY_DYNAMIC_DISPATCH(sgd));
  fill(adam_slot, HWY_DYNAMIC_DISPATCH(adam));
}

}  // namespace reprise::cpu
#endif
