#pragma once
// Attention by kernels of our own: every dtype, mask, dropout and shape, in memory linear in the sequence.
#include "reprise/ops/attention.h"

namespace reprise::cuda {

void run_attention_kernel(const AttentionArgs& args);
// `delta`: room for a number of each query and head, as lse has.
void run_attention_backward_kernels(const AttentionBackwardArgs& args, void* delta);

}  // namespace reprise::cuda
