#include "reprise/tests/cuda_emulator/races.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "reprise/tests/cuda_emulator/execution.h"
#include "reprise/tests/cuda_emulator/memory.h"

namespace reprise::emulator {

namespace {

constexpr std::uintptr_t kPage = 4096;
constexpr int kLanes = 32;

// Counts launches, blocks, barriers and __syncwarps, so that numbers say what came before what.
using Time = std::uint64_t;

enum class Kind : std::size_t { read, write, atomic };

// Who touched some bytes in one way, as far as it can still matter.
struct Accesses {
  Time last = 0;            // what the last one's thread passed last
  Time of_other_block = 0;  // the same, of the block before
  std::int16_t thread = 0;  // one of those since the barrier
  bool by_several = false, by_several_warps = false;
};
using Cell = std::array<Accesses, 3>;  // by Kind

// Of a page of memory, a cell for every `unit` bytes: 1, 2, 4 or 8. Cells of earlier launches are told by their times.
struct Page {
  std::uintptr_t unit = 0;
  std::vector<Cell> cells;
};

struct Now {
  Time clock = 0, launch = 0, block = 0, barrier = 0;
  std::vector<Time> warps;  // the last that each passed
  int thread = -1;
  std::uintptr_t shared = 0;
  std::size_t shared_size = 0;
};
Now now;

// The pages that this launch has touched.
class Pages {
 public:
  void clear() {
    for (auto& [number, page] : touched_) free_.push_back(std::move(page));
    touched_.clear();
    recent_ = {};
  }

  // Its units are at most this large.
  Page& find(std::uintptr_t number, std::uintptr_t unit) {
    Recent& recent = recent_[number % recent_.size()];
    if (!recent.page || recent.number != number) recent = {number, &touch(number, unit)};
    if (recent.page->unit > unit) refine(*recent.page, unit);
    return *recent.page;
  }

 private:
  struct Recent {
    std::uintptr_t number = 0;
    Page* page = nullptr;
  };

  Page& touch(std::uintptr_t number, std::uintptr_t unit) {
    std::unique_ptr<Page>& page = touched_[number];
    if (page) return *page;
    if (free_.empty()) free_.push_back(std::make_unique<Page>());
    page = std::move(free_.back());
    free_.pop_back();
    page->unit = unit;
    if (page->cells.size() < kPage / unit) page->cells.resize(kPage / unit);
    return *page;
  }

  static void refine(Page& page, std::uintptr_t unit) {
    if (page.cells.size() < kPage / unit) page.cells.resize(kPage / unit);
    const std::size_t parts = page.unit / unit;
    for (std::size_t i = kPage / unit; i-- > 0;) page.cells[i] = page.cells[i / parts];
    page.unit = unit;
  }

