#include "reprise/checkpoint/forward_buffers.h"

#include <algorithm>

#include "reprise/checkpoint/forward_pass.h"

namespace reprise::checkpoint {
namespace {

std::size_t at(std::int32_t i) { return static_cast<std::size_t>(i); }

void add_once(std::vector<std::int32_t>& list, std::int32_t item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

// Per storage.
std::vector<std::int32_t> last_alive(const Trace& trace, std::int32_t nodes) {
  std::vector<std::int32_t> last(trace.values.size(), -1), handles(trace.values.size());
  std::vector<bool> held(trace.values.size());
  std::int32_t now = -1;
  for (const TraceEvent& event : trace.events) {
    if (event.kind == TraceEvent::Kind::backward) break;
    if (event.kind == TraceEvent::Kind::node) {
      now = event.index;
      for (const std::int32_t v : trace.nodes[at(now)].outputs) {
        held[at(v)] = true;
        ++handles[at(trace.values[at(v)].storage)];
      }
    }
    if (event.kind != TraceEvent::Kind::release || !held[at(event.index)]) continue;
    held[at(event.index)] = false;
    const std::int32_t storage = trace.values[at(event.index)].storage;
    if (--handles[at(storage)] == 0) last[at(storage)] = now;
  }
  for (std::size_t s = 0; s < handles.size(); ++s)
    if (handles[s] > 0) last[s] = nodes;
  return last;
}

}  // namespace

ForwardBuffers forward_buffers(const Trace& trace) {
  const std::int32_t nodes = forward_nodes(trace);
  const std::vector<std::int32_t> alive = last_alive(trace, nodes);
  ForwardBuffers result;
  result.reads.resize(at(nodes));
  result.makes.resize(at(nodes));
  result.saves.resize(at(nodes));
  std::vector<std::int32_t> buffer_of(trace.values.size(), -1);  // per storage
  const auto known = [&](std::int32_t v) -> std::int32_t& {
    return buffer_of[at(trace.values[at(v)].storage)];
  };
  for (std::int32_t n = 0; n < nodes; ++n) {
    const TraceNode& node = trace.nodes[at(n)];
    for (const std::int32_t v : node.inputs)
      if (known(v) >= 0) {
        add_once(result.reads[at(n)], known(v));
        add_once(result.buffers[at(known(v))].readers, n);
      }
    for (std::size_t j = 0; j < node.outputs.size(); ++j) {
      const std::int32_t v = node.outputs[j];
      const bool view = std::any_of(node.inputs.begin(), node.inputs.end(), [&](std::int32_t in) {
        return trace.values[at(in)].storage == trace.values[at(v)].storage;
      });
      if (view || node.keep) continue;
      known(v) = static_cast<std::int32_t>(result.buffers.size());
      result.makes[at(n)].push_back(known(v));
      result.buffers.push_back({n,
                                static_cast<std::int32_t>(j),
                                static_cast<std::int64_t>(trace.values[at(v)].bytes),
                                alive[at(trace.values[at(v)].storage)],
                                {},
                                {}});
    }
    for (const std::int32_t v : node.saved)
      if (known(v) >= 0) {
        add_once(result.saves[at(n)], known(v));
        add_once(result.buffers[at(known(v))].savers, n);
      }
  }
  return result;
}

}  // namespace reprise::checkpoint
