#include "reprise/checkpoint/chain_costs.h"

#include <algorithm>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/forward_pass.h"
#include "reprise/checkpoint/simulate.h"

namespace reprise::checkpoint {
namespace {

class Stages {
 public:
  explicit Stages(const Trace& trace) : trace_(trace) {
    for (const TraceValue& value : trace.values)
      if (storages_ <= value.storage) storages_ = value.storage + 1;
    maker_.assign(static_cast<std::size_t>(storages_), -1);
    for (std::size_t n = trace.nodes.size(); n-- > 0;)
      for (const std::int32_t v : trace.nodes[n].outputs)
        maker_[storage(v)] = static_cast<std::int32_t>(n);  // the first that has it: later ones are views
    for (const TraceValue& value : trace.values)
      if (value.maker < 0) maker_[static_cast<std::size_t>(value.storage)] = -1;
  }

  ChainStage measure(std::int32_t first, std::int32_t last, std::int32_t forward_nodes) const {
    ChainStage stage{.first = first, .last = last};
    // What is read later and carries a gradient: in a chain one buffer.
    std::vector<std::size_t> output;
    for (std::int32_t n = last; n < forward_nodes; ++n)
      for (const std::int32_t v : node(n).inputs) {
        const std::int32_t maker = maker_[storage(v)];
        if (maker < first || maker >= last || !node(maker).tracked || contains(output, storage(v))) continue;
        output.push_back(storage(v));
        stage.output += bytes(v);
      }
    std::vector<std::size_t> saved;
    for (std::int32_t n = first; n < last; ++n)
      for (const std::int32_t v : node(n).saved)
        if (const std::int32_t maker = maker_[storage(v)];
            maker >= first && maker < last && !contains(saved, storage(v))) {
          saved.push_back(storage(v));
          if (!contains(output, storage(v)))
            stage.saved += bytes(v);
          else
            stage.saves_output = true;
        }
    stage.seconds_saved = seconds(first, last, saved);
    stage.seconds_output = seconds(first, last, output);
    saved.insert(saved.end(), output.begin(), output.end());
    stage.seconds_both = seconds(first, last, saved);
    return stage;
  }

 private:
  const TraceNode& node(std::int32_t n) const { return trace_.nodes[static_cast<std::size_t>(n)]; }
  const TraceValue& value(std::int32_t v) const { return trace_.values[static_cast<std::size_t>(v)]; }
  std::size_t storage(std::int32_t v) const { return static_cast<std::size_t>(value(v).storage); }
  std::int64_t bytes(std::int32_t v) const { return static_cast<std::int64_t>(value(v).bytes); }
  static bool contains(const std::vector<std::size_t>& list, std::size_t storage) {
    return std::find(list.begin(), list.end(), storage) != list.end();
  }

  // Of the nodes that make these buffers, and what they need, from what was made before node `first`.
  double seconds(std::int32_t first, std::int32_t last, std::vector<std::size_t> wanted) const {
    double sum = 0;
    for (std::int32_t n = last - 1; n >= first; --n) {
      const bool run = std::any_of(node(n).outputs.begin(), node(n).outputs.end(), [&](std::int32_t v) {
        return maker_[storage(v)] == n && contains(wanted, storage(v));
      });
      if (!run) continue;
      sum += node(n).seconds;
      for (const std::int32_t v : node(n).inputs) wanted.push_back(storage(v));
    }
    return sum;
  }

  const Trace& trace_;
  std::int32_t storages_ = 0;
  std::vector<std::int32_t> maker_;  // per buffer
};

}  // namespace

std::vector<ChainStage> chain_costs(const Trace& trace, const std::vector<std::int32_t>& edges) {
  const Stages stages(trace);
  std::vector<ChainStage> result;
  std::vector<PlanRegion> each;
  std::vector<std::size_t> stage_of(trace.nodes.size());
  for (std::size_t i = 0; i + 1 < edges.size(); ++i) {
    result.push_back(stages.measure(edges[i], edges[i + 1], edges.back()));
    each.push_back({edges[i], edges[i + 1]});
    for (std::int32_t n = edges[i]; n < edges[i + 1]; ++n) stage_of[static_cast<std::size_t>(n)] = i;
  }
  // before[i]: what the stages before i hold when everything, or only outputs, are kept.
  std::vector<std::int64_t> all_before(result.size() + 1), outputs_before(result.size() + 1);
  for (std::size_t i = 0; i < result.size(); ++i) {
    all_before[i + 1] = all_before[i] + result[i].saved + result[i].output;
    outputs_before[i + 1] = outputs_before[i] + result[i].output;
  }
  const std::size_t base = bytes_before_first_node(trace);
  const auto above_base = [&](std::size_t bytes) {
    return static_cast<std::int64_t>(bytes) - static_cast<std::int64_t>(base);
  };
  const auto raise = [](std::int64_t& to, std::int64_t value) { to = std::max(to, value); };
  for (const Moment& moment : moments(trace, plan_of(trace, {}))) {
    if (moment.node >= edges.back()) continue;
    const std::size_t i = stage_of[static_cast<std::size_t>(moment.node)];
    const std::int64_t highest = above_base(moment.highest) - all_before[i];
    if (moment.event == Event::forward) raise(result[i].forward_keeping, highest);
    if (moment.event != Event::backward) continue;
    raise(result[i].backward, highest);
    // The last such moment of a stage stands: the stages before it are all that is left.
    if (i > 0)
      result[i - 1].gradients_after =
          above_base(moment.after) - all_before[i] + (result[i - 1].saves_output ? 0 : result[i - 1].output);
  }
  for (const Moment& moment : moments(trace, plan_of(trace, each)))
    if (moment.event == Event::forward && moment.node < edges.back()) {
      const std::size_t i = stage_of[static_cast<std::size_t>(moment.node)];
      raise(result[i].forward_alone, above_base(moment.highest) - outputs_before[i]);
    }
  return result;
}

}  // namespace reprise::checkpoint
