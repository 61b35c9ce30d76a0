// attention: cuDNN's fused kernels in bf16 and f16 where it has them, our own in f32 and f64, with a mask or dropout, and elsewhere.
#include <algorithm>
#include <cmath>
#include <vector>

#include "reprise/cuda/attention_graph.h"
#include "reprise/cuda/attention_kernels.h"
#include "reprise/cuda/cudnn_plans.h"
#include "reprise/cuda/slots.h"

namespace reprise::cuda {
namespace {

// Of the gradient's graph, for the gradients of scores. What needs more is computed some entries of the batch at a time.
#ifdef REPRISE_CUDA_EMULATED
constexpr std::size_t kMostWorkspace = std::size_t{1} << 19;  // small problems are cut too
#else
constexpr std::size_t kMostWorkspace = std::size_t{256} << 20;
#endif

CudnnGraph graph_of(GraphKind kind, const AttentionProblem& p) {
  const AttentionShape& s = p.shape;
  return {.kind = kind,
          .key = {static_cast<int>(p.dtype), s.batch, s.queries, s.keys, s.heads, s.key_heads, s.head_dim,
                  p.causal, p.q_row, p.k_row},
          .request = {.tf32 = true, .most_workspace = kMostWorkspace},
          .operations = [=] {
            return kind == GraphKind::attention ? attention_operations(p) : attention_backward_operations(p);
          }};
}

template <class Args>
AttentionProblem problem_of(const Args& args) {
  return {args.q.values.info->dtype, args.shape, args.settings.causal, args.q.row, args.k.row};
}

// What cuDNN is asked for at all. Its documentation has heads of 256 at most; releases before 9.16 count keys beyond the last
// where there is no multiple of 128; and with one query and a causal mask, or one query and one key, it is known to err.
template <class Args>
bool suits_cudnn(const Args& args) {
  const AttentionShape& s = args.shape;
  const DType dtype = args.q.values.info->dtype;
  if (dtype == DType::f32 || dtype == DType::f64 || args.mask.info || args.settings.dropout != 0)
    return false;
  if (s.batch == 0 || s.queries == 0 || s.keys == 0 || cudnnGetVersion() < 91600) return false;
  if (s.head_dim > 256) return false;
  return s.queries > 1 || (s.keys > 1 && !args.settings.causal);
}

// Where an entry of the batch begins.
template <class V>
void* begin_of(const HeadRows<V>& rows, std::int64_t entry, std::int64_t positions) {
  const std::int64_t at = rows.first + entry * positions * rows.row;
  auto* data = static_cast<std::byte*>(const_cast<void*>(static_cast<const void*>(rows.values.data)));
  return data + at * static_cast<std::int64_t>(size_of(rows.values.info->dtype));
}

bool are_aligned(std::span<void* const> operands) {
  return std::all_of(operands.begin(), operands.end(),
                     [](void* operand) { return reinterpret_cast<std::uintptr_t>(operand) % 16 == 0; });
}

// The numbers that a graph is handed.
struct Numbers {
  float scale, hidden = -INFINITY, one = 1;
  explicit Numbers(const AttentionSettings& settings) : scale(static_cast<float>(settings.scale)) {}
};

// The entry's part of an operand whose entries follow each other.
template <class V>
void* begin_of(const V& view, std::int64_t entry, const AttentionShape& s) {
  const std::size_t bytes = view.info->bytes() / static_cast<std::size_t>(s.batch);
  return static_cast<std::byte*>(const_cast<void*>(static_cast<const void*>(view.data))) +
         static_cast<std::size_t>(entry) * bytes;
}

// ---- forward

std::size_t attention_workspace(const AttentionArgs& args) {
  if (!suits_cudnn(args)) return 0;
  return planned_workspace(graph_of(GraphKind::attention, problem_of(args)), args.y.info->device).value_or(0);
}

void attention(const AttentionArgs& args, std::span<std::byte> workspace) {
  const Device device = args.y.info->device;
  const AttentionShape& s = args.shape;
  if (!suits_cudnn(args)) return run_attention_kernel(args);
  const CudnnGraph graph = graph_of(GraphKind::attention, problem_of(args));
  Numbers numbers(args.settings);
  const std::int64_t ids[] = {kQ, kK, kV, kY, kLse, kScale, kHidden};
  void* const data[] = {begin_of(args.q, 0, s.queries),
                        begin_of(args.k, 0, s.keys),
                        begin_of(args.v, 0, s.keys),
                        args.y.data,
                        args.lse.data,
                        &numbers.scale,
                        &numbers.hidden};
  if (!are_aligned(std::span(data).first(5)) || !planned_workspace(graph, device))
    return run_attention_kernel(args);
  const std::size_t count = args.settings.causal ? 7 : 6;
  run_graph(graph, device, std::span(ids).first(count), std::span(data).first(count), workspace);
}

// ---- backward

// Of the delta of each query and head, which lies as lse does; behind it begins cuDNN's.
std::size_t delta_bytes(const AttentionBackwardArgs& args) {
  return (args.lse.info->bytes() + 255) / 256 * 256;
}

bool suits_cudnn_backward(const AttentionBackwardArgs& args) {
  return suits_cudnn(args) && args.dq.values.info && args.dk.values.info && args.dv.values.info;
}

std::size_t attention_backward_workspace(const AttentionBackwardArgs& args) {
  const std::size_t delta = delta_bytes(args);
  if (!suits_cudnn_backward(args)) return delta;
  const CudnnGraph graph =
      graph_of(GraphKind::attention_backward, part_of_batch(problem_of(args), kMostWorkspace));
  return delta + planned_workspace(graph, args.dy.info->device).value_or(0);
}

void attention_backward(const AttentionBackwardArgs& args, std::span<std::byte> workspace) {
  const AttentionShape& s = args.shape;
  const Device device = args.dy.info->device;
  void* const delta = workspace.data();
  if (!suits_cudnn_backward(args)) return run_attention_backward_kernels(args, delta);
  const AttentionProblem part = part_of_batch(problem_of(args), kMostWorkspace);
  const CudnnGraph graph = graph_of(GraphKind::attention_backward, part);
  Numbers numbers(args.settings);
  const std::int64_t ids[] = {kQ, kK, kV, kDq, kDk, kDv, kY, kDy, kLse, kDelta, kScale, kOne, kHidden};
  const auto data_from = [&](std::int64_t entry) -> std::vector<void*> {
    return {begin_of(args.q, entry, s.queries),
            begin_of(args.k, entry, s.keys),
            begin_of(args.v, entry, s.keys),
            begin_of(args.dq, entry, s.queries),
            begin_of(args.dk, entry, s.keys),
            begin_of(args.dv, entry, s.keys),
            begin_of(args.y, entry, s),
            begin_of(args.dy, entry, s),
            begin_of(args.lse, entry, s),
            delta,
            &numbers.scale,
            &numbers.one,
            &numbers.hidden};
  };
  const auto is_aligned = [&](std::int64_t entry) {
    const std::vector<void*> data = data_from(entry);
    return are_aligned(std::span(data).first(10));
  };
  const bool in_parts = part.shape.batch < s.batch;
  if (!is_aligned(0) || (in_parts && !is_aligned(part.shape.batch)) || !planned_workspace(graph, device))
    return run_attention_backward_kernels(args, delta);
  const std::size_t count = std::size(ids) - (args.settings.causal ? 0 : 1);
  for (std::int64_t entry = 0; entry < s.batch; entry += part.shape.batch) {
    const std::vector<void*> data = data_from(entry);
    run_graph(graph, device, std::span(ids).first(count), std::span(data).first(count),
              workspace.subspan(delta_bytes(args)));
  }
}

}  // namespace

void fill_attention() {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    attention_slot.fill(Device::CUDA, dtype, {attention, attention_workspace});
    attention_backward_slot.fill(Device::CUDA, dtype, {attention_backward, attention_backward_workspace});
  }
}

}  // namespace reprise::cuda
