#pragma once
// Two extents of an image, height first: a kernel's size, a stride, a padding.
#include <cstdint>

namespace reprise {

struct Pair {
  std::int64_t h, w;
  constexpr Pair(std::int64_t both) : h(both), w(both) {}
  constexpr Pair(std::int64_t height, std::int64_t width) : h(height), w(width) {}
  friend bool operator==(const Pair&, const Pair&) = default;
};

}  // namespace reprise
