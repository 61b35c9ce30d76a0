// `reprise plan`: what a training step takes under each planner, foretold by a dry run; the model need not fit.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reprise/autograd/op.h"
#include "reprise/checkpoint/forward_pass.h"
#include "reprise/checkpoint/plan_diff.h"
#include "reprise/checkpoint/planners.h"
#include "reprise/checkpoint/simulate.h"
#include "reprise/cli/bytes.h"
#include "reprise/cli/frontier.h"
#include "reprise/cli/network.h"
#include "reprise/cli/options.h"
#include "reprise/cli/output.h"
#include "reprise/cli/training_step.h"
#include "reprise/core/memory.h"
#include "reprise/core/output_file.h"
#include "reprise/core/parallel.h"
#include "reprise/core/random.h"

namespace reprise::cli {
namespace {

// What a step is made of. To be planned it is made inside the dry run.
struct StepParts {
  nn::Model model;
  std::unique_ptr<optim::Optimizer> optimizer;
  data::Batch batch;
};

StepParts make_step(const PlanCommandOptions& options, const ModelInput& input, std::int64_t batch) {
  const NoGrad no_grad;
  manual_seed(0);
  nn::Model model = make_network(options.model, options.shape, input, parse_dtype(options.dtype));
  auto optimizer = make_step_optimizer(options.optimizer, options.model, model.parameters());
  const memory::TagScope data(memory::Tag::data);
  std::vector<std::int64_t> samples{batch}, targets{batch};
  for (const std::int64_t extent : input.sample.extents()) samples.push_back(extent);
  if (input.dtype == DType::i64) targets = samples;
  return {std::move(model),
          std::move(optimizer),
          {Tensor::zeros(samples, {.dtype = input.dtype}), Tensor::zeros(targets, {.dtype = DType::i64})}};
}

struct Traced {
  Trace trace;
  std::size_t base = 0;  // parameters, buffers and optimizer state
};

Traced trace_step(const PlanCommandOptions& options, const ModelInput& input, std::int64_t batch) {
  Traced traced;
  traced.trace = checkpoint::trace([&](Tape& tape) {
    const std::size_t before = memory::peak_without_data(Device::cpu());
    StepParts dry = make_step(options, input, batch);
    memory::reset_peak(Device::cpu());
    traced.base = memory::peak_without_data(Device::cpu()) - before;
    step_of(dry.model, {}, dry.batch)(tape);
  });
  return traced;
}

double forward_flops(const Trace& trace) {
  double flops = 0;
  for (const TraceEvent& event : trace.events) {
    if (event.kind == TraceEvent::Kind::backward) break;
    if (event.kind == TraceEvent::Kind::node)
      flops += trace.nodes[static_cast<std::size_t>(event.index)].flops;
  }
  return flops;
}

// Does any plan of the planner fit?
bool fits(const PlanCommandOptions& options, const ModelInput& input, std::int64_t batch) {
  const Traced traced = trace_step(options, input, batch);
  const Plan plan = checkpoint::planner_by_name(options.planner)(traced.trace, {.budget = *options.budget});
  return plan.predicted_peak() <= *options.budget;
}

// Doubling from 1 up to the most that --batch takes, then halving; 0: not even one sample fits.
std::int64_t largest_batch(const std::function<bool(std::int64_t)>& fitting) {
  if (!fitting(1)) return 0;
  if (fitting(kBatch.most)) return kBatch.most;
  std::int64_t good = 1, bad = 2;
  while (bad < kBatch.most && fitting(bad)) {
    good = bad;
    bad *= 2;
  }
  bad = std::min(bad, kBatch.most);
  while (bad - good > std::max<std::int64_t>(1, good / 64)) {
    const std::int64_t middle = (good + bad) / 2;
    (fitting(middle) ? good : bad) = middle;
  }
  return good;
}

// The step's time beside that without checkpointing, by the modelled time of what runs again: backward takes about twice the
// forward's.
double modelled_time(const Trace& trace, const checkpoint::Simulation& simulation) {
  double forward = 0;
  for (std::int32_t n = 0; n < checkpoint::forward_nodes(trace); ++n)
    forward += trace.nodes[static_cast<std::size_t>(n)].seconds;
  return 1 + simulation.replayed_seconds / (3 * forward);
}

// The median time of real steps, in turn with steps without checkpointing, beside theirs; nothing where memory does not do.
class Stopwatch {
 public:
  Stopwatch(const PlanCommandOptions& options, const ModelInput& input, std::int64_t batch)
      : steps_(options.steps), real_(make_step(options, input, batch)) {}

