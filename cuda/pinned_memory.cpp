#include "reprise/cuda/pinned_memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "reprise/core/error.h"
#include "reprise/cuda/check.h"

namespace reprise::cuda {

namespace {

std::size_t whole_pages(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

}  // namespace

PinnedMemory::~PinnedMemory() {
  if (!made_.empty()) static_cast<void>(cudaStreamSynchronize(copies_));
  for (const void* block : made_) static_cast<void>(cudaFreeHost(const_cast<void*>(block)));
}

// Gives kept blocks back, the largest first, until no more than `most` bytes are kept.
void PinnedMemory::give_back(std::size_t most) {
  if (kept_ <= most || keep_ == Keep::all) return;
  check(cudaStreamSynchronize(copies_), "cudaStreamSynchronize");
  for (auto at = blocks_.rbegin(); at != blocks_.rend() && kept_ > most; ++at) {
    auto& [size, blocks] = *at;
    for (; !blocks.kept.empty() && kept_ > most; blocks.kept.pop_back()) {
      check(cudaFreeHost(blocks.kept.back()), "cudaFreeHost");
      made_.erase(blocks.kept.back());
      --blocks.count;
      kept_ -= size;
    }
  }
}

// One more block of this size, kept.
void PinnedMemory::make(std::size_t size) {
  Blocks& blocks = blocks_[size];
  blocks.kept.reserve(blocks.count + 1);
  give_back(std::max(most_used_, used_ + size) - used_ - size);
  void* made = nullptr;
  cudaError_t error = cudaHostAlloc(&made, size, cudaHostAllocDefault);
  if (error == cudaErrorMemoryAllocation && kept_ > 0 && keep_ != Keep::all) {
    static_cast<void>(cudaGetLastError());
    give_back(0);
    error = cudaHostAlloc(&made, size, cudaHostAllocDefault);
  }
  if (error == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    throw OutOfMemory(
        fmt::format("out of page-locked host memory: cudaHostAlloc has no {} bytes for an offloaded copy, {} "
                    "bytes are in use by others; offload less, or to files (OffloadToFolder)",
                    size, used_));
  }
  check(error, "cudaHostAlloc");
  made_.insert(made);
  blocks.kept.push_back(made);
  ++blocks.count;
  kept_ += size;
}

bool PinnedMemory::keeps(std::size_t bytes) const {
  const auto found = blocks_.find(whole_pages(bytes));
  return found != blocks_.end() && !found->second.kept.empty();
}

void* PinnedMemory::allocate(std::size_t bytes) {
  const std::size_t size = whole_pages(bytes);
  const auto found = blocks_.find(size);
  if (found == blocks_.end() || found->second.kept.empty()) make(size);
  Blocks& blocks = blocks_[size];
  void* host = blocks.kept.back();
  blocks.kept.pop_back();
  kept_ -= size;
  used_ += size;
  most_used_ = std::max(most_used_, used_);
  return host;
}

void PinnedMemory::release(void* host, std::size_t bytes) noexcept {
  const std::size_t size = whole_pages(bytes);
  blocks_.find(size)->second.kept.push_back(host);
  used_ -= size;
  kept_ += size;
}

}  // namespace reprise::cuda
