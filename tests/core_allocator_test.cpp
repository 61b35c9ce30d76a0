// The CPU allocator: blocks do not overlap, keep their contents, and what it holds of the system stays bounded.
#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <vector>

#include "reprise/core/error.h"
#include "reprise/cpu/allocator.h"

using namespace reprise;
using cpu::Allocator;

namespace {

struct Block {
  std::byte* data;
  std::size_t bytes;
  std::byte mark;
};

// A mark at the front, at the back and somewhere between, so that large blocks need not be touched in full.
Block make(Allocator& allocator, std::size_t bytes, unsigned mark) {
  const Block block{static_cast<std::byte*>(allocator.allocate(bytes)), bytes, static_cast<std::byte>(mark)};
  std::memset(block.data, static_cast<int>(mark & 0xFF), std::min<std::size_t>(bytes, 256));
  for (std::size_t place = 0; place < bytes; place += 4096) block.data[place] = block.mark;
  block.data[bytes - 1] = block.mark;
  return block;
}

bool intact(const Block& block) {
  bool good = block.data[block.bytes - 1] == block.mark;
  for (std::size_t i = 0; i < std::min<std::size_t>(block.bytes, 256); ++i)
    good = good && block.data[i] == block.mark;
  for (std::size_t place = 0; place < block.bytes; place += 4096)
    good = good && block.data[place] == block.mark;
  return good;
}

long page_faults() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

std::size_t resident_bytes() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * 4096;
}

std::size_t bound(const Allocator& allocator) {
  return static_cast<std::size_t>(1.15 * static_cast<double>(allocator.highest_live())) + (16 << 20);
}

}  // namespace

TEST_CASE("blocks of every size are aligned, whole, and the reserved bound holds at every step", "[engine]") {
  const std::uint32_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Allocator allocator;
  std::vector<Block> blocks;
  std::size_t live = 0;
  bool aligned = true, whole = true, bounded = true, covers = true;
  for (int step = 0; step < 20000; ++step) {
    // Phases that grow and shrink, with sizes from 1 byte to 50 MB, the small ones by far the most frequent.
    const bool grow = live < (std::size_t{300} << 20) && random() % 100 < ((step / 2000) % 2 ? 35U : 65U);
    if (grow || blocks.empty()) {
      const double power = std::uniform_real_distribution<double>(0, random() % 20 ? 16.0 : 25.57)(random);
      const std::size_t bytes = static_cast<std::size_t>(std::exp2(power));
      blocks.push_back(make(allocator, bytes, static_cast<unsigned>(random())));
      live += bytes;
      aligned = aligned && reinterpret_cast<std::uintptr_t>(blocks.back().data) % Allocator::kAlignment == 0;
    } else {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      whole = whole && intact(blocks.back());
      allocator.release(blocks.back().data, blocks.back().bytes);
      live -= blocks.back().bytes;
      blocks.pop_back();
    }
    bounded = bounded && allocator.reserved() <= bound(allocator);
    covers = covers && allocator.reserved() >= live;
  }
  CHECK(aligned);
  CHECK(bounded);
  CHECK(covers);
  std::map<std::byte*, std::size_t> places;
  for (const Block& block : blocks) {
    whole = whole && intact(block);
    places.emplace(block.data, block.bytes);
  }
  CHECK(whole);
  bool apart = true;
  for (auto place = places.begin(); place != places.end() && std::next(place) != places.end(); ++place)
    apart = apart && place->first + place->second <= std::next(place)->first;
  CHECK(apart);
  for (const Block& block : blocks) allocator.release(block.data, block.bytes);
  allocator.trim(0);
  CHECK(allocator.reserved() == 0);
}