  std::optional<std::pair<double, StepFigures>> time(const Checkpointing& checkpointing) {
    std::vector<double> shares;
    StepFigures figures;
    try {
      run(checkpointing);
      for (std::int64_t i = 0; i < steps_; ++i) {
        const double without = run({}).seconds;
        figures = run(checkpointing);
        shares.push_back(figures.seconds / without);
      }
    } catch (const OutOfMemory&) {
      return std::nullopt;
    }
    std::sort(shares.begin(), shares.end());
    return std::pair{shares[shares.size() / 2], figures};
  }

 private:
  StepFigures run(const Checkpointing& checkpointing) {
    return training_step(real_.model, checkpointing, *real_.optimizer, real_.batch, Measure::bytes);
  }
  std::int64_t steps_;
  StepParts real_;
};

int sweep(const PlanCommandOptions& options, const ModelInput& input, std::int64_t batch,
          const Traced& traced, const checkpoint::Simulation& all) {
  constexpr std::size_t kBudgets = 12;
  const Trace& trace = traced.trace;
  const std::size_t activations = all.peak_bytes - traced.base;
  const double flops = forward_flops(trace);
  std::optional<Stopwatch> stopwatch;
  if (options.steps > 0) stopwatch.emplace(options, input, batch);
  std::vector<FrontierPoint> points;
  const auto share = [&](std::size_t peak) {
    return static_cast<double>(peak - traced.base) / static_cast<double>(activations);
  };
  std::size_t least_of_all = all.peak_bytes;
  for (const std::string_view name : checkpoint::planner_names()) {
    const checkpoint::Planner planner = checkpoint::planner_by_name(name);
    const std::size_t least = planner(trace, {.budget = 1}).predicted_peak();
    least_of_all = std::min(least_of_all, least);
    std::size_t peak_before = 0;
    for (std::size_t i = 0; i < kBudgets; ++i) {
      const std::size_t budget = least + (all.peak_bytes - least) * i / (kBudgets - 1);
      Plan made = planner(trace, {.budget = budget});
      const checkpoint::Simulation simulation = checkpoint::simulate(trace, made);
      if (std::exchange(peak_before, simulation.peak_bytes) == simulation.peak_bytes) continue;
      double time = modelled_time(trace, simulation);
      if (stopwatch) {
        const auto measured = stopwatch->time({.plan = std::move(made)});
        if (!measured) continue;
        time = measured->first;
      }
      points.push_back({std::string(name), budget, simulation.peak_bytes, share(simulation.peak_bytes),
                        simulation.replays, flops > 0 ? simulation.recomputed_flops / flops : 0, time});
    }
  }
  for (std::size_t i = 0; stopwatch && i < kBudgets; ++i) {
    const std::size_t budget = least_of_all + (all.peak_bytes - least_of_all) * i / (kBudgets - 1);
    if (const auto measured = stopwatch->time({.online_budget = budget})) {
      const StepFigures& figures = measured->second;
      const std::size_t peak = traced.base + figures.peak_activation_bytes();
      points.push_back(
          {"dtr", budget, peak, share(peak), figures.replayed_nodes, std::nullopt, measured->first});
    }
  }
  replace_file(options.sweep + ".csv", to_csv(points));
  replace_file(options.sweep + ".svg", to_svg(fmt::format("{}, batch {}, {}{}", options.model, batch,
                                                          options.dtype, stopwatch ? "" : ": time modelled"),
                                              points));
  say("wrote {0}.csv and {0}.svg\n", options.sweep);
  return 0;
}

// UsageError for options that need each other, FileError for files that cannot be written: before anything is planned.
void check_options(const PlanCommandOptions& options) {
  if (!options.diff.empty() && options.diff.size() != 2)
    throw UsageError("--diff: two plans are compared: --diff a.json,b.json");
  if (!options.out.empty() && !options.budget)
    throw UsageError("--out needs a --budget: which of these plans is wanted?");
  if (!options.out.empty()) check_writable(options.out);
  if (options.sweep.empty()) return;
  for (const char* ending : {".csv", ".svg"}) check_writable(options.sweep + ending);
}

}  // namespace

int plan(const PlanCommandOptions& options) {
  check_options(options);
  if (!options.diff.empty()) {
    const std::string differences =
        checkpoint::diff(Plan::load(options.diff[0]), Plan::load(options.diff[1]));
    say("{}", differences.empty() ? "the plans are the same\n" : differences);
    return 0;
  }
  const auto start = std::chrono::steady_clock::now();
  if (options.threads > 0) set_num_threads(options.threads);
  const ModelInput input = default_input(options.model, options.shape);
  const std::int64_t batch = options.batch > 0 ? options.batch : default_batch(options.model);
  const Traced traced = trace_step(options, input, batch);
  const Trace& trace = traced.trace;
  const checkpoint::Simulation all = checkpoint::simulate(trace, checkpoint::PlanBuilder(trace).finish());
  if (!options.validate.empty()) {
    const Plan given = Plan::load(options.validate);
    checkpoint::validate(given, trace);
    const checkpoint::Simulation simulation = checkpoint::simulate(trace, given);
    say("{}: a plan for this step: peak {} bytes, {} nodes run again\n", options.validate,
        simulation.peak_bytes, simulation.replays);
    return 0;
  }
  if (!options.sweep.empty()) return sweep(options, input, batch, traced, all);
  const std::size_t activations = all.peak_bytes - traced.base;
  const double flops = forward_flops(trace);

  say("{}, batch {}, {}: {} nodes, parameters and optimizer {}, keeping everything {}\n", options.model,
      batch, options.dtype, trace.nodes.size(), megabytes(traced.base), megabytes(all.peak_bytes));
  say("{:10} {:>12} {:>12} {:>12} {:>8} {:>9} {:>12}\n", "planner", "budget", "peak", "activations", "share",
      "replays", "extra flops");
  const auto row = [&](std::string_view name, std::size_t budget, const checkpoint::Simulation& s) {
    const std::size_t own = s.peak_bytes - traced.base;
    say("{:10} {:>12} {:>12} {:>12} {:>8.3f} {:>9} {:>11.1f}%{}\n", name, budget ? megabytes(budget) : "-",
        megabytes(s.peak_bytes), megabytes(own), static_cast<double>(own) / static_cast<double>(activations),
        s.replays, flops > 0 ? 100 * s.recomputed_flops / flops : 0.0,
        budget && s.peak_bytes > budget ? "  does not fit" : "");
  };
  row("none", 0, all);
  std::optional<Plan> chosen;
  std::size_t least = all.peak_bytes;
  const std::vector<std::size_t> budgets =
      options.budget
          ? std::vector<std::size_t>{*options.budget}
          : std::vector<std::size_t>{traced.base + activations / 2, traced.base + activations / 4, 1};
  for (const std::size_t budget : budgets)
    for (const std::string_view name : checkpoint::planner_names()) {
      if (options.planner != "auto" && options.planner != name) continue;
      Plan made = checkpoint::planner_by_name(name)(trace, {.budget = budget});
      const checkpoint::Simulation simulation = checkpoint::simulate(trace, made);
      row(name, budget == 1 ? 0 : budget, simulation);
      least = std::min(least, simulation.peak_bytes);
      if (name == options.planner && (budget != 1 || !chosen)) chosen = std::move(made);
    }
  say("extra flops: of one forward pass; share: of the activations without checkpointing; planned in {:.1f} "
      "s\n",
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (!options.budget) return 0;
  const std::int64_t planned = largest_batch([&](std::int64_t n) { return fits(options, input, n); });
  const std::int64_t unplanned = largest_batch([&](std::int64_t n) {
    const Traced other = trace_step(options, input, n);
    return checkpoint::simulate(other.trace, checkpoint::PlanBuilder(other.trace).finish()).peak_bytes <=
           *options.budget;
  });
  say("largest batch within {}: {} with a plan, {} keeping everything\n", megabytes(*options.budget), planned,
      unplanned);
  if (chosen->predicted_peak() > *options.budget)
    throw UserError(fmt::format("no plan fits {} bytes: the least is {}", *options.budget, least));
  if (!options.out.empty()) {
    chosen->save(options.out);
    say("wrote {}\n", options.out);
  }
  return 0;
}

}  // namespace reprise::cli
