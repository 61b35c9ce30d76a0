#include "reprise/ops/column_sum.h"

#include "reprise/cpu/plain/channels.h"
#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void column_sum(const ColumnSumArgs& args, std::span<std::byte>) {
  const std::int64_t columns = args.y.info->shape[0], rows = args.x.info->shape.without(-1).numel();
  const T* x = args.x.as<T>();
  T* y = args.y.as<T>();
  for_each_channel_block(rows, columns, [&](std::int64_t first, std::int64_t count) {
    const ChannelSums sums = sum_rows(rows, first, count, [&](std::int64_t row, std::int64_t c) {
      return static_cast<double>(x[row * columns + c]);
    });
    for (std::int64_t c = 0; c < count; ++c) y[first + c] = static_cast<T>(sums[static_cast<std::size_t>(c)]);
  });
}

}  // namespace

void fill_column_sum() {
  fill_floating(column_sum_slot, column_sum<float>, column_sum<double>);
  fill_widened<column_sum_slot, &ColumnSumArgs::x>();
}

}  // namespace reprise::cpu
