#pragma once
// Attention as cuDNN's operations: the graphs that its fused kernels ("flash attention") are recognized by.
#include "reprise/cuda/cudnn_graph.h"
#include "reprise/ops/attention.h"

namespace reprise::cuda {

// Without a mask and without dropout, whose random numbers are not cuDNN's. k and v lie alike, gradients as what they are
// of, and y and dy are contiguous.
struct AttentionProblem {
  DType dtype = DType::bf16;
  AttentionShape shape;
  bool causal = false;
  std::int64_t q_row = 0, k_row = 0;  // elements from one position to the next
};

// The ids of the graphs' tensors. lse and delta are f32 [batch, heads, queries]; the last three are numbers in f32 in the
// host's memory: what scores are multiplied with, the score of a key that is not seen, and 1.
inline constexpr std::int64_t kQ = 1, kK = 2, kV = 3, kY = 4, kLse = 5, kDy = 6, kDelta = 7, kDq = 8, kDk = 9,
                              kDv = 10, kScale = 11, kHidden = 12, kOne = 13;

// Reads q, k, v; writes y and lse.
std::vector<Descriptor> attention_operations(const AttentionProblem& problem);

// Reads q, k, v, y, dy, lse; writes delta, dq, dk, dv. dq is a product like the other two, of the scores' gradients, which lie
// in the workspace: cuDNN's other form adds dq up by atomics in no fixed order, and carries no note that says so.
std::vector<Descriptor> attention_backward_operations(const AttentionProblem& problem);

// The same of as many entries of the batch at a time as divide it, so that the gradient's workspace is no larger; of one where
// even that needs more.
AttentionProblem part_of_batch(AttentionProblem problem, std::size_t most_workspace);

}  // namespace reprise::cuda
