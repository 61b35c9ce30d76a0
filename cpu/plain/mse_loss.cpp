#include "reprise/ops/mse_loss.h"

#include "reprise/cpu/plain/chunked_sum.h"
#include "reprise/cpu/plain/half.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

constexpr std::int64_t kChunk = 8192;

template <class T>
void mse_loss(const MseLossArgs& args, std::span<std::byte> workspace) {
  const std::int64_t count = args.a.info->shape.numel();
  const T *a = args.a.as<T>(), *b = args.b.as<T>();
  const double total = chunked_sum(count, kChunk, workspace, [=](std::int64_t i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    return difference * difference;
  });
  args.loss.as<T>()[0] = static_cast<T>(total / static_cast<double>(count));
}

std::size_t mse_loss_workspace(const MseLossArgs& args) {
  return chunked_sum_workspace(args.a.info->shape.numel(), kChunk);
}

}  // namespace

void fill_mse_loss() {
  mse_loss_slot.fill_plain(DType::f32, {mse_loss<float>, mse_loss_workspace});
  mse_loss_slot.fill_plain(DType::f64, {mse_loss<double>, mse_loss_workspace});
  fill_widened<mse_loss_slot, &MseLossArgs::a, &MseLossArgs::b>();
}

}  // namespace reprise::cpu
