#include "reprise/checkpoint/costs.h"

#include <algorithm>

namespace reprise::checkpoint {

double modelled_seconds(const Trace& trace, const TraceNode& node) {
  constexpr double kFlopsPerSecond = 200e9, kBytesPerSecond = 20e9, kSecondsPerOp = 0.5e-6;
  const auto value = [&](std::int32_t v) -> const TraceValue& {
    return trace.values[static_cast<std::size_t>(v)];
  };
  double bytes = 0;
  bool view = false;
  for (const std::int32_t out : node.outputs) {
    bytes += static_cast<double>(value(out).bytes);
    for (const std::int32_t in : node.inputs) view |= value(in).storage == value(out).storage;
  }
  if (view) return 0;
  for (const std::int32_t in : node.inputs) bytes += static_cast<double>(value(in).bytes);
  return kSecondsPerOp + std::max(node.flops / kFlopsPerSecond, bytes / kBytesPerSecond);
}

void model_costs(Trace& trace) {
  for (TraceNode& node : trace.nodes) node.seconds = modelled_seconds(trace, node);
}

}  // namespace reprise::checkpoint
