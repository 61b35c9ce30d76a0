#include "reprise/checkpoint/keep_sets.h"

#include <algorithm>
#include <cmath>

#include "reprise/checkpoint/forward_pass.h"
#include "reprise/checkpoint/min_cut.h"

namespace reprise::checkpoint {

KeepSet cheapest_keep_set(const Trace& trace, double seconds_per_byte) {
  const std::int32_t nodes = forward_nodes(trace);
  const auto node = [&](std::int32_t n) -> const TraceNode& {
    return trace.nodes[static_cast<std::size_t>(n)];
  };
  const auto value = [&](std::int32_t v) -> const TraceValue& {
    return trace.values[static_cast<std::size_t>(v)];
  };
  // Buffers that a node of the forward pass makes, views not counted: of each the node and the output.
  struct Buffer {
    std::int32_t vertex, maker, output;
    std::size_t bytes;
  };
  std::vector<Buffer> buffers;
  std::vector<std::int32_t> buffer_of;  // per storage; -1: made outside
  const auto known = [&](std::int32_t v) -> std::int32_t& {
    const auto storage = static_cast<std::size_t>(value(v).storage);
    if (buffer_of.size() <= storage) buffer_of.resize(storage + 1, -1);
    return buffer_of[storage];
  };
  for (std::int32_t n = 0; n < nodes; ++n) {
    const TraceNode& made = node(n);
    for (std::size_t j = 0; j < made.outputs.size(); ++j) {
      const std::int32_t v = made.outputs[j];
      const bool view = std::any_of(made.inputs.begin(), made.inputs.end(),
                                    [&](std::int32_t in) { return value(in).storage == value(v).storage; });
      if (view || made.keep) continue;  // what is never replayed stays anyway
      known(v) = static_cast<std::int32_t>(buffers.size());
      buffers.push_back({nodes + known(v), n, static_cast<std::int32_t>(j), value(v).bytes});
    }
  }
  // On the source's side: of a node, that it runs again; of a buffer, that it must be had.
  const auto vertices = static_cast<std::int32_t>(nodes + std::ssize(buffers));
  const std::int32_t source = vertices, sink = vertices + 1;
  const auto picoseconds = [](double seconds) {
    return static_cast<std::int64_t>(std::llround(std::min(seconds * 1e12, 1e15)));
  };
  MinCut cut(vertices + 2);
  for (std::int32_t n = 0; n < nodes; ++n) {
    cut.edge(n, sink, std::max<std::int64_t>(1, picoseconds(node(n).seconds)));
    for (const std::int32_t v : node(n).inputs)
      if (known(v) >= 0) cut.edge(n, buffers[static_cast<std::size_t>(known(v))].vertex, MinCut::kNever);
    for (const std::int32_t v : node(n).saved)
      if (known(v) >= 0) cut.edge(source, buffers[static_cast<std::size_t>(known(v))].vertex, MinCut::kNever);
  }
  for (const Buffer& buffer : buffers)
    cut.edge(buffer.vertex, buffer.maker, picoseconds(seconds_per_byte * static_cast<double>(buffer.bytes)));
  const std::vector<bool> side = std::move(cut).source_side(source, sink);
  KeepSet result;
  for (const Buffer& buffer : buffers)
    if (side[static_cast<std::size_t>(buffer.vertex)] && !side[static_cast<std::size_t>(buffer.maker)])
      result.kept.push_back({buffer.maker, buffer.output, Decision::keep});
  result.runs_again.assign(side.begin(), side.begin() + nodes);
  return result;
}

}  // namespace reprise::checkpoint
