// How far the planners are from the best there is: for small real models, at budgets between the least that
// `graph` can do with and keeping everything, the time that plans lose to replays beside what mixed-integer programs say
// (checkpoint/optimum/optimum.h): "optimum" of plans that make each value again once at most, "as plan" what its schedule costs as
// a plan that the engine judges (inf: does not fit), "Checkmate" of any schedule. planner_optimum [SECONDS for each program, 60] [NAME of one case]
// Exits with 1 where `graph` loses over 5 % more than the program's optimum.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/optimum/optimum.h"
#include "reprise/reprise.h"

using namespace reprise;

namespace {

struct Case {
  std::string name;
  std::function<nn::Model()> model;
  std::int64_t batch, pixels;  // pixels: of images, where not the model's own
};

Trace trace_of(const Case& one) {
  return checkpoint::trace([&](Tape& tape) {
    nn::Model model = [&] {
      const NoGrad no_grad;
      return one.model();
    }();
    std::vector<std::int64_t> inputs{one.batch}, targets{one.batch};
    for (const std::int64_t extent : model.input_shape().extents()) inputs.push_back(extent);
    if (one.pixels > 0) inputs[1] = inputs[2] = one.pixels;
    if (model.input_dtype() == DType::i64) targets = inputs;
    const Tensor x = Tensor::zeros(inputs, {.dtype = model.input_dtype()}),
                 y = Tensor::zeros(targets, {.dtype = DType::i64});
    tape.backward(cross_entropy(model(x), y));
  });
}

std::function<nn::Model()> gpt(std::int64_t layers) {
  return [layers] {
    return nn::make_gpt({.vocabulary = 17, .context = 64, .layers = layers, .width = 32, .heads = 2});
  };
}
std::function<nn::Model()> ready(const char* name) {
  return [name] { return nn::make_model(name); };
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Seconds that the plan of a planner loses; infinite: it does not fit.
double lost(const Trace& trace, const Plan& plan, std::size_t budget) {
  const checkpoint::Simulation judged = checkpoint::simulate(trace, plan);
  return judged.peak_bytes <= budget ? judged.replayed_seconds : kInfinity;
}

double judged_as_plan(const Trace& trace, const checkpoint::Optimum& best, std::size_t budget) {
  if (best.as_plan.kept.empty()) return kInfinity;
  const checkpoint::ForwardBuffers forward = checkpoint::forward_buffers(trace);
  checkpoint::KeepPlan schedule =
      checkpoint::keep_plan(forward, best.as_plan, checkpoint::demand(forward, best.as_plan));
  Plan plan = checkpoint::plan_of(trace, schedule.regions);
  plan.decisions = std::move(schedule.decisions);
  return lost(trace, plan, budget);
}

// False: the program of plans was solved, and `graph` loses over 5 % more.
bool print_row(const Trace& trace, std::size_t budget, double share, double seconds) {
  const double rotor = lost(trace, checkpoint::rotor_planner(trace, {.budget = budget}), budget),
               graph = lost(trace, checkpoint::graph_planner(trace, {.budget = budget}), budget);
  const auto start = std::chrono::steady_clock::now();
  const checkpoint::Optimum flat = checkpoint::optimum(trace, {budget, seconds, true});
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const checkpoint::Optimum any = checkpoint::optimum(trace, {budget, seconds, false});
  const double excess = graph <= flat.bound ? 0 : graph / flat.bound - 1;
  fmt::print(
      "{:>6.2f} {:>11} {:>10.4f} {:>10.4f} {:>10.4f} {:>8} {:>10.4f} {:>7.1f} {:>10.4f} {:>8} {:>6.1f} s\n",
      share, budget, rotor * 1e3, graph * 1e3, flat.bound * 1e3, flat.proven ? "solved" : "stopped",
      judged_as_plan(trace, flat, budget) * 1e3, 100 * excess, any.bound * 1e3,
      any.proven ? "solved" : "stopped", took);
  std::fflush(stdout);
  return !flat.proven || excess <= 0.05;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 60;
  const std::vector<Case> cases = {{"lenet", ready("lenet"), 64, 0},
                                   {"gpt, 1 layer", gpt(1), 8, 0},
                                   {"gpt, 2 layers", gpt(2), 8, 0},
                                   {"gpt, 3 layers", gpt(3), 8, 0},
                                   {"resnet18, 32 pixels", ready("resnet18"), 8, 32},
                                   {"resnet18, 64 pixels", ready("resnet18"), 16, 64},
                                   {"resnet34, 64 pixels", ready("resnet34"), 16, 64},
                                   {"resnet50, 224 pixels", ready("resnet50"), 8, 0}};
  bool good = true;
  for (const Case& one : cases) {
    if (argc > 2 && one.name.find(argv[2]) == std::string::npos) continue;
    const Trace trace = trace_of(one);
    const std::size_t all = checkpoint::simulate(trace, checkpoint::plan_of(trace, {})).peak_bytes,
                      least = checkpoint::graph_planner(trace, {.budget = 1}).predicted_peak();
    double forward = 0;
    for (const TraceNode& node : trace.nodes) forward += node.seconds;
    fmt::print("{}, batch {}: {} nodes, {:.4f} ms forward; milliseconds that replays take\n", one.name,
               one.batch, trace.nodes.size(), forward * 1e3);
    fmt::print("{:>6} {:>11} {:>10} {:>10} {:>10} {:>8} {:>10} {:>7} {:>10} {:>8} {:>8}\n", "share", "budget",
               "rotor", "graph", "optimum", "", "as plan", "over %", "Checkmate", "", "took");
    constexpr std::size_t kBudgets = 5;
    for (std::size_t i = 0; i < kBudgets; ++i)
      good &= print_row(trace, least + (all - least) * i / kBudgets,
                        static_cast<double>(i) / static_cast<double>(kBudgets), seconds);
  }
  return good ? 0 : 1;
}
