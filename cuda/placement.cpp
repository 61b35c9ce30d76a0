#include "reprise/cuda/placement.h"

#include <algorithm>
#include <iterator>

namespace reprise::cuda {

namespace {

constexpr std::size_t kUnit = 256;  // as cudaMalloc aligns

}  // namespace

std::size_t Placement::place(std::size_t bytes) {
  const std::size_t size = (bytes + kUnit - 1) / kUnit * kUnit;
  const auto gap =
      std::find_if(gaps_.begin(), gaps_.end(), [=](const auto& entry) { return entry.second >= size; });
  if (gap == gaps_.end()) {
    const std::size_t begin = end_;
    placed_.emplace(begin, size);
    end_ += size;
    reach_ = std::max(reach_, end_);
    return begin;
  }
  const auto [begin, length] = *gap;
  placed_.emplace(begin, size);
  if (length == size) {
    gaps_.erase(gap);
  } else {
    auto rest = gaps_.extract(gap);
    rest.key() = begin + size;
    rest.mapped() = length - size;
    gaps_.insert(std::move(rest));
  }
  return begin;
}

// The block's own entry becomes the gap's, so that nothing is allocated.
void Placement::release(std::size_t begin) noexcept {
  auto freed = placed_.extract(begin);
  const auto after = gaps_.find(begin + freed.mapped());
  if (after != gaps_.end()) {
    freed.mapped() += after->second;
    gaps_.erase(after);
  }
  const auto next = gaps_.lower_bound(begin);
  if (next != gaps_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == begin) {
      freed.key() = before->first;
      freed.mapped() += before->second;
      gaps_.erase(before);
    }
  }
  if (freed.key() + freed.mapped() == end_)
    end_ = freed.key();
  else
    gaps_.insert(std::move(freed));
}

}  // namespace reprise::cuda
