#include "reprise/checkpoint/costs.h"

#include <algorithm>

namespace reprise::checkpoint {

double modelled_seconds(double flops, double bytes) {
  constexpr double kFlopsPerSecond = 200e9, kBytesPerSecond = 20e9, kSecondsPerOp = 0.5e-6;
  return kSecondsPerOp + std::max(flops / kFlopsPerSecond, bytes / kBytesPerSecond);
}

void model_costs(Trace& trace) {
  const auto value = [&](std::int32_t v) -> const TraceValue& {
    return trace.values[static_cast<std::size_t>(v)];
  };
  for (TraceNode& node : trace.nodes) {
    double bytes = 0;
    bool view = false;
    for (const std::int32_t out : node.outputs) {
      bytes += static_cast<double>(value(out).bytes);
      for (const std::int32_t in : node.inputs) view |= value(in).storage == value(out).storage;
    }
    for (const std::int32_t in : node.inputs) bytes += static_cast<double>(value(in).bytes);
    node.seconds = view ? 0 : modelled_seconds(node.flops, bytes);
  }
}

}  // namespace reprise::checkpoint
