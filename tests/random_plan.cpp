#include "reprise/tests/random_plan.h"

#include <vector>

#include "reprise/checkpoint/plan.h"

namespace reprise {

Plan random_plan(const Trace& trace, std::mt19937& random, int decisions) {
  checkpoint::PlanBuilder builder(trace);
  struct Passage {
    std::int32_t first, last;
    int depth;
  };
  std::vector<Passage> open{{0, static_cast<std::int32_t>(trace.nodes.size()), 0}};
  while (!open.empty()) {
    const Passage passage = open.back();
    open.pop_back();
    for (std::int32_t i = passage.first; i < passage.last;) {
      const auto length = static_cast<std::int32_t>(random() % static_cast<unsigned>(passage.last - i)) + 1;
      const bool whole = i == passage.first && length == passage.last - passage.first;
      if (random() % 2 && passage.depth < 4 && !(passage.depth > 0 && whole)) {
        builder.region(i, i + length);
        open.push_back({i, i + length, passage.depth + 1});
      }
      i += length;
    }
  }
  for (int k = 0; k < decisions; ++k) {
    const auto& node = trace.nodes[random() % trace.nodes.size()];
    builder.decide(node.outputs[0], random() % 3 ? Decision::keep : Decision::offload);
  }
  return std::move(builder).finish();
}

}  // namespace reprise
