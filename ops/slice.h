#pragma once
// Parts of one dimension, every dtype.
// slice(x, first, last): x[first:last] of the leading dimension; a view that shares x's storage. Negative places count
// from the end. narrow(x, dim, first, length): the same of any dimension; a copy unless dim is the leading one.
// pad(x, dim, before, after): zeros before and after in that dimension. The gradient of slice and narrow is pad and the
// other way round. Nothing is saved.
#include "reprise/autograd/op.h"

namespace reprise {

struct NarrowArgs {  // y = x[..., first : first + y's extent, ...] in dimension dim
  ConstView x;
  View y;
  int dim;
  std::int64_t first;
};
extern KernelSlot<NarrowArgs> narrow_slot;  // every dtype

struct PadArgs {  // y = 0 except y[..., before : before + x's extent, ...] = x
  ConstView x;
  View y;
  int dim;
  std::int64_t before;
};
extern KernelSlot<PadArgs> pad_slot;  // every dtype

Tensor slice(Tensor x, std::int64_t first, std::int64_t last);
Tensor narrow(Tensor x, int dim, std::int64_t first, std::int64_t length);
Tensor pad(Tensor x, int dim, std::int64_t before, std::int64_t after);

}  // namespace reprise
