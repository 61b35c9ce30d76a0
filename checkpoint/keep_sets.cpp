#include "reprise/checkpoint/keep_sets.h"

#include <algorithm>
#include <cmath>

#include "reprise/checkpoint/min_cut.h"

namespace reprise::checkpoint {

namespace {

// Which nodes run again, then which buffers must be had.
std::vector<bool> cheapest_side(const Trace& trace, const ForwardBuffers& forward,
                                const std::vector<double>& prices) {
  const auto nodes = static_cast<std::int32_t>(forward.reads.size());
  const auto vertices = static_cast<std::int32_t>(nodes + std::ssize(forward.buffers));
  const std::int32_t source = vertices, sink = vertices + 1;
  const auto picoseconds = [](double seconds) {
    return static_cast<std::int64_t>(std::llround(std::min(seconds * 1e12, 1e15)));
  };
  MinCut cut(vertices + 2);
  for (std::int32_t n = 0; n < nodes; ++n) {
    const auto i = static_cast<std::size_t>(n);
    cut.edge(n, sink, std::max<std::int64_t>(1, picoseconds(trace.nodes[i].seconds)));
    for (const std::int32_t b : forward.reads[i]) cut.edge(n, nodes + b, MinCut::kNever);
    for (const std::int32_t b : forward.saves[i]) cut.edge(source, nodes + b, MinCut::kNever);
  }
  for (std::size_t b = 0; b < prices.size(); ++b)
    cut.edge(nodes + static_cast<std::int32_t>(b), forward.buffers[b].maker, picoseconds(prices[b]));
  return std::move(cut).source_side(source, sink);
}

}  // namespace

std::vector<bool> cheapest_kept(const Trace& trace, const ForwardBuffers& forward,
                                const std::vector<double>& prices) {
  const std::vector<bool> side = cheapest_side(trace, forward, prices);
  std::vector<bool> kept;
  for (std::size_t b = 0; b < forward.buffers.size(); ++b)
    kept.push_back(side[forward.reads.size() + b] &&
                   !side[static_cast<std::size_t>(forward.buffers[b].maker)]);
  return kept;
}

KeepSet cheapest_keep_set(const Trace& trace, double seconds_per_byte) {
  const ForwardBuffers forward = forward_buffers(trace);
  std::vector<double> prices;
  for (const ForwardBuffer& buffer : forward.buffers)
    prices.push_back(seconds_per_byte * static_cast<double>(buffer.bytes));
  const std::vector<bool> side = cheapest_side(trace, forward, prices);
  KeepSet result;
  for (std::size_t b = 0; b < forward.buffers.size(); ++b) {
    const ForwardBuffer& buffer = forward.buffers[b];
    if (side[forward.reads.size() + b] && !side[static_cast<std::size_t>(buffer.maker)])
      result.kept.push_back({buffer.maker, buffer.output, Decision::keep});
  }
  result.runs_again.assign(side.begin(), side.begin() + std::ssize(forward.reads));
  return result;
}

}  // namespace reprise::checkpoint
