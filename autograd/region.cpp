// Regions: passages of the tape that keep nothing made inside them, found by their first and last node.
#include <algorithm>

#include "reprise/autograd/inline_buffer.h"
#include "reprise/autograd/tape_state.h"

namespace reprise {

double TapeState::flops(Index n) const {
  const Node& counted = node(n);
  InlineBuffer<ValueInfo, 4> infos(counted.inputs);
  for (std::size_t i = 0; i < counted.inputs; ++i) infos[i] = value(inputs(counted)[i]).info;
  return counted.op->flops(infos.span());
}

NodeInfo TapeState::describe(Index n) const {
  NodeInfo described{node(n).op->name(), 0, flops(n)};
  for (const Index v : outputs(node(n))) described.bytes += value(v).info.bytes();
  return described;
}

Decision TapeState::decide(Index r, Index n, Index output, const NodeInfo& described) const {
  if (plan && !walking) {
    const auto found =
        std::lower_bound(plan->decisions.begin(), plan->decisions.end(), std::pair{n, output},
                         [](const PlanDecision& decision, const std::pair<Index, Index>& place) {
                           return std::pair{decision.node, decision.output} < place;
                         });
    if (found != plan->decisions.end() && found->node == n && found->output == output) return found->decision;
  }
  if (!region(r).policy) return Decision::recompute;
  const UserCode running("a policy");
  return (*region(r).policy)(described);
}

// ---- while recording

// A mirror region holds the backward of the region it mirrors: what that one made counts as made inside.
bool TapeState::inside(Index r, Index maker) const {
  for (; r > 0; r = region(r).mirror)
    if (maker >= region(r).first && (region(r).last < 0 || maker < region(r).last)) return true;
  return false;
}

Index TapeState::push_region(RegionPolicy policy, Index mirror) {
  const auto r = static_cast<Index>(regions.size());
  Region& opened = regions.emplace_back();
  opened.first = node_count();
  opened.parent = innermost;
  opened.outermost = innermost == 0 ? r : region(innermost).outermost;
  opened.policy = std::move(policy);
  opened.mirror = mirror;
  innermost = r;
  if (opened.parent == 0) {
    opened.holding = true;
    if (mirror > 0)
      for (const Index s : region(mirror).held) {
        opened.held.push_back(s);
        hold(s);
      }
  }
  return r;
}

void TapeState::pop_region() {
  const Index r = innermost;
  region(r).last = node_count();
  innermost = region(r).parent;
  if (region(r).last > region(r).first) region(innermost).children.push_back(r);
  if (region(r).parent != 0) return;
  // Every outside input was held while recording; now it is known which of them pending saves need.
  std::vector<Index> exact = boundary(r, nullptr);
  std::erase_if(region(r).kept, [&](Index s) { return slot(s).mark != epoch; });
  for (const Index s : region(r).kept) exact.push_back(s);
  for (const Index s : exact) hold(s);
  for (const Index s : region(r).held) release(s);
  region(r).held = std::move(exact);
}

void TapeState::open_plan_regions() {
  if (!plan || walking) return;
  while (next_plan_region < plan->regions.size() && plan->regions[next_plan_region].first == node_count()) {
    const PlanRegion& planned = plan->regions[next_plan_region++];
    const Index r = push_region(nullptr);
    region(r).plan_last = planned.last;
    region(r).eager = planned.eager;
  }
}

void TapeState::close_plan_regions(bool all) {
  if (!plan || walking) return;
  while (innermost != 0 && (all || region(innermost).plan_last == node_count())) pop_region();
}

// ---- what a region needs

std::vector<Index> TapeState::boundary(Index r, const Walk* walk) {
  std::vector<Index> outside;
  const std::uint32_t mark = next_epoch();
  const auto need = [&](Index s) {
    if (slot(s).mark == mark) return;
    slot(s).mark = mark;
    if (!inside(r, slot(s).maker)) outside.push_back(s);
  };
  for (const Index s : region(r).kept) slot(s).kept_mark = mark;
  for (const Index s : region(r).parked)
    if (slot(s).host) slot(s).kept_mark = mark;
  for (Index q = r; q > 0; q = region(q).mirror) {
    const Index last = region(q).last < 0 ? node_count() : region(q).last;
    for (Index n = last - 1; n >= region(q).first; --n) {
      const Node& maker = node(n);
      const bool pending = walk ? walk->active[static_cast<std::size_t>(n)] != 0 : maker.tracked;
      if (q == r && pending) for_each_saved_slot(n, need);
      // If it must be run again, its inputs are needed; outputs that are kept do not ask for that.
      bool run_again = false;
      for (std::size_t j = 0; j < maker.outputs; ++j) {
        const Index s = value(outputs(maker)[j]).slot;
        if (slot(s).maker != n || slot(s).mark != mark) continue;
        const bool kept = slot(s).permanent || (q == r && slot(s).kept_mark == mark);
        if (!kept) run_again = true;
      }
      if (!run_again) continue;
      for (const Index v : inputs(maker)) need(value(v).slot);
    }
  }
  return outside;
}

void TapeState::hold_region(Index r) {
  Region& held = region(r);
  const std::size_t already = held.holding ? held.held.size() : 0;
  held.held.insert(held.held.end(), held.passed.rbegin(), held.passed.rend());
  held.passed.clear();
  for (std::size_t i = already; i < held.held.size(); ++i) hold(held.held[i]);
  if (held.holding) return;
  held.holding = true;
  for (const Index s : held.parked) ++slot(s).parked;
}

void TapeState::release_region(Index r) {
  Region& held = region(r);
  if (!held.holding) return;
  held.holding = false;
  for (const Index s : held.held) release(s);
  for (const Index s : held.parked) {
    --slot(s).parked;
    settle(s);
  }
}

// ---- while walking

// Opening only places holds: its own nodes' saves, and of each inner region, which stays closed, the boundary and what
// was kept. Bytes come when the first backward misses them.
void TapeState::open_region(Index r, const Walk& walk) {
  region(r).open = true;
  std::vector<Index> targets;
  std::size_t child = 0;
  for (Index n = region(r).first; n < region(r).last;) {
    if (child < region(r).children.size() && region(region(r).children[child]).first == n) {
      const Index q = region(r).children[child++];
      n = region(q).last;
      if (walk.any_active(region(q).first, region(q).last)) close_inner_region(q, walk, targets);
      continue;
    }
    if (walk.active[static_cast<std::size_t>(n)]) {
      hold_saves(n);
      for_each_saved_slot(n, [&](Index s) { targets.push_back(s); });
    }
    ++n;
  }
  if (region(r).eager) materialize(targets);
  // Where nothing is missing, the boundary and what was kept are of no use beside the saves themselves.
  if (region(r).parked.empty() && may_release(r, walk) && !misses_bytes(r, region(r).last, walk))
    release_region(r);
  if (walk.create) push_region(nullptr, r);
}

// Asks the policy of region q once for each node, and adds to `kept` what the policy keeps and nobody handed down.
void TapeState::add_policy_kept(Index q) {
  Region& inner = region(q);
  if (!inner.policy) return;
  const std::uint32_t mark = next_epoch();
  for (const Index s : inner.kept) slot(s).kept_mark = mark;
  for (Index n = inner.first; n < inner.last; ++n) {
    if (is_view(node(n))) continue;
    const NodeInfo described = describe(n);
    for (std::size_t j = 0; j < node(n).outputs; ++j) {
      const Index s = value(outputs(node(n))[j]).slot;
      const bool keeps = decide(q, n, static_cast<Index>(j), described) != Decision::recompute;
      if (keeps && slot(s).kept_mark != mark) inner.kept.push_back(s);
    }
  }
}

// An inner region of an opened one becomes an outermost closed region: its own policy decides now, and what the outer
// region kept is handed down.
void TapeState::close_inner_region(Index q, const Walk& walk, std::vector<Index>& targets) {
  const Region& outer = region(region(q).parent);
  Region& inner = region(q);
  const auto made_inside = [&](Index s) {
    return slot(s).maker >= inner.first && slot(s).maker < inner.last;
  };
  inner.kept.clear();
  inner.parked.clear();
  for (const Index s : outer.kept)
    if (made_inside(s)) inner.kept.push_back(s);
  for (const Index s : outer.parked)
    if (made_inside(s)) inner.parked.push_back(s);
  inner.passed.clear();
  add_policy_kept(q);
  inner.held = boundary(q, &walk);
  std::erase_if(inner.kept, [&](Index s) { return slot(s).mark != epoch; });
  std::sort(inner.kept.begin(), inner.kept.end(),
            [&](Index a, Index b) { return slot(a).maker < slot(b).maker; });
  inner.held.insert(inner.held.end(), inner.kept.begin(), inner.kept.end());
  inner.holding = false;
  hold_region(q);
  for (const Index s : inner.held) targets.push_back(s);
}

void TapeState::close_region(Index r, const Walk& walk) {
  region(r).open = false;
  if (may_release(r, walk)) release_region(r);
  if (walk.create) pop_region();
}

// A graph that is retained, or a region of which another backward may still need a part, keeps its boundary.
bool TapeState::may_release(Index r, const Walk& walk) const {
  return region(r).parent != 0 || !(walk.retain || region(r).needed_later);
}

void TapeState::pass(Index r, Index n, const Walk& walk) {
  Region& passed = region(r);
  if (!passed.holding || !may_release(r, walk)) return;
  while (!passed.held.empty() && slot(passed.held.back()).maker >= n) {
    passed.passed.push_back(passed.held.back());
    passed.held.pop_back();
    release(passed.passed.back());
  }
}

bool TapeState::misses_bytes(Index r, Index upto, const Walk& walk) const {
  const Region& opened = region(r);
  std::size_t child = 0;
  for (Index n = opened.first; n < std::min(opened.last, upto);) {
    if (child < opened.children.size() && region(opened.children[child]).first == n) {
      const Region& inner = region(opened.children[child++]);
      n = inner.last;
      if (!inner.holding) continue;
      if (inner.open) return true;
      for (const Index s : inner.held)
        if (!available(s)) return true;
      continue;
    }
    if (walk.active[static_cast<std::size_t>(n)] && node(n).holding)
      for (const Index place : saved_places(node(n)))
        if (!available(value(place_value(node(n), place)).slot)) return true;
    ++n;
  }
  return false;
}

}  // namespace reprise
