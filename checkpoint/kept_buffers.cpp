#include "reprise/checkpoint/kept_buffers.h"

#include <algorithm>
#include <utility>

namespace reprise::checkpoint {
namespace {

std::size_t at(std::int32_t i) { return static_cast<std::size_t>(i); }

}  // namespace

KeptBuffers kept_buffers(const ForwardBuffers& forward, const Plan& plan) {
  const auto nodes = static_cast<std::int32_t>(forward.reads.size());
  KeptBuffers result{std::vector<bool>(forward.buffers.size()), std::vector<bool>(at(nodes))};
  std::vector<bool> inside(at(nodes));
  for (const PlanRegion& region : plan.regions) {
    std::fill(inside.begin() + region.first, inside.begin() + std::min(region.last, nodes), true);
    for (const std::int32_t edge : {region.first, region.last})
      if (edge < nodes) result.cut[at(edge)] = true;
  }
  for (std::size_t b = 0; b < forward.buffers.size(); ++b) {
    const ForwardBuffer& buffer = forward.buffers[b];
    result.kept[b] = buffer.last_alive == nodes || (!inside[at(buffer.maker)] && !buffer.savers.empty());
  }
  std::size_t b = 0;
  for (const PlanDecision& decision : plan.decisions) {
    const std::pair wanted(decision.node, decision.output);
    const auto place = [&] { return std::pair(forward.buffers[b].maker, forward.buffers[b].output); };
    while (b < forward.buffers.size() && place() < wanted) ++b;
    if (b < forward.buffers.size() && place() == wanted) result.kept[b] = decision.decision == Decision::keep;
  }
  return result;
}

Demand demand(const ForwardBuffers& forward, const KeptBuffers& buffers) {
  const auto nodes = static_cast<std::int32_t>(forward.reads.size());
  Demand result;
  result.runs.resize(at(nodes));
  result.wanted.resize(forward.buffers.size());
  result.last_use.resize(forward.buffers.size(), -1);
  result.first_held.resize(forward.buffers.size(), nodes);
  result.next_cut.resize(at(nodes), nodes);
  for (std::int32_t n = nodes - 2; n >= 0; --n)
    result.next_cut[at(n)] = buffers.cut[at(n) + 1] ? n + 1 : result.next_cut[at(n) + 1];
  const auto use = [&](std::int32_t b, std::int32_t n) {
    result.wanted[at(b)] = true;
    if (n >= result.next_cut[at(forward.buffers[at(b)].maker)])
      result.first_held[at(b)] = std::min(result.first_held[at(b)], n);
    else
      result.last_use[at(b)] = std::max(result.last_use[at(b)], n);
  };
  for (std::int32_t n = nodes - 1; n >= 0; --n) {
    for (const std::int32_t b : forward.saves[at(n)]) use(b, n);
    for (const std::int32_t b : forward.makes[at(n)])
      if (result.last_use[at(b)] >= 0 && !buffers.kept[at(b)]) result.runs[at(n)] = true;
    if (result.runs[at(n)])
      for (const std::int32_t b : forward.reads[at(n)]) use(b, n);
  }
  return result;
}

KeepPlan keep_plan(const ForwardBuffers& forward, const KeptBuffers& buffers, const Demand& demand) {
  const auto nodes = static_cast<std::int32_t>(forward.reads.size());
  std::vector<PlanRegion> passages;
  for (std::size_t b = 0; b < forward.buffers.size(); ++b) {
    if (buffers.kept[b] || demand.last_use[b] < 0) continue;
    const PlanRegion passage{forward.buffers[b].maker, demand.last_use[b] + 1};
    if (!passages.empty() && passage.first < passages.back().last)
      passages.back().last = std::max(passages.back().last, passage.last);
    else
      passages.push_back(passage);
  }
  KeepPlan plan;
  std::size_t next = 0;
  for (std::int32_t n = 0; n < nodes;) {
    if (next < passages.size() && passages[next].first == n) {
      n = passages[next].last;
      plan.regions.push_back(passages[next++]);
      continue;
    }
    if (!forward.saves[at(n)].empty()) plan.regions.push_back({n, n + 1});
    ++n;
  }
  std::size_t r = 0;
  for (std::size_t b = 0; b < forward.buffers.size(); ++b) {
    const ForwardBuffer& made = forward.buffers[b];
    while (r < plan.regions.size() && plan.regions[r].last <= made.maker) ++r;
    if (r < plan.regions.size() && plan.regions[r].first <= made.maker && buffers.kept[b] && demand.wanted[b])
      plan.decisions.push_back({made.maker, made.output, Decision::keep});
  }
  return plan;
}

}  // namespace reprise::checkpoint
