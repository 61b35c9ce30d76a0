#include "reprise/cpu/page_heap.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "reprise/core/error.h"

namespace reprise::cpu {

namespace {

// Addresses only; memory comes when a page is first touched.
std::byte* reserve(std::size_t bytes) {
  void* data =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return data == MAP_FAILED ? nullptr : static_cast<std::byte*>(data);
}

// Bits [from, to) of one word.
std::uint64_t mask(std::uint64_t from, std::uint64_t to) {
  const std::uint64_t upper = to == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << to) - 1;
  return upper & ~((std::uint64_t{1} << from) - 1);
}

}  // namespace

PageHeap::PageHeap() {
  std::size_t bytes = std::size_t{1} << 39;  // system limits on addresses (ulimit -v) may allow less
  while (!(base_ = reserve(bytes + kHugeBytes)) && bytes >= (std::size_t{1} << 26)) bytes /= 2;
  if (base_) {
    base_ += (kHugeBytes - reinterpret_cast<std::uintptr_t>(base_) % kHugeBytes) % kHugeBytes;
    // Huge pages only where this class asks for them: the system must not put memory behind pages that are not counted.
    madvise(base_, bytes, MADV_NOHUGEPAGE);
  }
  pages_ = bytes / kPageBytes;
  bits_ = reinterpret_cast<std::uint64_t*>(reserve(pages_ / 8));
  if (!base_ || !bits_) throw OutOfMemory("the system gives no range of addresses for the CPU allocator");
  insert_free(0, pages_);
}

void PageHeap::insert_free(Page first, std::uint64_t count) {
  free_.emplace(first, count);
  free_by_length_.emplace(count, first);
}

void PageHeap::erase_free(std::map<Page, std::uint64_t>::iterator run) {
  free_by_length_.erase({run->second, run->first});
  free_.erase(run);
}

PageHeap::Page PageHeap::take(std::uint64_t count, std::uint64_t alignment) {
  for (auto run = free_by_length_.lower_bound({count, 0}); run != free_by_length_.end(); ++run) {
    const auto [length, first] = *run;
    const Page start = (first + alignment - 1) / alignment * alignment;
    if (start + count > first + length) continue;
    erase_free(free_.find(first));
    if (start > first) insert_free(first, start - first);
    if (first + length > start + count) insert_free(start + count, first + length - start - count);
    return start;
  }
  return kNone;
}

void PageHeap::give(Page first, std::uint64_t count) {
  auto next = free_.lower_bound(first);
  if (next != free_.end() && next->first == first + count) {
    count += next->second;
    auto joined = next++;
    erase_free(joined);
  }
  if (next != free_.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second == first) {
      first = before->first;
      count += before->second;
      erase_free(before);
    }
  }
  insert_free(first, count);
}

std::uint64_t PageHeap::missing(Page first, std::uint64_t count) const {
  std::uint64_t there = 0;
  const Page end = std::min(first + count, touched_);
  for (Page page = first; page < end;) {
    const Page word_end = std::min(end, (page / 64 + 1) * 64);
    const std::uint64_t word = bits_[page / 64] & mask(page % 64, word_end - page / 64 * 64);
    there += static_cast<std::uint64_t>(std::popcount(word));
    page = word_end;
  }
  return count - there;
}

// Whole huge pages among pages that come into memory now come as such, which saves faults and address translations. The
// advice is taken back at once, so that no page of the run can later bring in 511 uncounted ones. Where the system has
// no huge pages, this touches a page in 512 and nothing more.
void PageHeap::commit_huge_pages(Page first, std::uint64_t count) {
  const Page end = (first + count) / kHugePages * kHugePages;
  for (Page page = (first + kHugePages - 1) / kHugePages * kHugePages; page < end;) {
    Page run = page;
    while (run < end && missing(run, kHugePages) == kHugePages) run += kHugePages;
    if (run > page) {
      madvise(address(page), (run - page) * kPageBytes, MADV_HUGEPAGE);
      for (Page huge = page; huge < run; huge += kHugePages)
        *static_cast<volatile std::byte*>(address(huge)) = std::byte{0};
      madvise(address(page), (run - page) * kPageBytes, MADV_NOHUGEPAGE);
    }
    page = run + kHugePages;
  }
}

void PageHeap::commit(Page first, std::uint64_t count) {
  if (count >= kHugePages) commit_huge_pages(first, count);
  resident_ += missing(first, count);
  for (Page page = first; page < first + count;) {
    const Page word_end = std::min(first + count, (page / 64 + 1) * 64);
    bits_[page / 64] |= mask(page % 64, word_end - page / 64 * 64);
    page = word_end;
  }
  touched_ = std::max(touched_, first + count);
}

void PageHeap::decommit(Page first, std::uint64_t count) {
  if (missing(first, count) == count) return;
  resident_ -= count - missing(first, count);
  madvise(address(first), count * kPageBytes, MADV_DONTNEED);
  for (Page gone = first; gone < first + count; ++gone)
    bits_[gone / 64] &= ~(std::uint64_t{1} << (gone % 64));
}

void PageHeap::decommit(std::uint64_t target) {
  for (auto run = free_by_length_.rbegin(); run != free_by_length_.rend() && resident_ > target; ++run) {
    const Page first = run->second;
    // From the end, since the front is what is handed out next.
    Page page = std::min(first + run->first, touched_);
    while (page > first && resident_ > target) {
      if (!is_resident(page - 1)) {
        --page;
        continue;
      }
      const Page end = page;
      while (page > first && is_resident(page - 1) && resident_ - (end - page) > target) --page;
      madvise(address(page), (end - page) * kPageBytes, MADV_DONTNEED);
      for (Page gone = page; gone < end; ++gone) bits_[gone / 64] &= ~(std::uint64_t{1} << (gone % 64));
      resident_ -= end - page;
    }
  }
}

}  // namespace reprise::cpu
