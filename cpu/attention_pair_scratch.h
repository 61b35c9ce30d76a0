#pragma once
// The scratch of attention's kernels in bf16 by pair products, for one head at a time. Positions and elements of a head are
// rounded up to whole tiles, and zero there. [x][y] is a matrix whose rows are y long; pairs are those of pair_product.h.
#include <cstddef>
#include <cstdint>

#include "reprise/cpu/attention_tiles.h"
#include "reprise/cpu/pair_product.h"

namespace reprise::cpu {

inline std::int64_t round_up(std::int64_t count, std::int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

// Cuts arrays out of memory, each from a cache line on. Without memory it counts their bytes.
class ScratchCutter {
 public:
  explicit ScratchCutter(std::byte* memory) : memory_(memory) {}
  template <class T>
  T* cut(std::int64_t count) {
    const std::size_t at = bytes_;
    bytes_ += (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return memory_ ? reinterpret_cast<T*>(memory_ + at) : nullptr;
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* memory_;
  std::size_t bytes_ = 0;
};

struct PairScratch {
  std::int64_t keys, depth;  // rounded up

  PairScratch(const AttentionShape& s, std::byte* memory)
      : keys(round_up(s.keys, kTile)), depth(round_up(s.head_dim, kPairDepth)), cutter(memory) {}

  ScratchCutter cutter;
  BFloat16* k = cutter.cut<BFloat16>(keys * depth);           // [keys][depth]
  BFloat16* v = cutter.cut<BFloat16>(keys * depth);           // the same
  BFloat16* transposed = cutter.cut<BFloat16>(depth * keys);  // [depth][keys]: v, or in backward k
  std::uint32_t* row_pairs =
      cutter.cut<std::uint32_t>(keys / 2 * depth);       // on the way there, [keys / 2][depth]
  BFloat16* rows = cutter.cut<BFloat16>(kTile * depth);  // [query][depth]: q, or dy
  std::uint32_t* q_pairs = cutter.cut<std::uint32_t>(depth / 2 * kTile);       // [depth / 2][query]
  std::uint32_t* weight_pairs = cutter.cut<std::uint32_t>(kTile / 2 * kTile);  // [key / 2][query]
  float* scores = cutter.cut<float>(kTile * kTile);                            // [key][query]
  float* sum = cutter.cut<float>(depth * kTile);                               // [depth][query]: y, or dq
  float* result = cutter.cut<float>(kTile * depth);                            // [query][depth]: the same
};

struct PairForwardScratch : PairScratch {
  using PairScratch::PairScratch;
  float* highest = cutter.cut<float>(kTile);
  float* total = cutter.cut<float>(kTile);
  float* correction = cutter.cut<float>(kTile);
};

struct PairBackwardScratch : PairScratch {
  using PairScratch::PairScratch;
  std::uint32_t* q_rows = cutter.cut<std::uint32_t>(kTile / 2 * depth);    // [query / 2][depth]
  std::uint32_t* dy_rows = cutter.cut<std::uint32_t>(kTile / 2 * depth);   // the same
  std::uint32_t* dy_pairs = cutter.cut<std::uint32_t>(depth / 2 * kTile);  // [depth / 2][query]
  BFloat16* weights = cutter.cut<BFloat16>(kTile * kTile);                 // [key][query]
  BFloat16* score_gradients = cutter.cut<BFloat16>(kTile * kTile);         // the same
  float* gradients = cutter.cut<float>(kTile * kTile);                     // the same
  float* dk = cutter.cut<float>(keys * depth);                             // [keys][depth]
  float* dv = cutter.cut<float>(keys * depth);                             // the same
  float* lse = cutter.cut<float>(kTile);
  float* delta = cutter.cut<float>(kTile);
};

}  // namespace reprise::cpu
