#pragma once
// Simple augmentation of images, addressed by {seed, epoch, index of the sample}: the same bits whichever
// batch a sample falls into, and after a resumed run.
#include <cstdint>
#include <span>

#include "reprise/core/tensor.h"

namespace reprise::data {

struct AugmentOptions {
  bool horizontal_flip = false;  // with probability 1/2
  std::int64_t crop_padding =
      0;            // pad every side by this many pixels, then cut the old size out at a random place
  double fill = 0;  // of the padding; black in FashionMnist is -kMean / kStd
  bool any() const { return horizontal_flip || crop_padding > 0; }
};

// images: f32 [n, h, w, c]; image i is sample indices[i]. A new tensor, memory tag data. UserError for other
// shapes or a negative padding.
Tensor augment(const Tensor& images, std::span<const std::int64_t> indices, std::uint64_t seed,
               std::int64_t epoch, AugmentOptions options);

}  // namespace reprise::data