  std::unordered_map<std::uintptr_t, std::unique_ptr<Page>> touched_;
  std::vector<std::unique_ptr<Page>> free_;
  std::array<Recent, 256> recent_ = {};
};
Pages pages;

int warp_of(int thread) { return thread / kLanes; }

// `first`: what is older does not matter.
bool of_other_block(const Accesses& before, Time first) {
  return before.of_other_block >= first || (before.last >= first && before.last < now.block);
}

bool is_race(const Accesses& before, Time first) {
  if (of_other_block(before, first)) return true;
  if (before.last < now.barrier) return false;
  if (before.by_several_warps || warp_of(before.thread) != warp_of(now.thread)) return true;
  const Time warp = now.warps[static_cast<std::size_t>(warp_of(now.thread))];
  return before.last >= warp && (before.by_several || before.thread != now.thread);
}

void add(Accesses& accesses, Time first) {
  const Time warp = now.warps[static_cast<std::size_t>(warp_of(now.thread))];
  if (accesses.last >= first && accesses.last < now.block) accesses.of_other_block = accesses.last;
  const bool same_warp = warp_of(accesses.thread) == warp_of(now.thread) && !accesses.by_several_warps;
  const bool alone = accesses.last < now.barrier || (same_warp && accesses.last < warp) ||
                     (accesses.thread == now.thread && !accesses.by_several);
  if (alone) {
    accesses.thread = static_cast<std::int16_t>(now.thread);
    accesses.by_several = accesses.by_several_warps = false;
  } else {
    accesses.by_several = true;
    accesses.by_several_warps = !same_warp;
  }
  accesses.last = warp;
}

[[gnu::cold]] void report(Kind kind, Kind kind_before, bool other_block) {
  constexpr const char* kDoes[] = {"reads", "writes", "adds to"};
  constexpr const char* kDid[] = {"read", "wrote", "added to"};
  const uint3 block = position.block;
  const dim3 grid = position.grid_size;
  give_up_kernel(fmt::format("has a race: thread {} of block {} {} what {} {}", now.thread,
                             block.x + grid.x * (block.y + grid.y * block.z),
                             kDoes[static_cast<std::size_t>(kind)],
                             other_block ? "another block" : "another thread of its block",
                             kDid[static_cast<std::size_t>(kind_before)]));
}

void access(Cell& cell, Kind kind, Time first) {
  for (const Kind before : {Kind::read, Kind::write, Kind::atomic}) {
    if (kind == before && kind != Kind::write) continue;
    const Accesses& accesses = cell[static_cast<std::size_t>(before)];
    if (is_race(accesses, first)) report(kind, before, of_other_block(accesses, first));
  }
  add(cell[static_cast<std::size_t>(kind)], first);
}

void access(const void* address, std::size_t size, Kind kind) {
  if (now.thread < 0 || size == 0) return;
  auto at = reinterpret_cast<std::uintptr_t>(address);
  const bool is_shared = at - now.shared < now.shared_size;
  if (!is_shared && !device_memory().has_address(address)) return;
  const Time first = is_shared ? now.block : now.launch;
  const std::uintptr_t unit = std::uintptr_t{1} << std::countr_zero(at | size | 8);
  for (const std::uintptr_t end = at + size; at < end;) {
    Page& page = pages.find(at / kPage, unit);
    const std::uintptr_t page_end = std::min(end, (at / kPage + 1) * kPage);
    for (; at < page_end; at += page.unit) access(page.cells[at % kPage / page.unit], kind, first);
  }
}

}  // namespace

void begin_launch() {
  pages.clear();
  now.launch = ++now.clock;
}

void begin_block(std::byte* shared, std::size_t shared_size) {
  now.shared = reinterpret_cast<std::uintptr_t>(shared);
  now.shared_size = shared_size;
  const dim3 size = position.block_size;
  now.warps.resize((size.x * size.y * size.z + kLanes - 1) / kLanes);
  now.block = now.clock + 1;
  pass_barrier();
}

void pass_barrier() {
  now.barrier = ++now.clock;
  std::fill(now.warps.begin(), now.warps.end(), now.barrier);
}

void pass_warp(std::size_t number) { now.warps[number] = ++now.clock; }

void set_thread(int number) { now.thread = number; }

float atomic_add(float* to, float value) {
  access(to, sizeof *to, Kind::atomic);
  const float before = *to;
  *to = before + value;
  return before;
}

}  // namespace reprise::emulator

// What g++ calls in code that it compiles with -fsanitize=thread. The names are its own.
// NOLINTBEGIN(bugprone-reserved-identifier)
using namespace reprise::emulator;

#define REPRISE_HOOK extern "C" __attribute__((visibility("hidden"))) void
#define REPRISE_HOOKS_OF(size)                                                                         \
  REPRISE_HOOK __tsan_read##size(const void* address) { access(address, size, Kind::read); }           \
  REPRISE_HOOK __tsan_write##size(const void* address) { access(address, size, Kind::write); }         \
  REPRISE_HOOK __tsan_unaligned_read##size(const void* address) { access(address, size, Kind::read); } \
  REPRISE_HOOK __tsan_unaligned_write##size(const void* address) { access(address, size, Kind::write); }

REPRISE_HOOKS_OF(1)
REPRISE_HOOKS_OF(2)
REPRISE_HOOKS_OF(4)
REPRISE_HOOKS_OF(8)
REPRISE_HOOKS_OF(16)
REPRISE_HOOK __tsan_read_range(const void* address, std::size_t size) { access(address, size, Kind::read); }
REPRISE_HOOK __tsan_write_range(const void* address, std::size_t size) { access(address, size, Kind::write); }
REPRISE_HOOK __tsan_init() {}
REPRISE_HOOK __tsan_func_entry(const void*) {}
REPRISE_HOOK __tsan_func_exit() {}
// NOLINTEND(bugprone-reserved-identifier)
