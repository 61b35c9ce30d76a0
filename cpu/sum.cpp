// Sums over some dimensions, in double. Vectorized if the dimensions that are summed lie together; others go to the plain
// loops. column_sum adds a few rows in f32 first. The order of additions follows from the shape.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/sum.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include "reprise/cpu/plain_fallback.h"
#include "reprise/cpu/vector_columns.h"
#include "reprise/ops/column_sum.h"
#include "reprise/ops/sum_to.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

// [outer, reduced, inner], summed over the middle.
struct MiddleSum {
  std::int64_t outer = 1, reduced = 1, inner = 1;
  bool together = true;  // the dimensions that are summed

  MiddleSum(const Shape& x, const Shape& kept) {
    for (std::size_t d = 0; d < x.extents().size(); ++d) {
      const std::int64_t extent = x.extents()[d];
      if (extent == 1) continue;
      if (kept.extents()[d] == extent) {
        (reduced == 1 ? outer : inner) *= extent;
      } else {
        if (inner != 1) together = false;
        reduced *= extent;
      }
    }
  }
};

using F64 = hn::ScalableTag<double>;

// As many elements as a vector has doubles.
HWY_INLINE hn::Vec<F64> load_doubles(const float* from) {
  return hn::PromoteTo(F64(), hn::LoadU(hn::Rebind<float, F64>(), from));
}
HWY_INLINE hn::Vec<F64> load_doubles(const BFloat16* from) {
  const hn::Rebind<std::uint32_t, F64> wide;
  const auto bits = hn::PromoteTo(wide, hn::LoadU(hn::Rebind<std::uint16_t, F64>(), bits_of(from)));
  return hn::PromoteTo(F64(), hn::BitCast(hn::Rebind<float, F64>(), hn::ShiftLeft<16>(bits)));
}

// The sum of elements that lie together.
template <class T>
HWY_INLINE double sum_of(const T* x, std::int64_t count) {
  const auto n = static_cast<std::int64_t>(hn::Lanes(F64()));
  auto a = hn::Zero(F64()), b = a, c = a, d = a;  // side by side: additions that do not wait for each other
  std::int64_t i = 0;
  for (; i + 4 * n <= count; i += 4 * n) {
    a = hn::Add(a, load_doubles(x + i));
    b = hn::Add(b, load_doubles(x + i + n));
    c = hn::Add(c, load_doubles(x + i + 2 * n));
    d = hn::Add(d, load_doubles(x + i + 3 * n));
  }
  for (; i + n <= count; i += n) a = hn::Add(a, load_doubles(x + i));
  double total = hn::GetLane(hn::SumOfLanes(F64(), hn::Add(hn::Add(a, b), hn::Add(c, d))));
  for (; i < count; ++i) total += static_cast<double>(as_float(x[i]));
  return total;
}

// Adds `rows` rows, `step` elements apart, to the sums of their columns. Some rows at a time, so that their pages stay near
// while all columns pass.
template <class T>
HWY_INLINE void add_to_columns(const T* x, std::int64_t step, std::int64_t rows, std::int64_t columns,
                               double* sums) {
  constexpr std::int64_t kRows = 32;
  const auto n = static_cast<std::int64_t>(hn::Lanes(F64()));
  for (std::int64_t first = 0; first < rows; first += kRows) {
    const T *begin = x + first * step, *end = x + std::min(rows, first + kRows) * step;
    std::int64_t c = 0;
    for (; c + 4 * n <= columns; c += 4 * n) {
      auto s0 = hn::LoadU(F64(), sums + c), s1 = hn::LoadU(F64(), sums + c + n),
           s2 = hn::LoadU(F64(), sums + c + 2 * n), s3 = hn::LoadU(F64(), sums + c + 3 * n);
      for (const T* row = begin; row != end; row += step) {
        s0 = hn::Add(s0, load_doubles(row + c));
        s1 = hn::Add(s1, load_doubles(row + c + n));
        s2 = hn::Add(s2, load_doubles(row + c + 2 * n));
        s3 = hn::Add(s3, load_doubles(row + c + 3 * n));
      }
      hn::StoreU(s0, F64(), sums + c);
      hn::StoreU(s1, F64(), sums + c + n);
      hn::StoreU(s2, F64(), sums + c + 2 * n);
      hn::StoreU(s3, F64(), sums + c + 3 * n);
    }
    for (; c + n <= columns; c += n) {
      auto sum = hn::LoadU(F64(), sums + c);
      for (const T* row = begin; row != end; row += step) sum = hn::Add(sum, load_doubles(row + c));
      hn::StoreU(sum, F64(), sums + c);
    }
    for (const T* row = begin; c < columns && row != end; row += step)
      for (std::int64_t i = c; i < columns; ++i) sums[i] += static_cast<double>(as_float(row[i]));
  }
}

