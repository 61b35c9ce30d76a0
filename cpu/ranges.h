#pragma once
// [0, all) cut into parts of equal size, but for the last.
#include <algorithm>
#include <cstdint>

namespace reprise::cpu {

struct Range {
  std::int64_t first, count;
};
inline Range part_of(std::int64_t all, std::int64_t size, std::int64_t i) {
  return {i * size, std::min(size, all - i * size)};
}
inline std::int64_t parts_of(std::int64_t all, std::int64_t size) { return (all + size - 1) / size; }

}  // namespace reprise::cpu
