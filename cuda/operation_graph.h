#pragma once
// Graphs of products, element-wise functions and reductions as cuDNN's operations.
#include <array>
#include <utility>

#include "reprise/cuda/cudnn_graph.h"

namespace reprise::cuda {

using Extents = std::array<std::int64_t, 4>;

inline Extents row_major(const Extents& extents) {
  return {extents[1] * extents[2] * extents[3], extents[2] * extents[3], extents[3], 1};
}

// A tensor of a graph, [batch, heads, rows, columns].
struct GraphTensor {
  Extents extents = {};
  Descriptor descriptor;
};

// An operation is appended by a call; it computes in `computed`, unless it makes indices or truth values.
class OperationGraph {
 public:
  explicit OperationGraph(cudnnDataType_t computed = CUDNN_DATA_FLOAT) : computed_(computed) {}

  // In memory, named `id` to the plan.
  static GraphTensor memory(std::int64_t id, DType dtype, const Extents& extents, const Extents& strides);
  // A number in f32 that the host hands over at each run: its address is in the host's memory.
  static GraphTensor number(std::int64_t id);
  // Between two operations: it need not lie anywhere.
  GraphTensor between(const Extents& extents);
  GraphTensor between(const Extents& extents, cudnnDataType_t type);
  GraphTensor between(const Extents& extents, const Extents& strides, cudnnDataType_t type);

  void matmul(const GraphTensor& a, const GraphTensor& b,
              const GraphTensor& c);  // c = a b, of the last two extents
  // y = mode(x), mode(x, b), or x where t is true and b elsewhere; b broadcasts.
  void pointwise(cudnnPointwiseMode_t mode, const GraphTensor& x, const GraphTensor& y);
  void pointwise(cudnnPointwiseMode_t mode, const GraphTensor& x, const GraphTensor& b, const GraphTensor& y);
  void select(const GraphTensor& x, const GraphTensor& b, const GraphTensor& t, const GraphTensor& y);
  void index(const GraphTensor& x, std::int64_t axis,
             const GraphTensor& y);  // y: each element's place along x's axis
  void compare(cudnnPointwiseMode_t mode, const GraphTensor& x, const GraphTensor& b, const GraphTensor& y);
  void reduce(cudnnReduceTensorOp_t op, const GraphTensor& x, const GraphTensor& y);  // to y's extents
  void transpose(const GraphTensor& x, const GraphTensor& y);  // y is x as it lies, seen through y's strides

  // An operation of another kind, which the caller describes and finalizes.
  Descriptor& append(cudnnBackendDescriptorType_t type);

  std::vector<Descriptor> take_operations() { return std::move(operations_); }

 private:
  void append_pointwise(cudnnPointwiseMode_t mode, cudnnDataType_t compute, std::int64_t axis,
                        const GraphTensor& x, const GraphTensor* b, const GraphTensor* t,
                        const GraphTensor& y);

  cudnnDataType_t computed_;
  std::vector<Descriptor> operations_;
  std::int64_t next_id_ = 1000;  // of tensors that lie nowhere
};

}  // namespace reprise::cuda
