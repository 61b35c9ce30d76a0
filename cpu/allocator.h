#pragma once
// The memory of CPU tensors: 64-byte aligned blocks, recycled. Memory from the system (live and cached) stays below 1.15
// times the highest live bytes + 16 MiB: memory behind free blocks goes back before more is asked for.
//
// There is one exception. A page goes back only if no block in it lives. Thousands of blocks of a few KiB or less, spread
// thinly over pages that blocks of other sizes cannot use, may therefore hold more.
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
    Chunk *next, *previous;               // in the list of its class's chunks that have room
    FreeBlock* free;                      // of small blocks, which hold the list themselves
    std::uint64_t holes;                  // of larger blocks: a bit for each that is free again
    std::uint32_t used, fresh, capacity;  // blocks in use; blocks ever handed out; blocks that fit
    std::uint32_t size_class;
  };
  static_assert(sizeof(Chunk) <= kAlignment);
  static constexpr int kClasses = 56;
  // From this class on (1 KiB) a chunk has at most 64 blocks, a bit for each, and pages behind free blocks can go back.
  static constexpr int kFirstWithBit = 15;
  static constexpr std::size_t kWorthALook = 1 << 20;

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
  void shed_inside_chunks();
  void shed_inside(Chunk* chunk);
  static std::byte* block_of(Chunk* chunk, std::size_t number);
  static bool page_is_free(const Chunk* chunk, std::size_t page);

  mutable SpinLock lock_;
  PageHeap pages_;
  std::array<Chunk*, kClasses> with_room_ = {};
  std::size_t live_ = 0, highest_ = 0;
  std::size_t limit_ = SIZE_MAX;
  std::size_t released_since_shed_ = 0;  // bytes of blocks that have a bit
};

}  // namespace reprise::cpu
