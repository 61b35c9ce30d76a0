#pragma once
// to_device(x, device): a copy of x on another device; x itself where it is there already. Every dtype. Gradient: g copied
// back. Nothing is saved.
#include "reprise/autograd/op.h"

namespace reprise {

Tensor to_device(Tensor x, Device device);

}  // namespace reprise