HWY_INLINE void write(double value, float* to) { *to = static_cast<float>(value); }
HWY_INLINE void write(double value, BFloat16* to) { *to = to_bfloat16(static_cast<float>(value)); }

template <class T>
void sum_elements(const SumArgs& args, std::span<std::byte> workspace) {
  const Shape& shape = args.x.info->shape;
  const MiddleSum all(shape, args.kept);
  const T* x = args.x.as<T>();
  T* y = args.y.as<T>();
  constexpr std::int64_t kGrain = 16384;  // elements worth a thread
  constexpr std::int64_t kMaxChunks = 64, kBlock = 64;
  if (shape.numel() == 0 || !all.together) {
    run_plain(sum_slot, args, workspace, dtype_of<T>);
  } else if (all.inner == 1 && all.outer == 1) {
    const std::int64_t length = std::max(kGrain, (all.reduced + kMaxChunks - 1) / kMaxChunks);
    const std::int64_t chunks = (all.reduced + length - 1) / length;
    std::array<double, kMaxChunks> partial;
    parallel_for(chunks, 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      for (std::int64_t i = begin; i < end; ++i)
        partial[static_cast<std::size_t>(i)] =
            sum_of(x + i * length, std::min(length, all.reduced - i * length));
    });
    double total = 0;
    for (std::int64_t i = 0; i < chunks; ++i) total += partial[static_cast<std::size_t>(i)];
    write(total * args.scale, y);
  } else if (all.inner == 1) {
    parallel_for(all.outer, kGrain / all.reduced + 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      for (std::int64_t i = begin; i < end; ++i)
        write(sum_of(x + i * all.reduced, all.reduced) * args.scale, y + i);
    });
  } else {  // blocks of columns, each by one thread
    const std::int64_t blocks = (all.inner + kBlock - 1) / kBlock;
    const std::int64_t grain = kGrain / (all.reduced * std::min(kBlock, all.inner)) + 1;
    parallel_for(all.outer * blocks, grain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t outer = i / blocks, first = i % blocks * kBlock;
        const std::int64_t columns = std::min(kBlock, all.inner - first);
        const T* from = x + outer * all.reduced * all.inner + first;
        std::array<double, kBlock> sums = {};
        add_to_columns(from, all.inner, all.reduced, columns, sums.data());
        for (std::int64_t c = 0; c < columns; ++c)
          write(sums[static_cast<std::size_t>(c)] * args.scale, y + outer * all.inner + first + c);
      }
    });
  }
}

void sum(const SumArgs& args, std::span<std::byte> workspace) {
  with_element(args.x.info->dtype, [&](auto element) { sum_elements<decltype(element)>(args, workspace); });
}

// y is f32.
template <class T>
void sum_columns(const ColumnSumArgs& args, std::span<std::byte> workspace) {
  const std::int64_t columns = args.y.info->shape[0];
  if (args.x.info->shape.numel() == 0) return run_plain(column_sum_slot, args, workspace, dtype_of<T>);
  const T* x = args.x.as<T>();
  const ColumnChunks chunks(args.x.info->shape.numel() / columns, columns);
  const double* sums = column_sums<1>(chunks, workspace,
                                      [&](std::int64_t row, std::int64_t c, auto read)
                                          HWY_ATTR { return Terms<1>{{read(x + row * columns + c)}}; });
  for (std::int64_t c = 0; c < columns; ++c) args.y.as<float>()[c] = static_cast<float>(sums[c]);
}
void column_sum(const ColumnSumArgs& args, std::span<std::byte> workspace) {
  with_element(args.x.info->dtype, [&](auto element) { sum_columns<decltype(element)>(args, workspace); });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(sum);
HWY_EXPORT(column_sum);

namespace {

std::size_t column_sum_workspace(const ColumnSumArgs& args) {
  const std::int64_t columns = args.y.info->shape[0], count = args.x.info->shape.numel();
  if (count == 0) return plain_workspace(column_sum_slot, args, args.x.info->dtype);
  return ColumnChunks(count / columns, columns).workspace(1);
}

}  // namespace

void fill_fast_sum() {
  fill_both(sum_slot, HWY_DYNAMIC_DISPATCH(sum));
  fill_both(column_sum_slot, HWY_DYNAMIC_DISPATCH(column_sum), column_sum_workspace);
}

}  // namespace reprise::cpu
#endif