// Size classes and pages waste at most an eighth, so only fragmentation could break the bound; these patterns are those
// that fragment most: every other block freed, then blocks a little larger than the holes.
TEST_CASE("the reserved bound holds where holes do not fit", "[engine]") {
  for (const std::size_t bytes : {1000U, 5000U, 20000U, 33000U, 70000U, 1000000U}) {
    INFO(bytes << " bytes");
    Allocator allocator;
    std::vector<Block> blocks;
    for (std::size_t total = 0; total < (std::size_t{64} << 20); total += bytes)
      blocks.push_back(make(allocator, bytes, 1));
    std::vector<Block> kept;
    for (std::size_t i = 0; i < blocks.size(); ++i)
      if (i % 2)
        allocator.release(blocks[i].data, blocks[i].bytes);
      else
        kept.push_back(blocks[i]);
    bool bounded = true;
    for (std::size_t total = 0; total < (std::size_t{24} << 20); total += bytes * 3 / 2) {
      kept.push_back(make(allocator, bytes * 3 / 2, 2));
      bounded = bounded && allocator.reserved() <= bound(allocator);
    }
    if (bytes > Allocator::kMaxSmall) CHECK(bounded);
    bool whole = true;
    for (const Block& block : kept) {
      whole = whole && intact(block);
      allocator.release(block.data, block.bytes);
    }
    CHECK(whole);
  }
}

// Many tensors of a few KiB: nearly all of one size are dropped in random order, then another size comes.
TEST_CASE("the reserved bound holds for small tensors that are made and dropped in random order",
          "[engine]") {
#if defined(__SANITIZE_ADDRESS__)
  return;
#endif
  const std::uint32_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Allocator allocator;
  std::vector<Block> blocks;
  std::size_t live = 0;
  bool bounded = true, whole = true;
  for (int phase = 0; phase < 8; ++phase) {
    const std::size_t least = 2000 + random() % 9000;
    while (live < (std::size_t{60} << 20)) {
      blocks.push_back(make(allocator, least + random() % 1000, static_cast<unsigned>(random())));
      live += blocks.back().bytes;
      bounded = bounded && allocator.reserved() <= bound(allocator);
    }
    while (live > (std::size_t{6} << 20)) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      whole = whole && intact(blocks.back());
      allocator.release(blocks.back().data, blocks.back().bytes);
      live -= blocks.back().bytes;
      blocks.pop_back();
    }
  }
  CHECK(bounded);
  for (const Block& block : blocks) {
    whole = whole && intact(block);
    allocator.release(block.data, block.bytes);
  }
  CHECK(whole);
  allocator.trim(0);
  CHECK(allocator.reserved() <= (2 << 20));  // a chunk of each class stays
}

TEST_CASE("a step that repeats finds its memory: no page faults", "[engine]") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return;
#endif
  const std::uint32_t seed = std::random_device()();
  INFO("seed " << seed);
  Allocator allocator;
  // Like training: forward makes and keeps, with scratch that comes and goes; backward frees in reverse.
  const auto step = [&] {
    std::mt19937 random(seed);
    std::vector<Block> kept;
    const auto size = [&] {
      return static_cast<std::size_t>(std::exp2(std::uniform_real_distribution<double>(6, 21)(random)));
    };
    for (int layer = 0; layer < 200; ++layer) {
      kept.push_back(make(allocator, size(), 1));
      const Block scratch = make(allocator, size(), 2);
      allocator.release(scratch.data, scratch.bytes);
    }
    while (!kept.empty()) {
      const Block gradient = make(allocator, kept.back().bytes, 3);
      allocator.release(kept.back().data, kept.back().bytes);
      kept.pop_back();
      allocator.release(gradient.data, gradient.bytes);
    }
  };
  step();
  step();
  const long before = page_faults();
  for (int i = 0; i < 5; ++i) step();
  CHECK(page_faults() - before < 20);  // the test's own vectors
}

