#pragma once
// gather(x, dim, index): y[i][j][k] = x[index[i][j][k]][j][k] for dim 0, and so on: the result has index's shape. index is i64, of x's
// rank, and no larger than x in the other dimensions (UserError); an index out of range is a UserError when the kernel meets it. Every
// dtype. scatter_add(source, dim, index, shape): zeros of `shape` to which source's elements are added where gather would
// read them; floating. Each is the other's gradient; the index is saved. Sums are made in index's order, so the bits do not
// depend on the number of threads.
#include "reprise/autograd/op.h"

namespace reprise {

struct GatherArgs {
  ConstView x, index;
  View y;
  int dim;
};
extern KernelSlot<GatherArgs> gather_slot;  // by x's dtype

struct ScatterAddArgs {
  ConstView source, index;
  View y;
  int dim;
};
extern KernelSlot<ScatterAddArgs> scatter_add_slot;  // by source's dtype

Tensor gather(Tensor x, int dim, Tensor index);
Tensor scatter_add(Tensor source, int dim, Tensor index, const Shape& shape);

}  // namespace reprise
