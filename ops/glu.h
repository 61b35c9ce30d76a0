#pragma once
// Gated linear units (Dauphin et al., 2017; Shazeer, "GLU Variants Improve Transformer", 2020): with the halves a and b of
// x's last dimension, y = a f(b), where f is gelu (geglu) or silu (swiglu).
//
// x [.., 2 width] floating, y [.., width]. The second half is the gate, as in PyTorch's F.glu. Saves x; the gradient
// goes to both halves in one tensor: da = dy f(b), db = dy a f'(b). The gradient op has no gradient.
#include "reprise/core/kernel_slot.h"
#include "reprise/ops/gelu.h"

namespace reprise {

Tensor geglu(Tensor x, GeluOptions options = {});
Tensor swiglu(Tensor x);

enum class Gate { gelu, gelu_tanh, silu };
struct GluArgs {
  ConstView x;
  Gate gate;
  View y;
};
struct GluBackwardArgs {
  ConstView dy, x;
  Gate gate;
  View dx;
};
extern KernelSlot<GluArgs> glu_slot;
extern KernelSlot<GluBackwardArgs> glu_backward_slot;

}  // namespace reprise
