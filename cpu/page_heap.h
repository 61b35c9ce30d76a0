#pragma once
// Pages of memory: one range of addresses is reserved at the start, and pages of it are handed out by best fit. A
// free page may still have memory behind it (resident), which is cheap to use again, or not.
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace reprise::cpu {

// Not thread-safe: the allocator locks.
class PageHeap {
 public:
  static constexpr std::size_t kPageBytes = 4096;
  using Page = std::uint64_t;
  static constexpr Page kNone = UINT64_MAX;

  PageHeap();  // throws OutOfMemory where not even a small range of addresses is to be had
  PageHeap(const PageHeap&) = delete;
  PageHeap& operator=(const PageHeap&) = delete;

  // `count` pages in a row, the first a multiple of `alignment`: the smallest free run that fits, the lowest of equals.
  // kNone: there is none.
  Page take(std::uint64_t count, std::uint64_t alignment = 1);
  // Joins what is free on both sides.
  void give(Page first, std::uint64_t count);

  std::byte* address(Page page) const { return base_ + page * kPageBytes; }
  Page page_of(const void* data) const {
    return static_cast<std::uint64_t>(static_cast<const std::byte*>(data) - base_) / kPageBytes;
  }

  // Pages of the run that have no memory behind them yet.
  std::uint64_t missing(Page first, std::uint64_t count) const;
  // They will be touched: counts them as resident.
  void commit(Page first, std::uint64_t count);
  // Takes memory from behind free pages, the largest free runs first, until `resident()` is at most `target` or no free page has any.
  void decommit(std::uint64_t target);
  // Takes memory from behind pages that are in use, but whose contents nobody needs.
  void decommit(Page first, std::uint64_t count);
  std::uint64_t resident() const { return resident_; }  // pages

 private:
  static constexpr std::size_t kHugeBytes = std::size_t{2} << 20;
  static constexpr std::uint64_t kHugePages = kHugeBytes / kPageBytes;

  void commit_huge_pages(Page first, std::uint64_t count);
  bool is_resident(Page page) const { return (bits_[page / 64] >> (page % 64)) & 1U; }
  void insert_free(Page first, std::uint64_t count);
  void erase_free(std::map<Page, std::uint64_t>::iterator run);

  std::byte* base_ = nullptr;
  std::uint64_t* bits_ = nullptr;  // one a page: resident
  std::uint64_t pages_ = 0;
  Page touched_ = 0;  // no page from here on was ever resident
  std::uint64_t resident_ = 0;
  std::map<Page, std::uint64_t> free_;                       // first page, length
  std::set<std::pair<std::uint64_t, Page>> free_by_length_;  // the same runs
};

}  // namespace reprise::cpu
