#pragma once
// The windows of max_pool2d and avg_pool2d, and the shape they give.
#include <string>
#include <string_view>

#include "reprise/core/shape.h"
#include "reprise/ops/max_pool2d.h"
#include "reprise/ops/pair.h"

namespace reprise {

// Pool2dOptions with the stride settled.
struct PoolWindows {
  Pair kernel_size, stride, padding;
};
PoolWindows pool_windows(const Pool2dOptions& options);

// "kernel=3x3 stride=2x2 padding=1x1"
std::string to_string(const PoolWindows& windows);

// [n, p, q, c]; UserError, naming the op, where x is no image or the windows do not fit it.
Shape pooled_shape(std::string_view op, const Shape& x, const PoolWindows& windows);

double pooling_flops(const Shape& y, const PoolWindows& windows);

}  // namespace reprise
