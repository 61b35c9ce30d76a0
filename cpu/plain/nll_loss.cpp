#include "reprise/ops/nll_loss.h"

#include <algorithm>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void nll_loss(const NllLossArgs& args, std::span<std::byte>) {
  const std::int64_t classes = args.log_probabilities.info->shape[-1],
                     positions = args.targets.info->shape.numel();
  const T* x = args.log_probabilities.as<T>();
  const auto* targets = args.targets.as<std::int64_t>();
  double total = 0;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < positions; ++i) {
    if (targets[i] == args.ignore_index) continue;
    total -= static_cast<double>(x[i * classes + targets[i]]);
    ++count;
  }
  args.loss.as<T>()[0] = static_cast<T>(total / static_cast<double>(count));
}

template <class T>
void nll_loss_backward(const NllLossBackwardArgs& args, std::span<std::byte>) {
  const std::int64_t classes = args.dx.info->shape[-1], positions = args.targets.info->shape.numel();
  const auto* targets = args.targets.as<std::int64_t>();
  T* dx = args.dx.as<T>();
  const std::int64_t count = positions - std::count(targets, targets + positions, args.ignore_index);
  const T value = static_cast<T>(-static_cast<double>(*args.dloss.as<T>()) / static_cast<double>(count));
  std::fill(dx, dx + positions * classes, T{0});
  for (std::int64_t i = 0; i < positions; ++i)
    if (targets[i] != args.ignore_index) dx[i * classes + targets[i]] = value;
}

}  // namespace

void fill_nll_loss() {
  fill_floating(nll_loss_slot, nll_loss<float>, nll_loss<double>);
  fill_floating(nll_loss_backward_slot, nll_loss_backward<float>, nll_loss_backward<double>);
  fill_widened<nll_loss_slot, &NllLossArgs::log_probabilities>();
}

}  // namespace reprise::cpu
