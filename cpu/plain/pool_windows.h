#pragma once
// Which places a pooling window reads, and which windows read a place, along one dimension.
#include <algorithm>
#include <cstdint>

namespace reprise::cpu {

// Window number `place` reads origin + i of the image for i in [first, last): the part outside the image is padding.
struct Window {
  std::int64_t origin, first, last;
};
inline Window window(std::int64_t place, std::int64_t extent, std::int64_t kernel, std::int64_t stride,
                     std::int64_t padding) {
  const std::int64_t origin = place * stride - padding;
  return {origin, std::max<std::int64_t>(0, -origin), std::min(kernel, extent - origin)};
}

// The windows [first, last), of `count`, that read position `at` of the image.
struct Covering {
  std::int64_t first, last;
};
inline Covering covering(std::int64_t at, std::int64_t count, std::int64_t kernel, std::int64_t stride,
                         std::int64_t padding) {
  const std::int64_t past = at + padding - kernel;  // windows that begin at or before it end before `at`
  return {past < 0 ? 0 : past / stride + 1, std::min(count, (at + padding) / stride + 1)};
}

}  // namespace reprise::cpu
