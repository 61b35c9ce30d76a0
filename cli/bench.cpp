// `reprise bench`: one line of JSON about a step on made-up input.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "reprise/cli/graph_step.h"
#include "reprise/cli/network.h"
#include "reprise/cli/options.h"
#include "reprise/cli/output.h"
#include "reprise/cli/planning.h"
#include "reprise/cli/process.h"
#include "reprise/cli/profile.h"
#include "reprise/cli/source.h"
#include "reprise/cli/training_step.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/core/parallel.h"
#include "reprise/core/random.h"

namespace reprise::cli {
namespace {

constexpr int kWarmUp = 2;

// To a tenth.
double megabytes_of(std::size_t bytes) { return std::round(static_cast<double>(bytes) / 0x1p20 * 10) / 10; }

}  // namespace

int bench(const BenchOptions& options) {
  const DType dtype = parse_dtype(options.dtype);
  if (options.threads > 0) set_num_threads(options.threads);
  const Device device = parse_device(options.device);
  if (options.profile && device.kind != Device::CPU)
    throw UsageError("--profile: the machine's peak is measured on the cpu only");
  if (options.memory_limit) memory::set_limit(device, *options.memory_limit);
  const std::size_t base = resident_bytes();

  manual_seed(options.seed);
  const ModelInput input = default_input(options.model, options.shape);
  const std::int64_t size = options.batch > 0 ? options.batch : default_batch(options.model);
  nn::Model model = make_network(options.model, options.shape, input, dtype, device);
  const nn::CheckpointSetting named = parse_checkpoint(options.checkpoint, model);
  const auto optimizer = make_step_optimizer(options.optimizer, options.model, model.parameters());
  const Source source = open_source("synthetic", data::Split::train,
                                    {.sample = input.sample,
                                     .dtype = input.dtype,
                                     .classes = input.classes,
                                     .samples = size,
                                     .seed = options.seed});
  const data::Batch batch = on_device(batch_in_order(source, 0, size), device);

  const Checkpointing setting = chosen_checkpointing(options.plan, named, step_of(model, {}, batch));

  if (options.cuda_graph) check_cuda_graph(device, setting);

  for (int i = 0; i < kWarmUp; ++i) training_step(model, setting, *optimizer, batch, Measure::time);
  std::size_t predicted = 0;
  if (!setting.online_budget) {
    const DryRun dry;
    predicted = training_step(model, setting, *optimizer, batch, Measure::bytes).peak_bytes;
  }
  std::optional<GraphStep> graph;
  if (options.cuda_graph) {
    graph.emplace(model, setting, *optimizer, batch);
    for (int i = 0; i < kWarmUp; ++i) (*graph)(batch);
  }
  StepFigures figures;
  std::vector<double> seconds;
  for (std::int64_t i = 0; i < options.steps; ++i) {
    figures = graph ? (*graph)(batch) : training_step(model, setting, *optimizer, batch, Measure::bytes);
    seconds.push_back(figures.seconds);
  }
  std::sort(seconds.begin(), seconds.end());

  nlohmann::ordered_json line;
  line["model"] = options.model;
  line["dtype"] = options.dtype;
  if (device != Device::cpu()) line["device"] = to_string(device);
  line["checkpoint"] = setting.online_budget ? "dtr" : setting.plan ? "plan" : options.checkpoint;
  if (options.plan.budget) line["budget_bytes"] = *options.plan.budget;
  line["median_s"] = seconds[seconds.size() / 2];
  line["min_s"] = seconds.front();
  line["peak_bytes"] = figures.peak_bytes;
  if (!setting.online_budget) line["predicted_peak_bytes"] = predicted;
  line["peak_activation_bytes"] = figures.peak_activation_bytes();
  if (graph) line["cuda_graph_bytes"] = graph->bytes();
  line["peak_by_tag"] = figures.peak_by_tag;
  line["replayed_nodes"] = figures.replayed_nodes;
  line["params"] = model.parameter_count();
  line["base_rss_mb"] = megabytes_of(base);
  line["peak_rss_mb"] = megabytes_of(std::max(highest_resident_bytes(), base) - base);
  if (options.profile) {
    Profile profile;
    double total = 0;
    {
      const TimedOps timed(profile);
      for (std::int64_t i = 0; i < options.steps; ++i)
        total += training_step(model, setting, *optimizer, batch, Measure::time).seconds;
    }
    const double step = total / static_cast<double>(options.steps);
    const MachinePeak peak = measure_machine();
    profile.print(options.steps, step, peak);
    say("\n");
    line["profile"] = profile.to_json(options.steps, step, peak);
  }
  say("{}\n", line.dump());
  return 0;
}

}  // namespace reprise::cli
