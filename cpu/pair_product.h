#pragma once
// Products of bf16 matrices that lie in cache, summed in f32, by the processor's own instructions for them: tiles (Intel's
// AMX) or dot products of pairs (AVX512_BF16).
//
//   y = a b, or y += a b, with a [rows, depth], b [depth, columns], y [rows, columns]
//
// b lies in pairs, as these instructions read it: b[k / 2 * b_row + c] holds b(k, c) in its lower and b(k + 1, c) in its
// upper half. rows is a multiple of 16, columns and depth are multiples of 32: whoever calls pads with zeros. The bits of
// y(r, c) depend on row r of a, column c of b, the depth and the machine alone.
#include <cstdint>
#include <span>

#include "reprise/core/dtype.h"

namespace reprise::cpu {

inline constexpr std::int64_t kPairRows = 16, kPairColumns = 32, kPairDepth = 32;  // their multiples

struct PairMatrices {
  const BFloat16* a = nullptr;
  std::int64_t a_row = 0;
  const std::uint32_t* b = nullptr;
  std::int64_t b_row = 0;
  float* y = nullptr;
  std::int64_t y_row = 0;
};

struct PairProduct {
  const char* name;
  void (*multiply)(std::int64_t rows, std::int64_t columns, std::int64_t depth, const PairMatrices& matrices,
                   bool add);
  // Around the products of a thread: tiles are configured and released.
  void (*begin)();
  void (*end)();
};

// What this machine has, the fastest first; none on many. ONEDNN_MAX_CPU_ISA, by which oneDNN is kept from instructions
// that the processor has, is heeded here too.
std::span<const PairProduct* const> pair_products();

// One thread's products.
class PairProducts {
 public:
  explicit PairProducts(const PairProduct& product) : product_(product) { product_.begin(); }
  PairProducts(const PairProducts&) = delete;
  PairProducts& operator=(const PairProducts&) = delete;
  ~PairProducts() { product_.end(); }

  void operator()(std::int64_t rows, std::int64_t columns, std::int64_t depth, const PairMatrices& matrices,
                  bool add) const {
    product_.multiply(rows, columns, depth, matrices, add);
  }

 private:
  const PairProduct& product_;
};

}  // namespace reprise::cpu
