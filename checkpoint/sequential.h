#pragma once
// Layers in balanced segments. With sqrt(n) segments of n layers memory is O(sqrt(n)): Chen et al., "Training Deep Nets
// with Sublinear Memory Cost", 2016.
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "reprise/checkpoint/region.h"

namespace reprise::checkpoint {

// Where the segments begin and end: `segments` + 1 numbers from 0 to `layers`, lengths that differ by at most one, shorter
// ones first. More segments than layers are as many as layers. UserError below one segment.
std::vector<std::int64_t> segment_edges(std::int64_t layers, std::int64_t segments);

// Balanced segments, each a region but the last, whose values would be dropped only to be made again at once.
template <class Layers>
Tensor sequential(Layers&& layers, int segments, Tensor h) {
  const std::vector<std::int64_t> edges = segment_edges(std::ssize(layers), segments);
  auto layer = std::begin(layers);
  for (std::size_t k = 0; k + 1 < edges.size(); ++k) {
    const bool last = k + 2 == edges.size();
    h = run(last ? Policy::none() : Policy::full(), [&] {
      Tensor x = std::move(h);
      for (std::int64_t i = edges[k]; i < edges[k + 1]; ++i, ++layer) x = (*layer)(std::move(x));
      return x;
    });
  }
  return h;
}

}  // namespace reprise::checkpoint
