// Sums over the rows of [rows, columns], vectorized: of the columns themselves, or of what is computed from them.
// Compiled once for each instruction set, like vector_math.h.
#if defined(REPRISE_CPU_VECTOR_COLUMNS_H) == defined(HWY_TARGET_TOGGLE)
#ifdef REPRISE_CPU_VECTOR_COLUMNS_H
#undef REPRISE_CPU_VECTOR_COLUMNS_H
#else
#define REPRISE_CPU_VECTOR_COLUMNS_H
#endif

#include "reprise/core/parallel.h"
#include "reprise/cpu/column_chunks.h"
#include "reprise/cpu/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

// What a term of K sums returns. (A std::array of vectors would lose their attributes.)
template <std::size_t K>
struct Terms {
  Vec of[K];
};

// to[i] += from[i]
HWY_INLINE void add_to_doubles(const float* from, double* to, std::int64_t count) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const auto n = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + n <= count; i += n)
    hn::StoreU(hn::Add(hn::LoadU(d, to + i), hn::PromoteTo(d, hn::LoadU(half, from + i))), d, to + i);
  for (; i < count; ++i) to[i] += static_cast<double>(from[i]);
}

// Adds to sums[k * columns + c] for each k < K the sum over rows [first, last) of term(row, c, read)[k], a vector of
// columns c, c + 1, ...: in f32 over a few rows, in double beyond. `read` loads what belongs to these columns.
template <std::size_t K, class Term>
HWY_INLINE void add_rows(std::int64_t first, std::int64_t last, std::int64_t columns, double* sums,
                         Term term) {
  constexpr std::int64_t kRows = 32;   // that are summed in f32
  constexpr std::size_t kVectors = 4;  // side by side: sums that do not wait for each other
  const std::int64_t n = lanes();
  const auto flush = [&](Vec total, std::size_t k, std::int64_t c, std::int64_t count) HWY_ATTR {
    HWY_ALIGN std::array<float, kMaxLanes> all;
    hn::Store(total, F32(), all.data());
    add_to_doubles(all.data(), sums + static_cast<std::int64_t>(k) * columns + c, count);
  };
  for (std::int64_t begin = first; begin < last; begin += kRows) {
    const std::int64_t end = std::min(last, begin + kRows);
    std::int64_t c = 0;
    for (; c + static_cast<std::int64_t>(kVectors) * n <= columns;
         c += static_cast<std::int64_t>(kVectors) * n) {
      Vec totals[kVectors][K];
      for (auto& vector : totals)
        for (Vec& total : vector) total = hn::Zero(F32());
      for (std::int64_t row = begin; row < end; ++row)
        for (std::size_t v = 0; v < kVectors; ++v) {
          const auto terms = term(row, c + static_cast<std::int64_t>(v) * n, WholeVectors());
          for (std::size_t k = 0; k < K; ++k) totals[v][k] = hn::Add(totals[v][k], terms.of[k]);
        }
      for (std::size_t v = 0; v < kVectors; ++v)
        for (std::size_t k = 0; k < K; ++k) flush(totals[v][k], k, c + static_cast<std::int64_t>(v) * n, n);
    }
    for (; c < columns; c += n) {
      const std::int64_t count = std::min(n, columns - c);
      Vec totals[K];
      for (Vec& total : totals) total = hn::Zero(F32());
      for (std::int64_t row = begin; row < end; ++row) {
        const auto terms = count == n ? term(row, c, WholeVectors()) : term(row, c, LastLanes{count});
        for (std::size_t k = 0; k < K; ++k) totals[k] = hn::Add(totals[k], terms.of[k]);
      }
      for (std::size_t k = 0; k < K; ++k) flush(totals[k], k, c, count);
    }
  }
}

// The same over all rows, into `workspace` (ColumnChunks::workspace(K) bytes), whose first K * columns doubles become
// the sums.
template <std::size_t K, class Term>
HWY_INLINE double* column_sums(const ColumnChunks& chunks, std::span<std::byte> workspace, Term term) {
  auto* sums = reinterpret_cast<double*>(workspace.data());
  const std::int64_t width = static_cast<std::int64_t>(K) * chunks.columns;
  parallel_for(chunks.count, 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      std::fill_n(sums + chunk * width, width, 0.0);
      const std::int64_t first = chunk * chunks.rows_per_chunk;
      add_rows<K>(first, std::min(chunks.rows, first + chunks.rows_per_chunk), chunks.columns,
                  sums + chunk * width, term);
    }
    hwy::FlushStream();  // of what term may have stored past the caches
  });
  for (std::int64_t chunk = 1; chunk < chunks.count; ++chunk)
    for (std::int64_t i = 0; i < width; ++i) sums[i] += sums[chunk * width + i];
  return sums;
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
