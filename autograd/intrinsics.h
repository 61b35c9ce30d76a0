#pragma once
// The few ops that the engine itself needs: ones (a gradient's seed), add (two gradients that meet), cast (a gradient in
// f32 of a value of 16 bits), copy.
#include "reprise/autograd/op.h"

namespace reprise {

struct OnesArgs {
  View y;
};
struct AddSameArgs {  // y = a + b, equal shapes; y may be a
  ConstView a, b;
  View y;
};
struct CastArgs {  // equal shapes
  ConstView x;
  View y;
};
extern KernelSlot<OnesArgs> ones_slot;         // every dtype
extern KernelSlot<AddSameArgs> add_same_slot;  // floating dtypes; bf16 and f16 add in f32 and round
extern KernelSlot<CastArgs> cast_slot;         // by x's dtype

Tensor ones_like(const ValueInfo& info);  // not recorded
// Two gradients of one value; shapes, dtypes and devices are equal. Its own gradient passes on to both.
Tensor add_gradients(Tensor a, Tensor b);
// The elements converted (ops/cast.h); x itself where the dtype is the same. Its gradient is cast back.
Tensor cast(Tensor x, DType dtype);
// The same in place: to = to + more, of one dtype.
void add_gradients_into(const View& to, const ConstView& more);
// Same bytes; the devices may differ.
void copy_bytes(const ConstView& from, const View& to);

}  // namespace reprise
