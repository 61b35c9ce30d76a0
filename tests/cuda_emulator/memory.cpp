#include "reprise/tests/cuda_emulator/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace reprise::emulator {

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kAddresses = std::size_t{1} << 38;
constexpr std::size_t kAlignment = 16;  // as vectors of the kernels need; real CUDA gives 256
constexpr int kPoison = 0xff;

std::size_t round_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

GuardedMemory::GuardedMemory() {
  void* base = mmap(nullptr, kAddresses, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) throw std::runtime_error("the emulator finds no addresses for emulated memory");
  base_ = next_ = static_cast<std::byte*>(base);
}

void* GuardedMemory::allocate(std::size_t bytes, int device) {
  const std::size_t rounded = round_up(std::max<std::size_t>(bytes, 1), kAlignment);
  const std::size_t page_bytes = round_up(rounded, kPage);
  if (page_bytes + kPage > static_cast<std::size_t>(base_ + kAddresses - next_)) return nullptr;
  std::byte* pages = next_;
  if (mprotect(pages, page_bytes, PROT_READ | PROT_WRITE) != 0) return nullptr;
  std::memset(pages, kPoison, page_bytes);
  next_ += page_bytes + kPage;
  std::byte* data = pages + page_bytes - rounded;
  live_.emplace(data, Block{bytes, pages, page_bytes, device});
  live_bytes_ += bytes;
  peak_bytes_ = std::max(peak_bytes_, live_bytes_);
  if (locked_ && opened_[device] == 0) mprotect(pages, page_bytes, PROT_NONE);
  return data;
}

bool GuardedMemory::release(void* data) {
  const auto found = live_.find(static_cast<const std::byte*>(data));
  if (found == live_.end()) return false;
  const Block block = found->second;
  if (locked_) mprotect(block.first_page, block.page_bytes, PROT_READ | PROT_WRITE);
  const std::byte* end = block.first_page + block.page_bytes;
  const bool clean = std::all_of(found->first + block.bytes, end,
                                 [](std::byte byte) { return byte == static_cast<std::byte>(kPoison); });
  live_bytes_ -= block.bytes;
  live_.erase(found);
  madvise(block.first_page, block.page_bytes, MADV_DONTNEED);
  mprotect(block.first_page, block.page_bytes, PROT_NONE);
  return clean;
}

GuardedMemory::Live::const_iterator GuardedMemory::find(const void* data) const {
  const auto after = live_.upper_bound(static_cast<const std::byte*>(data));
  return after == live_.begin() ? live_.end() : std::prev(after);
}

bool GuardedMemory::contains(const void* data, std::size_t bytes) const {
  const auto found = find(data);
  return found != live_.end() &&
         static_cast<const std::byte*>(data) + bytes <= found->first + found->second.bytes;
}

std::optional<int> GuardedMemory::device_of(const void* data) const {
  if (!contains(data, 0)) return {};
  return find(data)->second.device;
}

std::size_t GuardedMemory::live(int device) const {
  std::size_t bytes = 0;
  for (const auto& [data, block] : live_)
    if (block.device == device) bytes += block.bytes;
  return bytes;
}

bool GuardedMemory::has_address(const void* data) const {
  const auto* at = static_cast<const std::byte*>(data);
  return at >= base_ && at < base_ + kAddresses;
}

void GuardedMemory::protect(int device, int rights) {
  for (const auto& [data, block] : live_)
    if (block.device == device) mprotect(block.first_page, block.page_bytes, rights);
}

void GuardedMemory::lock_host_out(bool locked) {
  if (locked == locked_) return;
  locked_ = locked;
  for (const auto& [data, block] : live_)
    mprotect(block.first_page, block.page_bytes, locked ? PROT_NONE : PROT_READ | PROT_WRITE);
}

void GuardedMemory::open(int device) {
  if (opened_[device]++ == 0 && locked_) protect(device, PROT_READ | PROT_WRITE);
}

void GuardedMemory::close(int device) {
  if (--opened_[device] == 0 && locked_) protect(device, PROT_NONE);
}

GuardedMemory& device_memory() {
  static GuardedMemory* memory = new GuardedMemory;
  return *memory;
}

GuardedMemory& page_locked_memory() {
  static GuardedMemory* memory = new GuardedMemory;
  return *memory;
}

}  // namespace reprise::emulator
