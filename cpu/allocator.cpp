#include "reprise/cpu/allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>

#include "reprise/core/error.h"

namespace reprise::cpu {

namespace {

constexpr std::uint64_t pages_for(std::size_t bytes) {
  return (bytes + PageHeap::kPageBytes - 1) / PageHeap::kPageBytes;
}

}  // namespace

// Multiples of 64 up to 1 KiB (classes 0 to 15), then eight steps a doubling.
int Allocator::class_of(std::size_t bytes) {
  if (bytes <= 1024) return bytes == 0 ? 0 : static_cast<int>((bytes - 1) / 64);
  const int doubling =
      static_cast<int>(std::bit_width(bytes - 1)) - 1;  // 2^doubling < bytes <= 2^(doubling + 1)
  const std::size_t step = std::size_t{1} << (doubling - 3);
  return 16 + (doubling - 10) * 8 + static_cast<int>((bytes - 1 - (std::size_t{1} << doubling)) / step);
}

std::size_t Allocator::class_bytes(int size_class) {
  if (size_class < 16) return static_cast<std::size_t>(size_class + 1) * 64;
  const int doubling = 10 + (size_class - 16) / 8;
  const std::size_t step = std::size_t{1} << (doubling - 3);
  return (std::size_t{1} << doubling) + static_cast<std::size_t>((size_class - 16) % 8 + 1) * step;
}

// At most 64 blocks, from class kFirstWithBit on.
std::size_t Allocator::chunk_bytes(int size_class) {
  if (size_class < 24) return 64 << 10;
  return size_class < 32 ? 128 << 10 : 256 << 10;
}

void Allocator::link(Chunk* chunk) {
  Chunk*& first = with_room_[chunk->size_class];
  chunk->previous = nullptr;
  chunk->next = first;
  if (first) first->previous = chunk;
  first = chunk;
}

void Allocator::unlink(Chunk* chunk) {
  (chunk->previous ? chunk->previous->next : with_room_[chunk->size_class]) = chunk->next;
  if (chunk->next) chunk->next->previous = chunk->previous;
}

// Gives memory back until at most `target` bytes are held: empty chunks become free pages, free pages lose theirs.
void Allocator::shed(std::size_t target) {
  for (Chunk* chunk : with_room_)
    while (chunk) {
      Chunk* next = chunk->next;
      if (chunk->used == 0) {
        unlink(chunk);
        pages_.give(pages_.page_of(chunk), pages_for(chunk_bytes(static_cast<int>(chunk->size_class))));
      }
      chunk = next;
    }
  pages_.decommit(target / PageHeap::kPageBytes);
  if (pages_.resident() > target / PageHeap::kPageBytes && released_since_shed_ >= kWorthALook)
    shed_inside_chunks();
}

// Gives back all pages of chunks in use that no living block touches. All at once, so that this look is rare.
void Allocator::shed_inside_chunks() {
  released_since_shed_ = 0;
  for (int size_class = kClasses - 1; size_class >= kFirstWithBit; --size_class)
    for (Chunk* chunk = with_room_[static_cast<std::size_t>(size_class)]; chunk; chunk = chunk->next)
      shed_inside(chunk);
}

void Allocator::shed_inside(Chunk* chunk) {
  const PageHeap::Page start = pages_.page_of(chunk);
  const std::size_t pages = chunk_bytes(static_cast<int>(chunk->size_class)) / PageHeap::kPageBytes;
  for (std::size_t page = 1; page < pages;) {  // the first holds the chunk's own figures
    std::size_t end = page;
    while (end < pages && page_is_free(chunk, end)) ++end;
    if (end > page) pages_.decommit(start + page, end - page);
    page = end + 1;
  }
}

bool Allocator::page_is_free(const Chunk* chunk, std::size_t page) {
  const std::size_t size = class_bytes(static_cast<int>(chunk->size_class));
  const std::size_t first = (page * PageHeap::kPageBytes - kAlignment) / size,
                    last = ((page + 1) * PageHeap::kPageBytes - 1 - kAlignment) / size;
  for (std::size_t number = first; number <= last && number < chunk->fresh; ++number)
    if (!(chunk->holes >> number & 1U)) return false;
  return true;
}

std::byte* Allocator::block_of(Chunk* chunk, std::size_t number) {
  return reinterpret_cast<std::byte*>(chunk) + kAlignment +
         number * class_bytes(static_cast<int>(chunk->size_class));
}

// The block will be touched: is there room for what it needs? Its pages must not be among the free ones.
bool Allocator::make_resident(std::byte* data, std::size_t bytes) {
  const PageHeap::Page first = pages_.page_of(data);
  const std::uint64_t count = pages_.page_of(data + bytes - 1) - first + 1;
  const std::uint64_t missing = pages_.missing(first, count);
  if (missing == 0) return true;
  const std::size_t more = missing * PageHeap::kPageBytes;
  const std::size_t held = pages_.resident() * PageHeap::kPageBytes;
  const std::size_t allowed = std::min(highest_ + highest_ / 20 * 3 + kSlack, limit_);
  if (held + more > allowed) shed(allowed > more ? allowed - more : 0);
  if (limit_ < SIZE_MAX - kSlack && pages_.resident() * PageHeap::kPageBytes + more > limit_ + kSlack)
    return false;
  pages_.commit(first, count);
  return true;
}

Allocator::Chunk* Allocator::new_chunk(int size_class) {
  const std::size_t bytes = chunk_bytes(size_class);
  const std::uint64_t count = pages_for(bytes);
  const PageHeap::Page first = pages_.take(count, count);
  if (first == PageHeap::kNone) return nullptr;
  if (!make_resident(pages_.address(first), kAlignment)) {
    pages_.give(first, count);
    return nullptr;
  }
  const std::size_t capacity = (bytes - kAlignment) / class_bytes(size_class);
  Chunk* chunk = new (pages_.address(first)) Chunk{nullptr,
                                                   nullptr,
                                                   nullptr,
                                                   0,
                                                   0,
                                                   0,
                                                   static_cast<std::uint32_t>(capacity),
                                                   static_cast<std::uint32_t>(size_class)};
  link(chunk);
  return chunk;
}

void* Allocator::allocate_small(std::size_t bytes) {
  const int size_class = class_of(bytes);
  Chunk* chunk = with_room_[static_cast<std::size_t>(size_class)];
  if (!chunk && !(chunk = new_chunk(size_class))) return nullptr;
  ++chunk->used;  // first, so that making room does not give this chunk away
  void* block = chunk->free;
  if (block) {
    chunk->free = chunk->free->next;
  } else {
    const bool hole = chunk->holes != 0;
    const std::size_t number = hole ? static_cast<std::size_t>(std::countr_zero(chunk->holes)) : chunk->fresh;
    block = block_of(chunk, number);
    const std::uint64_t holes = chunk->holes;
    const std::uint32_t fresh = chunk->fresh;
    if (hole)
      chunk->holes &= chunk->holes - 1;
    else
      ++chunk->fresh;
    if (!make_resident(static_cast<std::byte*>(block), class_bytes(size_class))) {
      --chunk->used;
      chunk->holes = holes;
      chunk->fresh = fresh;
      return nullptr;
    }
  }
  if (chunk->used == chunk->capacity) unlink(chunk);
  return block;
}

void Allocator::release_small(void* data, std::size_t bytes) noexcept {
  const int size_class = class_of(bytes);
  const std::uintptr_t length = chunk_bytes(size_class);
  const std::byte* base = pages_.address(0);
  const std::uintptr_t place = static_cast<std::uintptr_t>(static_cast<std::byte*>(data) - base);
  Chunk* chunk = reinterpret_cast<Chunk*>(pages_.address(0) + place / length * length);
  if (size_class >= kFirstWithBit) {
    const std::size_t size = class_bytes(size_class);
    chunk->holes |= std::uint64_t{1} << (place % length - kAlignment) / size;
    released_since_shed_ += size;
  } else {
    chunk->free = new (data) FreeBlock{chunk->free};
  }
  if (chunk->used-- == chunk->capacity) link(chunk);
  // The last chunk with room stays, lest a block that comes and goes take the chunk along each time.
  if (chunk->used == 0 && (chunk->next || chunk->previous)) {
    unlink(chunk);
    pages_.give(pages_.page_of(chunk), pages_for(length));
  }
}

void* Allocator::allocate_pages(std::size_t bytes) {
  const std::uint64_t count = pages_for(bytes);
  const PageHeap::Page first = pages_.take(count);
  if (first == PageHeap::kNone) return nullptr;
  if (make_resident(pages_.address(first), bytes)) return pages_.address(first);
  pages_.give(first, count);
  return nullptr;
}

#if defined(__SANITIZE_ADDRESS__)

void* Allocator::allocate(std::size_t bytes) {
  if (bytes > (std::size_t{1} << 46)) throw OutOfMemory("more than the system can address");
  const std::lock_guard guard(lock_);
  void* data = std::aligned_alloc(kAlignment, std::max<std::size_t>((bytes + 63) / 64 * 64, 64));
  if (!data) throw OutOfMemory("the system has no memory left");
  live_ += bytes;
  highest_ = std::max(highest_, live_);
  return data;
}

void Allocator::release(void* data, std::size_t bytes) noexcept {
  const std::lock_guard guard(lock_);
  live_ -= bytes;
  std::free(data);
}

std::size_t Allocator::reserved() const {
  const std::lock_guard guard(lock_);
  return live_;
}

void Allocator::trim(std::size_t) {}

#else

void* Allocator::allocate(std::size_t bytes) {
  if (bytes > (std::size_t{1} << 46)) throw OutOfMemory("more than the system can address");
  const std::lock_guard guard(lock_);
  const std::size_t highest_before = highest_;
  highest_ = std::max(highest_, live_ + bytes);
  void* data = bytes <= kMaxSmall ? allocate_small(bytes) : allocate_pages(bytes);
  if (!data) {
    highest_ = highest_before;
    throw OutOfMemory("no room for the block");
  }
  live_ += bytes;
  return data;
}

void Allocator::release(void* data, std::size_t bytes) noexcept {
  const std::lock_guard guard(lock_);
  live_ -= bytes;
  if (bytes <= kMaxSmall)
    release_small(data, bytes);
  else
    pages_.give(pages_.page_of(data), pages_for(bytes));
}

std::size_t Allocator::reserved() const {
  const std::lock_guard guard(lock_);
  return pages_.resident() * PageHeap::kPageBytes;
}

void Allocator::trim(std::size_t target) {
  const std::lock_guard guard(lock_);
  shed(target);
}

#endif

std::size_t Allocator::highest_live() const {
  const std::lock_guard guard(lock_);
  return highest_;
}

void Allocator::set_limit(std::size_t bytes) {
  const std::lock_guard guard(lock_);
  limit_ = bytes;
}

}  // namespace reprise::cpu
