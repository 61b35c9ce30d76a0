#pragma once
// Places for blocks in one range of addresses that is not there yet: each begins in the first gap that it fits into. The same
// calls give the same places, so that a range as long as one round of them reaches serves the next round too.
#include <cstddef>
#include <map>

namespace reprise::cuda {

class Placement {
 public:
  std::size_t place(std::size_t bytes);  // the block's beginning, a multiple of 256
  void release(std::size_t begin) noexcept;
  std::size_t reach() const { return reach_; }  // every block that there was ends here or before
  bool empty() const { return placed_.empty(); }

 private:
  std::map<std::size_t, std::size_t> placed_, gaps_;  // bytes by beginning; gaps do not touch each other
  std::size_t end_ = 0, reach_ = 0;                   // nothing is placed from `end_` on
};

}  // namespace reprise::cuda
