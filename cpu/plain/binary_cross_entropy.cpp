#include "reprise/ops/binary_cross_entropy.h"

#include <cmath>

#include "reprise/cpu/plain/chunked_sum.h"
#include "reprise/cpu/plain/half.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

constexpr std::int64_t kChunk = 1024;

template <class T>
void binary_cross_entropy(const BinaryCrossEntropyArgs& args, std::span<std::byte> workspace) {
  const std::int64_t count = args.logits.info->shape.numel();
  const T *logits = args.logits.as<T>(), *targets = args.targets.as<T>();
  const double total = chunked_sum(count, kChunk, workspace, [=](std::int64_t i) {
    const auto x = static_cast<double>(logits[i]), t = static_cast<double>(targets[i]);
    return std::max(x, 0.0) - x * t + std::log1p(std::exp(-std::abs(x)));
  });
  args.loss.as<T>()[0] = static_cast<T>(total / static_cast<double>(count));
}

std::size_t binary_cross_entropy_workspace(const BinaryCrossEntropyArgs& args) {
  return chunked_sum_workspace(args.logits.info->shape.numel(), kChunk);
}

}  // namespace

void fill_binary_cross_entropy() {
  binary_cross_entropy_slot.fill_plain(DType::f32,
                                       {binary_cross_entropy<float>, binary_cross_entropy_workspace});
  binary_cross_entropy_slot.fill_plain(DType::f64,
                                       {binary_cross_entropy<double>, binary_cross_entropy_workspace});
  fill_widened<binary_cross_entropy_slot, &BinaryCrossEntropyArgs::logits,
               &BinaryCrossEntropyArgs::targets>();
}

}  // namespace reprise::cpu
