#pragma once
// Writing the values of parameters and buffers, which live outside any tape.
#include <vector>

#include "reprise/core/tensor.h"

namespace reprise::nn {

struct Copy {
  Tensor from, to;
};

// Writes the elements of each `from`, converted, into the bytes of its `to` and bumps the version of that storage: a
// tape that recorded the old contents refuses to read the new. UserError when shapes differ. When it throws, nothing
// has been written. Does nothing in a dry run.
void copy_values(std::vector<Copy> copies);

// Do two tensors on the CPU of one dtype have the same elements, bit for bit?
bool same_bytes(const Tensor& a, const Tensor& b);

// Puts the contents of `value` behind the handle `tensor` and all that share it. Its gradient is released.
void replace_contents(const Tensor& tensor, const Tensor& value);

}  // namespace reprise::nn
