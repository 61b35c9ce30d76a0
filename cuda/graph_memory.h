#pragma once
// The memory of a step that is captured as a CUDA graph. A graph keeps the addresses that it was captured with, so its buffers
// lie in one range of device memory, and its offloaded copies in page-locked memory, that nobody else gets while it lives.
//
// How long the range must be is found in a warm-up, in which buffers come from the device's pool as ever, and the range's places
// are only counted. Released places serve again at once: all work is in the order of one stream.
#include <cuda_runtime_api.h>

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "reprise/core/random.h"
#include "reprise/cuda/pinned_memory.h"
#include "reprise/cuda/placement.h"

namespace reprise::cuda {

// Not thread-safe.
class GraphMemory {
 public:
  explicit GraphMemory(cudaStream_t copies) : pinned(copies, PinnedMemory::Keep::all) {}

  // In the warm-up: a buffer of the pool, and its release; one that is not known was there before.
  void count(const void* data, std::size_t bytes);
  void count_release(const void* data) noexcept;

  // Of the range, as long as the warm-up's places reach.
  std::size_t bytes() const { return kHead + counted_bytes_; }
  // The range is there: from here on buffers come from it.
  void settle(void* range);
  // Null: the warm-up did not ask for it.
  void* allocate(std::size_t bytes);
  bool contains(const void* data) const;
  void release(const void* data) noexcept;
  // At the range's head: where the random numbers of a launch begin.
  RandomAddress* random() const { return reinterpret_cast<RandomAddress*>(range_); }
  void* range() const { return range_; }

  bool in_use() const { return launchable || !places_.empty() || pinned.used() > 0; }

  bool launchable = true;   // its step is being captured, or its graph is there
  PinnedMemory pinned;      // of its offloaded copies
  std::vector<void*> kept;  // not of the range, released while the step was captured, which may read them

 private:
  static constexpr std::size_t kHead = 256;
  std::byte* range_ = nullptr;
  Placement places_;
  std::size_t counted_bytes_ = 0;                         // the warm-up's reach
  std::unordered_map<const void*, std::size_t> counted_;  // buffers of the warm-up: their places
};

}  // namespace reprise::cuda
