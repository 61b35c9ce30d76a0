#pragma once
// dropout: y = x / (1 - p) where the element is kept, which has probability 1 - p, and 0 elsewhere.
//
// Element i is kept where uniform_from_word(random_word(seed, offset + i)) >= p, compared in f32: the mask is
// a pure function of an address (core/random.h) drawn when the op is recorded, so nothing is saved and the
// gradient is the same op on dy. 0 <= p <= 1 (UserError); p = 1 gives zeros. With training = false it returns
// x itself.
#include "reprise/core/kernel_slot.h"
#include "reprise/core/random.h"
#include "reprise/core/tensor.h"

namespace reprise {

Tensor dropout(Tensor x, double p, bool training = true);

struct DropoutArgs {
  ConstView x;
  View y;
  double p = 0;
  RandomAddress random;  // offset is a multiple of 4
};
extern KernelSlot<DropoutArgs> dropout_slot;  // by x's dtype

}  // namespace reprise
