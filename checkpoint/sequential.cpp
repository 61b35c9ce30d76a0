#include "reprise/checkpoint/sequential.h"

#include <fmt/format.h>

#include <algorithm>

#include "reprise/core/error.h"

namespace reprise::checkpoint {

std::vector<std::int64_t> segment_edges(std::int64_t layers, std::int64_t segments) {
  if (segments < 1) throw UserError(fmt::format("checkpoint: {} segments; at least 1 is needed", segments));
  segments = std::clamp<std::int64_t>(segments, 1, std::max<std::int64_t>(layers, 1));
  const std::int64_t length = layers / segments, longer = layers % segments;
  std::vector<std::int64_t> edges;
  for (std::int64_t k = 0; k <= segments; ++k)
    edges.push_back(k * length + std::max<std::int64_t>(0, k - (segments - longer)));
  return edges;
}

}  // namespace reprise::checkpoint
