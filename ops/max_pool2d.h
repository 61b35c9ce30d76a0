#pragma once
// max_pool2d: the highest value of each window, per channel. x [n, h, w, c] with h and w of at least 1; y [n, p, q, c].
// p = (h + 2 padding - kernel) / stride + 1, rounded down. Padding counts as minus infinity and is at most half the kernel.
//
// The first of equal values wins (row by row); a NaN wins over any number. The second output, not
// differentiable, says which place of the window won: i * kernel.w + j. It is u8 if a window has at most 255
// places, else i32. Saves that second output only. Gradient: max_pool2d_backward, which has
// no gradient of its own.
#include <optional>

#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"
#include "reprise/ops/pair.h"

namespace reprise {

struct Pool2dOptions {
  Pair kernel_size = 2;
  std::optional<Pair> stride = {};  // without: kernel_size
  Pair padding = 0;
};
Tensor max_pool2d(Tensor x, Pool2dOptions options);
// max_pool2d(relu(x)) in one op, which keeps nothing of x's size: where no place of a window is above 0, y is 0 and nobody
// gets its gradient (the index is the number of places).
Tensor max_pool2d_relu(Tensor x, Pool2dOptions options);

// All by x's dtype (that of dy in the gradient). The stride is set.
struct MaxPool2dArgs {
  ConstView x;
  View y, index;
  Pair kernel_size = 2, stride = 2, padding = 0;
  bool relu = false;
};
struct MaxPool2dBackwardArgs {
  ConstView dy, index;
  View dx;
  Pair kernel_size = 2, stride = 2, padding = 0;
};
extern KernelSlot<MaxPool2dArgs> max_pool2d_slot;
extern KernelSlot<MaxPool2dBackwardArgs> max_pool2d_backward_slot;

}  // namespace reprise
