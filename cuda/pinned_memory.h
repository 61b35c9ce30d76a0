#pragma once
// Page-locked host memory for copies that leave the device for a while. To lock pages costs more than to copy them, so
// released blocks are kept for copies of the same size, the next step's; blocks in use and kept together never hold more
// than were in use at most, unless all are kept.
#include <cuda_runtime_api.h>

#include <cstddef>
#include <map>
#include <unordered_set>
#include <vector>

namespace reprise::cuda {

// Not thread-safe.
class PinnedMemory {
 public:
  // all: whatever was asked for once is there when it is asked for again (graph_memory.h).
  enum class Keep { within_most_used, all };
  // All copies from and to the memory run in this stream, so that a block may be released and taken again behind them.
  PinnedMemory(cudaStream_t copies, Keep keep) : copies_(copies), keep_(keep) {}
  ~PinnedMemory();  // no block is in use, nor read or written any more
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  // OutOfMemory, which says what is in use and what to do.
  void* allocate(std::size_t bytes);
  // `bytes` as they were asked for.
  void release(void* host, std::size_t bytes) noexcept;
  bool keeps(std::size_t bytes) const;  // a block of this size: `allocate` need not make one
  bool owns(const void* host) const { return made_.contains(host); }
  std::size_t used() const { return used_; }

 private:
  struct Blocks {
    std::size_t count = 0;    // in use and kept
    std::vector<void*> kept;  // with room for all of them
  };
  void give_back(std::size_t most);
  void make(std::size_t size);

  cudaStream_t copies_;
  Keep keep_;
  std::unordered_set<const void*> made_;             // in use and kept
  std::map<std::size_t, Blocks> blocks_;             // by size
  std::size_t used_ = 0, kept_ = 0, most_used_ = 0;  // bytes
};

}  // namespace reprise::cuda
