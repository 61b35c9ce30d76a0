#pragma once
// How attention's kernels read a mask that broadcasts to [batch, heads, queries, keys].
#include <cstdint>

#include "reprise/cpu/strided_loop.h"
#include "reprise/ops/attention.h"

namespace reprise::cpu {

// Element (query i, key j) of one head's mask is number first + i * query + j * key of the mask; key is 0 or 1.
struct HeadMask {
  std::int64_t first = 0, query = 0, key = 0;

  HeadMask(const ConstView& mask, const AttentionShape& s, std::int64_t b, std::int64_t h) {
    if (!mask.info) return;
    const Strides strides = broadcast_strides(mask.info->shape, {s.batch, s.heads, s.queries, s.keys});
    first = b * strides[0] + h * strides[1];
    query = strides[2];
    key = strides[3];
  }
};

// The first word that the weights of query i of head h of batch entry b draw (ops/attention.h): a multiple of 4.
inline std::uint64_t first_word(const AttentionShape& s, RandomAddress random, std::int64_t b, std::int64_t h,
                                std::int64_t i) {
  return random.offset +
         static_cast<std::uint64_t>(((b * s.heads + h) * s.queries + i) * ((s.keys + 3) / 4 * 4));
}

}  // namespace reprise::cpu
