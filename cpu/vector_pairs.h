// bf16 matrices on their way into pair products (pair_product.h). Compiled once for each instruction set, like vector_math.h.
#if defined(REPRISE_CPU_VECTOR_PAIRS_H) == defined(HWY_TARGET_TOGGLE)
#ifdef REPRISE_CPU_VECTOR_PAIRS_H
#undef REPRISE_CPU_VECTOR_PAIRS_H
#else
#define REPRISE_CPU_VECTOR_PAIRS_H
#endif

#include "reprise/cpu/vector_product.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

using U32 = hn::RebindToUnsigned<F32>;

// A copy whose rows are to.row long, to.row * padded_rows in all; zero beyond what is copied.
HWY_INLINE void pad(Rows<const BFloat16> from, std::int64_t rows, std::int64_t columns, Rows<BFloat16> to,
                    std::int64_t padded_rows) {
  const auto bytes = static_cast<std::size_t>(columns) * sizeof(BFloat16);
  for (std::int64_t r = 0; r < rows; ++r) {
    std::memcpy(to.data + r * to.row, from.data + r * from.row, bytes);
    std::fill(to.data + r * to.row + columns, to.data + (r + 1) * to.row, BFloat16{});
  }
  std::fill(to.data + rows * to.row, to.data + padded_rows * to.row, BFloat16{});
}

HWY_INLINE hn::Vec<U32> pairs_of(hn::Vec<U32> lower, hn::Vec<U32> upper) {
  return hn::Or(lower, hn::ShiftLeft<16>(upper));
}

// to[r / 2][c]: from(r, c) and from(r + 1, c). rows is even, columns are whole vectors.
HWY_INLINE void pair_rows(Rows<const BFloat16> from, std::int64_t rows, std::int64_t columns,
                          Rows<std::uint32_t> to) {
  const auto bits = [](const BFloat16* at)
                        HWY_ATTR { return hn::PromoteTo(U32(), hn::LoadU(U16(), bits_of(at))); };
  for (std::int64_t r = 0; r < rows; r += 2)
    for (std::int64_t c = 0; c < columns; c += lanes()) {
      const BFloat16* at = from.data + r * from.row + c;
      hn::StoreU(pairs_of(bits(at), bits(at + from.row)), U32(), to.data + r / 2 * to.row + c);
    }
}

// to[c / 2][r]: from(r, c) and from(r, c + 1). columns is even.
HWY_INLINE void pair_columns(Rows<const BFloat16> from, std::int64_t rows, std::int64_t columns,
                             Rows<std::uint32_t> to) {
  transpose<std::uint32_t>({reinterpret_cast<const std::uint32_t*>(from.data), from.row / 2}, rows,
                           columns / 2, Unchanged(), to, rows);
}

// to[c][r] = from(r, c), by way of `pairs`, rows / 2 * columns of them.
HWY_INLINE void transpose(Rows<const BFloat16> from, std::int64_t rows, std::int64_t columns,
                          std::uint32_t* pairs, Rows<BFloat16> to) {
  pair_rows(from, rows, columns, {pairs, columns});
  transpose<std::uint32_t>({pairs, columns}, rows / 2, columns, Unchanged(),
                           {reinterpret_cast<std::uint32_t*>(to.data), to.row / 2}, rows / 2);
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