// Reserved bytes are the allocator's own account; this is the system's. Blocks are written in full and the large ones
// cross huge pages in every way.
TEST_CASE("what is reserved is what the system counts", "[engine]") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return;
#endif
  const std::uint32_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Allocator allocator;
  std::vector<Block> blocks;
  blocks.reserve(1000);
  const std::size_t before = resident_bytes();
  std::size_t live = 0;
  for (int step = 0; step < 300; ++step) {
    if (live < (std::size_t{200} << 20) && random() % 3) {
      const std::size_t bytes =
          static_cast<std::size_t>(std::exp2(std::uniform_real_distribution<double>(10, 24.5)(random)));
      blocks.push_back(make(allocator, bytes, 1));
      live += bytes;
    } else if (!blocks.empty()) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      allocator.release(blocks.back().data, blocks.back().bytes);
      live -= blocks.back().bytes;
      blocks.pop_back();
    }
    if (step % 50 == 0) allocator.trim(allocator.reserved() * 9 / 10);
    if (step % 10) continue;
    const std::size_t now = resident_bytes(), reserved = allocator.reserved();
    CHECK(now <= before + reserved + (1 << 20));  // 1 MiB for the allocator's own tables and this test
    CHECK(now + (1 << 20) >= before + reserved);
  }
}

TEST_CASE("a small block where a huge page was brings in no huge page", "[engine]") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return;
#endif
  Allocator allocator;
  const Block huge = make(allocator, 64 << 20, 1);
  allocator.release(huge.data, huge.bytes);
  allocator.trim(0);
  const std::size_t before = resident_bytes();
  const Block block = make(allocator, 40 << 10, 2);
  CHECK(block.data == huge.data);
  CHECK(resident_bytes() <= before + (1 << 20));
}

TEST_CASE("trim gives cached memory back, and a limit holds it down", "[engine]") {
#if defined(__SANITIZE_ADDRESS__)
  return;
#endif
  Allocator allocator;
  const std::size_t mib = 1 << 20;
  const Block kept = make(allocator, 3 * mib, 1);
  const Block freed = make(allocator, 40 * mib, 2);
  allocator.release(freed.data, freed.bytes);
  CHECK(allocator.reserved() >= 43 * mib);
  allocator.trim(10 * mib);
  CHECK(allocator.reserved() <= 10 * mib);
  CHECK(allocator.reserved() >= 9 * mib);  // no more than asked
  allocator.trim(0);
  CHECK(allocator.reserved() == 3 * mib);
  CHECK(intact(kept));

  allocator.set_limit(64 * mib);
  std::vector<Block> blocks;
  for (int round = 0; round < 50; ++round) {
    blocks.push_back(make(allocator, (static_cast<std::size_t>(round) % 7 + 1) * 4 * mib, 3));
    CHECK(allocator.reserved() <= 64 * mib);
    while (blocks.size() > 1) {
      allocator.release(blocks.front().data, blocks.front().bytes);
      blocks.erase(blocks.begin());
    }
  }
  CHECK(intact(kept));
  // Live bytes are the meter's business; far past the limit the allocator refuses by itself, and nothing has changed.
  const std::size_t highest = allocator.highest_live();
  CHECK_THROWS_AS(allocator.allocate(100 * mib), OutOfMemory);
  CHECK(allocator.highest_live() == highest);
  allocator.set_limit(SIZE_MAX);
  const Block large = make(allocator, 100 * mib, 4);
  CHECK(intact(large));
}

// A training process holds thousands of tiny buffers; they must not cost a page each.
TEST_CASE("tiny blocks share pages, and empty chunks serve other sizes", "[engine]") {
#if defined(__SANITIZE_ADDRESS__)
  return;
#endif
  Allocator allocator;
  std::vector<Block> blocks;
  for (int i = 0; i < 100000; ++i) blocks.push_back(make(allocator, 64, 1));
  CHECK(allocator.reserved() < 100000 * 64 * 11 / 10);
  for (const Block& block : blocks) allocator.release(block.data, block.bytes);
  blocks.clear();
  const std::size_t held = allocator.reserved();
  for (int i = 0; i < 5000; ++i) blocks.push_back(make(allocator, 1000, 2));
  CHECK(allocator.reserved() <= held + (64 << 10));
}
