#include "reprise/checkpoint/min_cut.h"

#include <algorithm>

namespace reprise::checkpoint {
namespace {

std::size_t at(std::int32_t i) { return static_cast<std::size_t>(i); }

}  // namespace

MinCut::MinCut(std::int32_t vertices) : first_(at(vertices), -1) {}

void MinCut::edge(std::int32_t from, std::int32_t to, std::int64_t cost) {
  const auto add = [this](std::int32_t a, std::int32_t b, std::int64_t room) {
    edges_.push_back({b, first_[at(a)], room});
    first_[at(a)] = static_cast<std::int32_t>(edges_.size()) - 1;
  };
  add(from, to, cost);
  add(to, from, 0);
}

// Distances from the source along edges with room. Is the sink in reach?
bool MinCut::find_levels(std::int32_t source, std::int32_t sink) {
  level_.assign(first_.size(), -1);
  level_[at(source)] = 0;
  std::vector<std::int32_t> queue{source};
  for (std::size_t i = 0; i < queue.size(); ++i)
    for (std::int32_t e = first_[at(queue[i])]; e >= 0; e = edges_[at(e)].next)
      if (edges_[at(e)].room > 0 && level_[at(edges_[at(e)].to)] < 0) {
        level_[at(edges_[at(e)].to)] = level_[at(queue[i])] + 1;
        queue.push_back(edges_[at(e)].to);
      }
  return level_[at(sink)] >= 0;
}

// Along one shortest path; false: none is left.
bool MinCut::push_path(std::int32_t source, std::int32_t sink) {
  std::vector<std::int32_t> path;  // edges
  for (std::int32_t vertex = source; vertex != sink;) {
    std::int32_t& e = current_[at(vertex)];
    while (e >= 0 && (edges_[at(e)].room == 0 || level_[at(edges_[at(e)].to)] != level_[at(vertex)] + 1))
      e = edges_[at(e)].next;
    if (e >= 0) {
      path.push_back(e);
      vertex = edges_[at(e)].to;
      continue;
    }
    if (path.empty()) return false;
    vertex = edges_[at(path.back() ^ 1)].to;  // a dead end: back, and past this edge
    current_[at(vertex)] = edges_[at(path.back())].next;
    path.pop_back();
  }
  std::int64_t amount = kNever;
  for (const std::int32_t e : path) amount = std::min(amount, edges_[at(e)].room);
  for (const std::int32_t e : path) {
    edges_[at(e)].room -= amount;
    edges_[at(e ^ 1)].room += amount;
  }
  return true;
}

std::vector<bool> MinCut::source_side(std::int32_t source, std::int32_t sink) && {
  while (find_levels(source, sink)) {
    current_ = first_;
    while (push_path(source, sink)) {
    }
  }
  std::vector<bool> side;
  for (const std::int32_t level : level_) side.push_back(level >= 0);
  return side;
}

}  // namespace reprise::checkpoint
