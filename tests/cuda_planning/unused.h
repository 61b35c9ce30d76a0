#pragma once
// Graphs that the backend does not ask cuDNN for: what it says of them is known all the same (docs/cuda.md).
#include <vector>

#include "reprise/cuda/cudnn_graph.h"

namespace reprise::planning {

// Of images [32, 56, 56, 64] as they lie.
enum class BatchNorm { forward, forward_relu, forward_add_relu, backward };
std::vector<cuda::Descriptor> batch_norm_operations(BatchNorm kind, DType dtype);
// 3x3 with stride 2, of images twice as high and wide; `indices`: it tells where each largest number lay.
std::vector<cuda::Descriptor> max_pool_operations(DType dtype, bool indices);

}  // namespace reprise::planning
