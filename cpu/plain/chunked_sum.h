#pragma once
// The sum of `count` numbers that are computed one by one, in double: chunks of a fixed length in parallel, then the
// chunks in order, so that the bits follow from the count alone.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "reprise/core/parallel.h"

namespace reprise::cpu {

inline std::int64_t sum_chunks(std::int64_t count, std::int64_t chunk) { return (count + chunk - 1) / chunk; }

inline std::size_t chunked_sum_workspace(std::int64_t count, std::int64_t chunk) {
  return static_cast<std::size_t>(sum_chunks(count, chunk)) * sizeof(double);
}

template <class Term>
double chunked_sum(std::int64_t count, std::int64_t chunk, std::span<std::byte> workspace, Term term) {
  auto* partial = reinterpret_cast<double*>(workspace.data());
  const std::int64_t chunks = sum_chunks(count, chunk);
  parallel_for(chunks, 4, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      double total = 0;
      for (std::int64_t i = c * chunk; i < std::min(count, (c + 1) * chunk); ++i) total += term(i);
      partial[c] = total;
    }
  });
  double total = 0;
  for (std::int64_t c = 0; c < chunks; ++c) total += partial[c];
  return total;
}

}  // namespace reprise::cpu
