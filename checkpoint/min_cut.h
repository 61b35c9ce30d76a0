#pragma once
// The cheapest cut between source and sink of a network (Dinic, "Algorithm for solution of a problem of maximum flow in
// networks with power estimation", 1970).
#include <cstdint>
#include <limits>
#include <vector>

namespace reprise::checkpoint {

class MinCut {
 public:
  static constexpr std::int64_t kNever =
      std::numeric_limits<std::int64_t>::max() / 4;  // an edge that is not cut

  explicit MinCut(std::int32_t vertices);
  // From one vertex to another; cut, it costs this.
  void edge(std::int32_t from, std::int32_t to, std::int64_t cost);
  // Which vertices lie on the source's side of the cheapest cut, the smallest such set. Once.
  std::vector<bool> source_side(std::int32_t source, std::int32_t sink) &&;

 private:
  struct Edge {
    std::int32_t to;
    std::int32_t next;  // of the same vertex; -1: none
    std::int64_t room;
  };
  bool find_levels(std::int32_t source, std::int32_t sink);
  bool push_path(std::int32_t source, std::int32_t sink);

  std::vector<Edge> edges_;  // each with its reverse beside it
  std::vector<std::int32_t> first_, current_, level_;
};

}  // namespace reprise::checkpoint
