#include "reprise/cpu/pair_product.h"

#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>
#include <oneapi/dnnl/dnnl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <vector>
#endif

namespace reprise::cpu {

#if defined(__x86_64__) && defined(__linux__)

namespace {

void nothing() {}

// 8 rows by 2 vectors of 16 columns, in registers.
__attribute__((target("avx512f,avx512bf16"))) void dot_block(std::int64_t depth, const PairMatrices& m,
                                                             bool add) {
  constexpr int kRows = 8, kVectors = 2;
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int c = 0; c < kVectors; ++c)
      sums[r][c] = add ? _mm512_loadu_ps(m.y + r * m.y_row + 16 * c) : _mm512_setzero_ps();
  for (std::int64_t pair = 0; pair < depth / 2; ++pair) {
    __m512bh right[kVectors];
#pragma GCC unroll 2
    for (int c = 0; c < kVectors; ++c)
      right[c] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(m.b + pair * m.b_row + 16 * c));
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      int both = 0;
      __builtin_memcpy(&both, m.a + r * m.a_row + 2 * pair, sizeof both);
      const auto left = reinterpret_cast<__m512bh>(_mm512_set1_epi32(both));
#pragma GCC unroll 2
      for (int c = 0; c < kVectors; ++c) sums[r][c] = _mm512_dpbf16_ps(sums[r][c], left, right[c]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int c = 0; c < kVectors; ++c) _mm512_storeu_ps(m.y + r * m.y_row + 16 * c, sums[r][c]);
}

PairMatrices from(const PairMatrices& m, std::int64_t row, std::int64_t column) {
  return {m.a + row * m.a_row, m.a_row, m.b + column, m.b_row, m.y + row * m.y_row + column, m.y_row};
}

__attribute__((target("avx512f,avx512bf16"))) void multiply_by_dot_products(std::int64_t rows,
                                                                            std::int64_t columns,
                                                                            std::int64_t depth,
                                                                            const PairMatrices& m, bool add) {
  for (std::int64_t c = 0; c < columns; c += 32)
    for (std::int64_t r = 0; r < rows; r += 8) dot_block(depth, from(m, r, c), add);
}

// Tiles 0 to 3 hold sums of 16 by 16, 4 and 5 rows of a, 6 and 7 columns of b; each has 16 rows of 64 bytes.
struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1, start_row = 0;
  std::array<std::uint8_t, 14> reserved = {};
  std::array<std::uint16_t, 16> row_bytes = {64, 64, 64, 64, 64, 64, 64, 64};
  std::array<std::uint8_t, 16> rows = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfiguration) == 64);

__attribute__((target("amx-tile"))) void configure_tiles() {
  static constexpr TileConfiguration kConfiguration = {};
  _tile_loadconfig(&kConfiguration);
}
__attribute__((target("amx-tile"))) void release_tiles() { _tile_release(); }

// The tiles' numbers are written into the instructions, so there are no loops over them.
__attribute__((target("amx-tile,amx-bf16"))) void tile_block_of_32_rows(std::int64_t depth,
                                                                        const PairMatrices& m, bool add) {
  const auto a_bytes = static_cast<std::size_t>(m.a_row) * sizeof(BFloat16),
             b_bytes = static_cast<std::size_t>(m.b_row) * sizeof(std::uint32_t),
             y_bytes = static_cast<std::size_t>(m.y_row) * sizeof(float);
  float* lower = m.y + 16 * m.y_row;
  if (add) {
    _tile_loadd(0, m.y, y_bytes);
    _tile_loadd(1, m.y + 16, y_bytes);
    _tile_loadd(2, lower, y_bytes);
    _tile_loadd(3, lower + 16, y_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (std::int64_t k = 0; k < depth; k += kPairDepth) {
    const BFloat16* a = m.a + k;
    const std::uint32_t* b = m.b + k / 2 * m.b_row;
    _tile_loadd(6, b, b_bytes);
    _tile_loadd(4, a, a_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + 16, b_bytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + 16 * m.a_row, a_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, m.y, y_bytes);
  _tile_stored(1, m.y + 16, y_bytes);
  _tile_stored(2, lower, y_bytes);
  _tile_stored(3, lower + 16, y_bytes);
}
__attribute__((target("amx-tile,amx-bf16"))) void tile_block_of_16_rows(std::int64_t depth,
                                                                        const PairMatrices& m, bool add) {
  const auto a_bytes = static_cast<std::size_t>(m.a_row) * sizeof(BFloat16),
             b_bytes = static_cast<std::size_t>(m.b_row) * sizeof(std::uint32_t),
             y_bytes = static_cast<std::size_t>(m.y_row) * sizeof(float);
  if (add) {
    _tile_loadd(0, m.y, y_bytes);
    _tile_loadd(1, m.y + 16, y_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
  }
  for (std::int64_t k = 0; k < depth; k += kPairDepth) {
    const std::uint32_t* b = m.b + k / 2 * m.b_row;
    _tile_loadd(4, m.a + k, a_bytes);
    _tile_loadd(6, b, b_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + 16, b_bytes);
    _tile_dpbf16ps(1, 4, 7);
  }
  _tile_stored(0, m.y, y_bytes);
  _tile_stored(1, m.y + 16, y_bytes);
}

void multiply_by_tiles(std::int64_t rows, std::int64_t columns, std::int64_t depth, const PairMatrices& m,
                       bool add) {
  for (std::int64_t c = 0; c < columns; c += 32) {
    std::int64_t r = 0;
    for (; r + 32 <= rows; r += 32) tile_block_of_32_rows(depth, from(m, r, c), add);
    if (r < rows) tile_block_of_16_rows(depth, from(m, r, c), add);
  }
}

constexpr PairProduct kTiles = {"AMX", multiply_by_tiles, configure_tiles, release_tiles},
                      kDotProducts = {"AVX512_BF16", multiply_by_dot_products, nothing, nothing};

// Linux gives tiles' 8 kB of state to processes that ask for it.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

std::span<const PairProduct* const> pair_products() {
  static const auto list = [] {
    const auto has = [](dnnl_cpu_isa_t isa) { return (dnnl_get_effective_cpu_isa() & isa) == isa; };
    std::vector<const PairProduct*> found;
    if (has(dnnl_cpu_isa_avx512_core_amx) && may_use_tiles()) found.push_back(&kTiles);
    if (has(dnnl_cpu_isa_avx512_core_bf16)) found.push_back(&kDotProducts);
    return found;
  }();
  return list;
}

#else

std::span<const PairProduct* const> pair_products() { return {}; }

#endif

}  // namespace reprise::cpu
