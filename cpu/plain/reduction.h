#pragma once
// Combines the elements of x over some of its dimensions. The order in which elements are combined follows from the
// shape alone, so the bits do not depend on the number of threads.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "reprise/cpu/plain/half.h"
#include "reprise/cpu/strided_loop.h"

namespace reprise::cpu {

// Some dimensions of a contiguous tensor, and the offset of each of their index combinations.
struct Extents {
  std::size_t rank = 0;
  std::array<std::int64_t, Shape::kMaxRank> extents = {}, strides = {};
  std::int64_t count = 1;

  void append(std::int64_t extent, std::int64_t stride) {
    extents[rank] = extent;
    strides[rank++] = stride;
    count *= extent;
  }
  std::int64_t offset(std::int64_t index) const {
    std::int64_t result = 0;
    for (std::size_t d = rank; d-- > 0;) {
      result += index % extents[d] * strides[d];
      index /= extents[d];
    }
    return result;
  }
};

// x's dimensions, sorted: the innermost run of reduced or of kept ones apart from those outside it.
struct ReductionShape {
  Extents kept, reduced;  // outside the run
  std::int64_t run = 1;   // elements that lie together
  bool run_is_reduced = false;

  // `kept_shape` is x's shape with 1 in place of each reduced extent.
  ReductionShape(const Shape& x, const Shape& kept_shape) {
    const Strides strides = contiguous_strides(x);
    const auto all = x.extents(), left = kept_shape.extents();
    std::size_t first = all.size();  // of the run
    for (std::size_t d = all.size(); d-- > 0;) {
      if (all[d] == 1) {
        first = d;
        continue;
      }
      const bool is_reduced = left[d] != all[d];
      if (run == 1) run_is_reduced = is_reduced;
      if (is_reduced != run_is_reduced) break;
      run *= all[d];
      first = d;
    }
    for (std::size_t d = 0; d < first; ++d) (left[d] != all[d] ? reduced : kept).append(all[d], strides[d]);
  }
};

// Combines `count` elements that lie together: eight interleaved results, then these in order.
template <class Accumulator, class T, class Combine>
Accumulator combine_run(const T* x, std::int64_t count, Accumulator initial, Combine combine) {
  constexpr std::int64_t kLanes = 8;
  std::array<Accumulator, kLanes> lanes;
  lanes.fill(initial);
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      lanes[lane] =
          combine(lanes[lane], static_cast<Accumulator>(widen(x[i + static_cast<std::int64_t>(lane)])));
  for (std::size_t lane = 0; i < count; ++i, ++lane)
    lanes[lane] = combine(lanes[lane], static_cast<Accumulator>(widen(x[i])));
  Accumulator result = initial;
  for (const Accumulator& lane : lanes) result = combine(result, lane);
  return result;
}

// y = finish(combine of x over the reduced dimensions), beginning with `initial`, which changes nothing it is
// combined with.
template <class T, class R, class Accumulator, class Combine, class Finish>
void reduce(const T* x, R* y, const Shape& x_shape, const Shape& kept_shape, Accumulator initial,
            Combine combine, Finish finish) {
  const ReductionShape shape(x_shape, kept_shape);
  if (x_shape.numel() == 0) {
    std::fill_n(y, kept_shape.numel(), narrow<R>(finish(initial)));
    return;
  }

  if (shape.run_is_reduced && shape.kept.count == 1 && shape.reduced.count == 1) {  // everything into one
    constexpr std::int64_t kMaxChunks = 64;
    const std::int64_t chunk = std::max<std::int64_t>(4096, (shape.run + kMaxChunks - 1) / kMaxChunks);
    const std::int64_t chunks = (shape.run + chunk - 1) / chunk;
    std::array<Accumulator, kMaxChunks> partial;
    parallel_for(chunks, kGrain / chunk + 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t c = begin; c < end; ++c)
        partial[static_cast<std::size_t>(c)] =
            combine_run(x + c * chunk, std::min(chunk, shape.run - c * chunk), initial, combine);
    });
    Accumulator result = initial;
    for (std::int64_t c = 0; c < chunks; ++c) result = combine(result, partial[static_cast<std::size_t>(c)]);
    y[0] = narrow<R>(finish(result));
    return;
  }

  if (shape.run_is_reduced) {  // each result is made of runs
    const std::int64_t per_result = shape.run * shape.reduced.count;
    parallel_for(shape.kept.count, kGrain / per_result + 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* from = x + shape.kept.offset(i);
        Accumulator result = initial;
        for (std::int64_t r = 0; r < shape.reduced.count; ++r)
          result = combine(result, combine_run(from + shape.reduced.offset(r), shape.run, initial, combine));
        y[i] = narrow<R>(finish(result));
      }
    });
    return;
  }

  constexpr std::int64_t kColumns = 128;  // results that lie together, side by side
  const std::int64_t blocks = (shape.run + kColumns - 1) / kColumns;
  const std::int64_t per_block = std::min(kColumns, shape.run) * shape.reduced.count;
  parallel_for(shape.kept.count * blocks, kGrain / per_block + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t outer = i / blocks, first = i % blocks * kColumns;
      const std::int64_t columns = std::min(kColumns, shape.run - first);
      std::array<Accumulator, kColumns> results;
      results.fill(initial);
      const T* from = x + shape.kept.offset(outer) + first;
      for (std::int64_t r = 0; r < shape.reduced.count; ++r) {
        const T* row = from + shape.reduced.offset(r);
        for (std::int64_t c = 0; c < columns; ++c) {
          Accumulator& result = results[static_cast<std::size_t>(c)];
          result = combine(result, static_cast<Accumulator>(widen(row[c])));
        }
      }
      for (std::int64_t c = 0; c < columns; ++c)
        y[outer * shape.run + first + c] = narrow<R>(finish(results[static_cast<std::size_t>(c)]));
    }
  });
}

}  // namespace reprise::cpu
