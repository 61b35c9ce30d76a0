#include "reprise/ops/pool_shape.h"

#include <fmt/format.h>

#include "reprise/core/error.h"

namespace reprise {

PoolWindows pool_windows(const Pool2dOptions& options) {
  return {options.kernel_size, options.stride.value_or(options.kernel_size), options.padding};
}

std::string to_string(const PoolWindows& windows) {
  return fmt::format("kernel={}x{} stride={}x{} padding={}x{}", windows.kernel_size.h, windows.kernel_size.w,
                     windows.stride.h, windows.stride.w, windows.padding.h, windows.padding.w);
}

Shape pooled_shape(std::string_view op, const Shape& x, const PoolWindows& w) {
  const auto [kernel, stride, padding] = w;
  if (x.rank() != 4) throw UserError(fmt::format("{}: x {} must be [n, h, w, channels]", op, to_string(x)));
  if (kernel.h < 1 || kernel.w < 1 || stride.h < 1 || stride.w < 1 || padding.h < 0 || padding.w < 0)
    throw UserError(
        fmt::format("{}: {}: kernel and stride must be at least 1 and padding at least 0", op, to_string(w)));
  if (2 * padding.h > kernel.h || 2 * padding.w > kernel.w)
    throw UserError(fmt::format("{}: {}: padding must be at most half the kernel", op, to_string(w)));
  if (kernel.h > x[1] + 2 * padding.h || kernel.w > x[2] + 2 * padding.w)
    throw UserError(fmt::format("{}: x {} with {}: the window is larger than the padded image", op,
                                to_string(x), to_string(w)));
  return {x[0], (x[1] + 2 * padding.h - kernel.h) / stride.h + 1,
          (x[2] + 2 * padding.w - kernel.w) / stride.w + 1, x[3]};
}

double pooling_flops(const Shape& y, const PoolWindows& windows) {
  return static_cast<double>(y.numel()) * static_cast<double>(windows.kernel_size.h * windows.kernel_size.w);
}

}  // namespace reprise
