#include "reprise/checkpoint/forward_pass.h"

#include <utility>

namespace reprise::checkpoint {

std::int32_t forward_nodes(const Trace& trace) {
  std::int32_t nodes = 0;
  for (const TraceEvent& event : trace.events) {
    if (event.kind == TraceEvent::Kind::backward) break;
    if (event.kind == TraceEvent::Kind::node) nodes = event.index + 1;
  }
  return nodes;
}

std::vector<Pass> forward_passes(const Trace& trace) {
  std::vector<Pass> passes;
  bool inside = false;
  for (const TraceEvent& event : trace.events) {
    if (event.kind == TraceEvent::Kind::backward) inside = false;
    if (event.kind != TraceEvent::Kind::node) continue;
    if (!std::exchange(inside, true)) passes.push_back({event.index, event.index});
    passes.back().last = event.index + 1;
  }
  return passes;
}

std::size_t bytes_before_first_node(const Trace& trace) {
  std::size_t bytes = trace.base_bytes;
  for (const TraceEvent& event : trace.events) {
    if (event.kind == TraceEvent::Kind::node || event.kind == TraceEvent::Kind::backward) break;
    const std::size_t change = trace.values[static_cast<std::size_t>(event.index)].bytes;
    bytes += event.kind == TraceEvent::Kind::allocate ? change : 0;
    bytes -= event.kind == TraceEvent::Kind::release ? change : 0;
  }
  return bytes;
}

std::vector<Crossing> crossings(const Trace& trace) { return crossings(trace, forward_nodes(trace)); }

std::vector<Crossing> crossings(const Trace& trace, std::int32_t nodes) {
  struct Life {
    std::int32_t made = -1, last_read = -1;
    std::size_t bytes = 0;
    bool tracked = false, saved = false;
  };
  std::vector<Life> lives;
  const auto life = [&](std::int32_t v) -> Life& {
    const auto storage = static_cast<std::size_t>(trace.values[static_cast<std::size_t>(v)].storage);
    if (lives.size() <= storage) lives.resize(storage + 1);
    return lives[storage];
  };
  for (std::int32_t n = 0; n < nodes; ++n) {
    const TraceNode& node = trace.nodes[static_cast<std::size_t>(n)];
    for (const std::int32_t v : node.inputs) life(v).last_read = n;
    for (const std::int32_t v : node.outputs) {
      Life& made = life(v);
      if (made.made < 0 && made.last_read < 0) made.made = n;
      made.bytes = trace.values[static_cast<std::size_t>(v)].bytes;
      made.tracked |= node.tracked;
    }
    for (const std::int32_t v : node.saved) life(v).saved = true;
  }
  // Changes first, then their running sum.
  std::vector<Crossing> result(static_cast<std::size_t>(nodes) + 2);
  for (const Life& life : lives) {
    if (life.made < 0 || life.last_read <= life.made) continue;
    Crossing& from = result[static_cast<std::size_t>(life.made) + 1];
    Crossing& to = result[static_cast<std::size_t>(life.last_read) + 1];
    const std::int32_t tracked = life.tracked ? 1 : 0, saved = life.tracked && life.saved ? 1 : 0;
    from.bytes += life.bytes;
    from.tracked += tracked;
    from.saved += saved;
    to.bytes -= life.bytes;  // unsigned: what is added before comes off after
    to.tracked -= tracked;
    to.saved -= saved;
  }
  result.pop_back();
  for (std::size_t i = 1; i < result.size(); ++i) {
    result[i].bytes += result[i - 1].bytes;
    result[i].tracked += result[i - 1].tracked;
    result[i].saved += result[i - 1].saved;
  }
  return result;
}

std::vector<std::int32_t> chain_edges(const Trace& trace, std::int64_t most) {
  const std::vector<Crossing> crossing = crossings(trace);
  const auto nodes = static_cast<std::int32_t>(crossing.size()) - 1;
  std::vector<std::int32_t> edges{0};
  for (std::int32_t i = 1; i < nodes; ++i) {
    const Crossing& here = crossing[static_cast<std::size_t>(i)];
    if (here.tracked == 1 && here.saved == 1) edges.push_back(i);
  }
  if (edges.size() == 1)
    for (std::int32_t i = 1; i < nodes; ++i) edges.push_back(i);
  if (nodes > 0) edges.push_back(nodes);
  const std::int64_t stages = std::ssize(edges) - 1;
  if (stages <= most) return edges;
  // Of each of `most` equal parts, the last place with the fewest bytes; the end stays the end.
  std::vector<std::int32_t> fewer{0};
  for (std::int64_t part = 0; part < most; ++part) {
    std::int32_t best = edges[static_cast<std::size_t>(stages * (part + 1) / most)];
    for (std::int64_t i = stages * (part + 1) / most; part + 1 < most && i > stages * part / most; --i)
      if (const std::int32_t place = edges[static_cast<std::size_t>(i)];
          crossing[static_cast<std::size_t>(place)].bytes < crossing[static_cast<std::size_t>(best)].bytes)
        best = place;
    fewer.push_back(best);
  }
  return fewer;
}

}  // namespace reprise::checkpoint
