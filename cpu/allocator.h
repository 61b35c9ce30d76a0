#pragma once
// The memory of CPU tensors: 64-byte aligned blocks, recycled. What it holds of the system (live and cached) stays
// below 1.15 times the highest live bytes + 16 MiB: memory behind free blocks goes back before more is asked for.
//
// Blocks of up to 32 KiB come in size classes, eight a doubling, from chunks of one class each; larger ones are runs of
// pages (page_heap.h). A step that repeats finds its blocks at the same places with memory behind them. Under the address sanitizer every block
// is the system's own, so that overflows are found.
#include <array>
#include <cstddef>
#include <cstdint>

#include "reprise/core/spin_lock.h"
#include "reprise/cpu/page_heap.h"

namespace reprise::cpu {

// Thread-safe.
class Allocator {
 public:
  static constexpr std::size_t kAlignment = 64;
  static constexpr std::size_t kMaxSmall = 32 << 10;
  static constexpr std::size_t kSlack = 16 << 20;

  // Throws OutOfMemory.
  void* allocate(std::size_t bytes);
  // `bytes` as they were asked for.
  void release(void* data, std::size_t bytes) noexcept;
  std::size_t reserved() const;
  std::size_t highest_live() const;
  void trim(std::size_t target);
  // Reserved bytes stay below this too, but for at most kSlack of rounding; past that `allocate` throws.
  void set_limit(std::size_t bytes);

 private:
  struct FreeBlock {
    FreeBlock* next;
  };
  // At the front of a run of pages that is aligned to its length, so that a block's address leads here.
  struct Chunk {
    Chunk *next, *previous;  // in the list of its class's chunks that have room
    FreeBlock* free;
    std::uint32_t used, fresh, capacity;  // blocks in use; blocks ever handed out; blocks that fit
    std::uint32_t size_class;
  };
  static_assert(sizeof(Chunk) <= kAlignment);
  static constexpr int kClasses = 56;

  static int class_of(std::size_t bytes);
  static std::size_t class_bytes(int size_class);
  static std::size_t chunk_bytes(int size_class);

  void* allocate_small(std::size_t bytes);
  void* allocate_pages(std::size_t bytes);
  void release_small(void* data, std::size_t bytes) noexcept;
  Chunk* new_chunk(int size_class);
  void link(Chunk* chunk);
  void unlink(Chunk* chunk);
  bool make_resident(std::byte* data, std::size_t bytes);
  void shed(std::size_t target);

  mutable SpinLock lock_;
  PageHeap pages_;
  std::array<Chunk*, kClasses> with_room_ = {};
  std::size_t live_ = 0, highest_ = 0;
  std::size_t limit_ = SIZE_MAX;
};

}  // namespace reprise::cpu
