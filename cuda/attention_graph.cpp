#include "reprise/cuda/attention_graph.h"

#include "reprise/cuda/operation_graph.h"

namespace reprise::cuda {

namespace {

Extents exchanged(const Extents& e) { return {e[0], e[1], e[3], e[2]}; }

// The tensors' extents, [batch, heads, rows, columns], and strides.
struct Layout {
  Extents queries, keys, scores, rows;
  Extents q_strides, k_strides, y_strides;
  explicit Layout(const AttentionProblem& p) {
    const AttentionShape& s = p.shape;
    queries = {s.batch, s.heads, s.queries, s.head_dim};
    keys = {s.batch, s.key_heads, s.keys, s.head_dim};
    scores = {s.batch, s.heads, s.queries, s.keys};
    rows = {s.batch, s.heads, s.queries, 1};
    const auto strides = [&](std::int64_t positions, std::int64_t row) {
      return Extents{positions * row, s.head_dim, row, 1};
    };
    q_strides = strides(s.queries, p.q_row);
    k_strides = strides(s.keys, p.k_row);
    y_strides = strides(s.queries, s.heads * s.head_dim);
  }
};

// The scores of keys that a query sees, and minus infinity for the others.
GraphTensor hide_later_keys(OperationGraph& graph, const GraphTensor& scores) {
  const GraphTensor query = graph.between(scores.extents, CUDNN_DATA_INT32),
                    key = graph.between(scores.extents, CUDNN_DATA_INT32),
                    seen = graph.between(scores.extents, CUDNN_DATA_BOOLEAN);
  GraphTensor result = graph.between(scores.extents);
  graph.index(scores, 2, query);
  graph.index(scores, 3, key);
  graph.compare(CUDNN_POINTWISE_CMP_GE, query, key, seen);
  graph.select(scores, OperationGraph::number(kHidden), seen, result);
  return result;
}

// f(x, b), of x's extents.
GraphTensor combine(OperationGraph& graph, cudnnPointwiseMode_t f, const GraphTensor& x,
                    const GraphTensor& b) {
  GraphTensor result = graph.between(x.extents);
  graph.pointwise(f, x, b, result);
  return result;
}
GraphTensor apply(OperationGraph& graph, cudnnPointwiseMode_t f, const GraphTensor& x) {
  GraphTensor result = graph.between(x.extents);
  graph.pointwise(f, x, result);
  return result;
}
GraphTensor reduce(OperationGraph& graph, cudnnReduceTensorOp_t op, const GraphTensor& x) {
  const Extents& e = x.extents;
  GraphTensor result = graph.between({e[0], e[1], e[2], 1});
  graph.reduce(op, x, result);
  return result;
}

}  // namespace

std::vector<Descriptor> attention_operations(const AttentionProblem& p) {
  const Layout layout(p);
  OperationGraph graph;
  const GraphTensor q = OperationGraph::memory(kQ, p.dtype, layout.queries, layout.q_strides),
                    k = OperationGraph::memory(kK, p.dtype, exchanged(layout.keys),
                                               exchanged(layout.k_strides)),
                    v = OperationGraph::memory(kV, p.dtype, layout.keys, layout.k_strides),
                    y = OperationGraph::memory(kY, p.dtype, layout.queries, layout.y_strides),
                    lse = OperationGraph::memory(kLse, DType::f32, layout.rows, row_major(layout.rows)),
                    scale = OperationGraph::number(kScale);
  const GraphTensor products = graph.between(layout.scores);
  graph.matmul(q, k, products);
  GraphTensor scores = combine(graph, CUDNN_POINTWISE_MUL, products, scale);
  if (p.causal) scores = hide_later_keys(graph, scores);
  const GraphTensor highest = reduce(graph, CUDNN_REDUCE_TENSOR_MAX, scores);
  const GraphTensor exponentials =
      apply(graph, CUDNN_POINTWISE_EXP, combine(graph, CUDNN_POINTWISE_SUB, scores, highest));
  const GraphTensor sum = reduce(graph, CUDNN_REDUCE_TENSOR_ADD, exponentials);
  graph.pointwise(CUDNN_POINTWISE_ADD, highest, apply(graph, CUDNN_POINTWISE_LOG, sum), lse);
  const GraphTensor weights = graph.between(layout.scores, cudnn_type(p.dtype));
  graph.pointwise(CUDNN_POINTWISE_DIV, exponentials, sum, weights);
  graph.matmul(weights, v, y);
  return graph.take_operations();
}

std::vector<Descriptor> attention_backward_operations(const AttentionProblem& p) {
  const Layout layout(p);
  const cudnnDataType_t type = cudnn_type(p.dtype);
  OperationGraph graph;
  const auto of_keys = [&](std::int64_t id) {
    return OperationGraph::memory(id, p.dtype, layout.keys, layout.k_strides);
  };
  const auto of_keys_transposed = [&](std::int64_t id) {
    return OperationGraph::memory(id, p.dtype, exchanged(layout.keys), exchanged(layout.k_strides));
  };
  const auto of_rows = [&](std::int64_t id) {
    return OperationGraph::memory(id, DType::f32, layout.rows, row_major(layout.rows));
  };
  const GraphTensor q = OperationGraph::memory(kQ, p.dtype, layout.queries, layout.q_strides),
                    k = of_keys_transposed(kK), v = of_keys_transposed(kV),
                    y = OperationGraph::memory(kY, p.dtype, layout.queries, layout.y_strides),
                    dy = OperationGraph::memory(kDy, p.dtype, layout.queries, layout.y_strides),
                    lse = of_rows(kLse), delta = of_rows(kDelta),
                    dq = OperationGraph::memory(kDq, p.dtype, layout.queries, layout.q_strides),
                    dk = of_keys(kDk), dv = of_keys(kDv), scale = OperationGraph::number(kScale);
  // x^T, in the operands' dtype, of x [batch, heads, queries, keys].
  const auto transposed = [&](const GraphTensor& x) {
    GraphTensor result = graph.between(exchanged(layout.scores), exchanged(row_major(layout.scores)), type);
    graph.transpose(x, result);
    return result;
  };
  // x^T b into the gradient of k or v, whose heads serve one query head or several.
  const auto product_of_keys = [&](const GraphTensor& x, const GraphTensor& b, const GraphTensor& gradient) {
    const GraphTensor x_transposed = transposed(x);
    if (p.shape.heads == p.shape.key_heads) return graph.matmul(x_transposed, b, gradient);
    const GraphTensor of_heads =
        graph.between({p.shape.batch, p.shape.heads, p.shape.keys, p.shape.head_dim}, type);
    graph.matmul(x_transposed, b, of_heads);
    graph.reduce(CUDNN_REDUCE_TENSOR_ADD, of_heads, gradient);
  };

  // cuDNN knows the pattern by the factor of 1, which is there for dropout.
  const GraphTensor sums = reduce(graph, CUDNN_REDUCE_TENSOR_ADD, combine(graph, CUDNN_POINTWISE_MUL, dy, y));
  graph.pointwise(CUDNN_POINTWISE_MUL, sums, OperationGraph::number(kOne), delta);

  const GraphTensor products = graph.between(layout.scores);
  graph.matmul(q, k, products);
  GraphTensor exponents =
      combine(graph, CUDNN_POINTWISE_SUB, combine(graph, CUDNN_POINTWISE_MUL, products, scale), lse);
  if (p.causal) exponents = hide_later_keys(graph, exponents);
  const GraphTensor weights = apply(graph, CUDNN_POINTWISE_EXP, exponents);
  product_of_keys(weights, dy, dv);

  const GraphTensor of_weights = graph.between(layout.scores);
  graph.matmul(dy, v, of_weights);
  const GraphTensor of_scores =
      combine(graph, CUDNN_POINTWISE_MUL, combine(graph, CUDNN_POINTWISE_SUB, of_weights, delta), weights);
  const GraphTensor scaled = combine(graph, CUDNN_POINTWISE_MUL, of_scores, scale);
  product_of_keys(scaled, q, dk);

  const GraphTensor k_as_it_lies = graph.between(layout.keys, layout.k_strides, type);
  graph.transpose(k, k_as_it_lies);
  graph.matmul(scaled, k_as_it_lies, dq);
  return graph.take_operations();
}

AttentionProblem part_of_batch(AttentionProblem problem, std::size_t most_workspace) {
  const AttentionShape& s = problem.shape;
  const auto up = [](std::int64_t extent) { return (extent + 127) / 128 * 128; };
  // The scores' gradients, and those of k and v of each query head before they are added up; a little besides.
  const std::int64_t of_entry = s.heads * (up(s.queries) * up(s.keys) + 2 * up(s.keys) * s.head_dim) *
                                static_cast<std::int64_t>(size_of(problem.dtype));
  const std::int64_t most = static_cast<std::int64_t>(most_workspace) - 1024;
  std::int64_t parts = 1;
  while (parts < s.batch && (s.batch % parts != 0 || s.batch / parts * of_entry > most)) ++parts;
  problem.shape.batch /= parts;
  return problem;
}

}  // namespace reprise::cuda
