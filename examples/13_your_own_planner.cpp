// A planner is a function from a trace and a budget to a plan. It is judged before anything runs, and obeyed to the byte.
#include <cstdlib>
#include <iostream>

#include "reprise/reprise.h"

using namespace reprise;

// One region, which grows from the step's beginning until the budget is met: early values live the longest.
Plan early_first(const Trace& trace, const checkpoint::PlanOptions& options) {
  const auto nodes = static_cast<std::int32_t>(trace.nodes.size());
  Plan best;
  for (std::int32_t last = 0; last < nodes; ++last) {
    checkpoint::PlanBuilder builder(trace);
    if (last > 0) builder.region(0, last);
    best = std::move(builder).finish();
    if (checkpoint::simulate(trace, best).peak_bytes <= options.budget) break;  // the engine's own figure
  }
  return best;
}

int main() {
  manual_seed(1);
  nn::Model chain = nn::make_model("chain");
  const Tensor x = Tensor::randn({512, 256}), y = Tensor::zeros({512}, {.dtype = DType::i64});
  const checkpoint::Step step = [&](Tape& tape) { tape.backward(cross_entropy(chain(x), y)); };

  const Trace trace = checkpoint::trace(step);  // the step as data, from one dry run
  const checkpoint::Simulation all = checkpoint::simulate(trace, checkpoint::PlanBuilder(trace).finish());
  const std::size_t budget = all.peak_bytes - MiB(10);
  const Plan own = checkpoint::plan(trace, {.budget = budget, .planner = early_first});
  const Plan ready = checkpoint::plan(trace, {.budget = budget});
  std::cout << trace.nodes.size() << " nodes, keeping everything " << all.peak_bytes << " bytes, budget "
            << budget << "\nown planner   " << own.predicted_peak() << " bytes, " << own.replays()
            << " nodes run again\nready-made    " << ready.predicted_peak() << " bytes, " << ready.replays()
            << " nodes run again\n";

  memory::reset_peak(Device::cpu());
  {
    Tape tape({.plan = own});
    step(tape);
  }
  const std::size_t peak = memory::peak_without_data(Device::cpu());
  std::cout << "measured      " << peak << " bytes\n";
  return peak == own.predicted_peak() && peak <= budget ? EXIT_SUCCESS : EXIT_FAILURE;
}
