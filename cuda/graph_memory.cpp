#include "reprise/cuda/graph_memory.h"

namespace reprise::cuda {

void GraphMemory::count(const void* data, std::size_t bytes) {
  counted_.emplace(data, places_.place(bytes));
  counted_bytes_ = places_.reach();
}

void GraphMemory::count_release(const void* data) noexcept {
  const auto found = counted_.find(data);
  if (found == counted_.end()) return;
  places_.release(found->second);
  counted_.erase(found);
}

void GraphMemory::settle(void* range) {
  range_ = static_cast<std::byte*>(range);
  places_ = {};
  counted_.clear();
}

void* GraphMemory::allocate(std::size_t bytes) {
  const std::size_t place = places_.place(bytes);
  if (places_.reach() <= counted_bytes_) return range_ + kHead + place;
  places_.release(place);
  return nullptr;
}

bool GraphMemory::contains(const void* data) const {
  const auto* at = static_cast<const std::byte*>(data);
  return range_ && at >= range_ && at < range_ + bytes();
}

void GraphMemory::release(const void* data) noexcept {
  places_.release(static_cast<std::size_t>(static_cast<const std::byte*>(data) - range_) - kHead);
}

}  // namespace reprise::cuda
