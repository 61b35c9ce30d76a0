// The last projection and its loss, some positions at a time: oneDNN's products and the kernels of cross_entropy.
#include "reprise/ops/linear_cross_entropy.h"

#include <algorithm>

#include "reprise/cpu/dnnl_product.h"
#include "reprise/cpu/fast_slots.h"
#include "reprise/cpu/plain/target_count.h"
#include "reprise/cpu/plain_fallback.h"
#include "reprise/cpu/thread_scratch.h"

namespace reprise::cpu {
namespace {

// How the positions are cut: into chunks of `rows` and a last one that may be shorter.
struct Chunks {
  std::int64_t positions, classes, in, rows;
  DType dtype;

  Chunks(const ConstView& w, const ConstView& targets)
      : positions(targets.info->shape.numel()),
        classes(w.info->shape[0]),
        in(w.info->shape[1]),
        // Enough of them for a product to be fast, and few enough that their logits are a few MB.
        rows(std::min(positions, std::clamp<std::int64_t>((std::int64_t{1} << 21) / classes, 256, 1024))),
        dtype(w.info->dtype) {}

  std::int64_t count_from(std::int64_t first) const { return std::min(rows, positions - first); }
  std::size_t logits_bytes() const {
    return scratch_piece(static_cast<std::size_t>(rows * classes) * size_of(dtype));
  }

  // Of a chunk of m positions; null where oneDNN has nothing fast.
  std::shared_ptr<const DnnlOperation> logits(std::int64_t m) const {
    return product_primitive(
        {.m = m, .n = classes, .k = in, .transpose_b = true, .dtype = dtype, .result = dtype});
  }
  std::shared_ptr<const DnnlOperation> dx(std::int64_t m) const {
    return product_primitive({.m = m, .n = in, .k = classes, .dtype = dtype, .result = dtype});
  }
  std::shared_ptr<const DnnlOperation> dw(std::int64_t m, bool accumulate) const {
    return product_primitive(
        {.m = classes, .n = in, .k = m, .transpose_a = true, .dtype = dtype, .accumulate = accumulate});
  }

  // Calls f(size) for the two sizes that chunks have.
  template <class F>
  void for_each_size(F f) const {
    if (positions == 0) return;
    f(rows);
    if (positions % rows != 0) f(positions % rows);
  }
  bool fast(bool with_dx, bool with_dw) const {
    bool all = positions > 0;
    for_each_size([&](std::int64_t m) {
      all = all && logits(m) && (!with_dx || dx(m)) && (!with_dw || (dw(m, false) && dw(m, true)));
    });
    return all;
  }
};

// The logits of some positions and what the loss knows of them, as the kernels of cross_entropy take them.
struct ChunkOfLogits {
  ValueInfo logits, targets, statistics, scalar;
  ChunkOfLogits(const Chunks& chunks, std::int64_t rows)
      : logits{{rows, chunks.classes}, chunks.dtype, Device::cpu()},
        targets{{rows}, DType::i64, Device::cpu()},
        statistics{{rows}, DType::f32, Device::cpu()},
        scalar{Shape(), DType::f32, Device::cpu()} {}

  CrossEntropyArgs forward(const void* values, const std::int64_t* wanted, float* loss, float* log_sum,
                           const CrossEntropyOptions& options) const {
    return {{values, &logits}, {wanted, &targets}, {loss, &scalar}, {log_sum, &statistics}, options};
  }
  CrossEntropyBackwardArgs backward(const float* dloss, const void* values, const std::int64_t* wanted,
                                    const float* log_sum, void* dlogits,
                                    const CrossEntropyOptions& options) const {
    return {{dloss, &scalar},       {values, &logits},  {wanted, &targets},
            {log_sum, &statistics}, {dlogits, &logits}, options};
  }
};

template <class T>
T* rows_of(T* data, std::int64_t first, std::int64_t width, DType dtype) {
  using Byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
  return static_cast<Byte*>(data) + static_cast<std::size_t>(first * width) * size_of(dtype);
}

std::size_t forward_workspace(const LinearCrossEntropyArgs& args) {
  const Chunks chunks(args.w, args.targets);
  if (!chunks.fast(false, false)) return plain_workspace(linear_cross_entropy_slot, args, args.x.info->dtype);
  std::size_t most = 0;
  chunks.for_each_size([&](std::int64_t m) {
    const Kernel<CrossEntropyArgs>& loss = cross_entropy_slot.find(Device::cpu(), chunks.dtype);
    const ChunkOfLogits chunk(chunks, m);
    most = std::max({most, chunks.logits(m)->workspace(),
                     loss.workspace(chunk.forward(nullptr, nullptr, nullptr, nullptr, args.options))});
  });
  return chunks.logits_bytes() + most;
}

void forward(const LinearCrossEntropyArgs& args, std::span<std::byte> workspace) {
  const Chunks chunks(args.w, args.targets);
  if (!chunks.fast(false, false))
    return run_plain(linear_cross_entropy_slot, args, workspace, args.x.info->dtype);
  std::byte* logits = workspace.data();
  const std::span<std::byte> scratch = workspace.subspan(chunks.logits_bytes());
  double total = 0;
  std::int64_t counted = 0;
  for (std::int64_t first = 0; first < chunks.positions; first += chunks.rows) {
    const std::int64_t m = chunks.count_from(first);
    const auto* targets = args.targets.as<std::int64_t>() + first;
    chunks.logits(m)->run({rows_of(args.x.data, first, chunks.in, chunks.dtype), args.w.data, logits},
                          scratch);
    float mean = 0;
    cross_entropy_slot.run(ChunkOfLogits(chunks, m).forward(logits, targets, &mean,
                                                            args.log_sum.as<float>() + first, args.options),
                           scratch, Device::cpu(), chunks.dtype);
    const std::int64_t count = count_of(targets, m, args.options.ignore_index);
    if (count > 0) total += static_cast<double>(mean) * static_cast<double>(count);
    counted += count;
  }
  *args.loss.as<float>() = static_cast<float>(total / static_cast<double>(counted));
}

std::size_t backward_workspace(const LinearCrossEntropyBackwardArgs& args) {
  const Chunks chunks(args.w, args.targets);
  const bool with_dx = args.dx.info != nullptr, with_dw = args.dw.info != nullptr;
  if (!chunks.fast(with_dx, with_dw))
    return plain_workspace(linear_cross_entropy_backward_slot, args, args.x.info->dtype);
  std::size_t most = 0;
  chunks.for_each_size([&](std::int64_t m) {
    most = std::max(most, chunks.logits(m)->workspace());
    if (with_dx) most = std::max(most, chunks.dx(m)->workspace());
    if (with_dw) most = std::max({most, chunks.dw(m, false)->workspace(), chunks.dw(m, true)->workspace()});
  });
  return 2 * chunks.logits_bytes() + most;
}

void backward(const LinearCrossEntropyBackwardArgs& args, std::span<std::byte> workspace) {
  const Chunks chunks(args.w, args.targets);
  const bool with_dx = args.dx.info != nullptr, with_dw = args.dw.info != nullptr;
  if (!chunks.fast(with_dx, with_dw))
    return run_plain(linear_cross_entropy_backward_slot, args, workspace, args.x.info->dtype);
  std::byte *logits = workspace.data(), *dlogits = logits + chunks.logits_bytes();
  const std::span<std::byte> scratch = workspace.subspan(2 * chunks.logits_bytes());
  const auto counted = static_cast<double>(count_of(args.targets, args.options.ignore_index));
  for (std::int64_t first = 0; first < chunks.positions; first += chunks.rows) {
    const std::int64_t m = chunks.count_from(first);
    const auto* targets = args.targets.as<std::int64_t>() + first;
    const void* x = rows_of(args.x.data, first, chunks.in, chunks.dtype);
    chunks.logits(m)->run({x, args.w.data, logits}, scratch);
    // The kernel divides by the targets that count in this chunk, not in all.
    const auto count = static_cast<double>(count_of(targets, m, args.options.ignore_index));
    const auto dloss = static_cast<float>(static_cast<double>(*args.dloss.as<float>()) * count / counted);
    cross_entropy_backward_slot.run(
        ChunkOfLogits(chunks, m).backward(&dloss, logits, targets, args.log_sum.as<float>() + first, dlogits,
                                          args.options),
        scratch, Device::cpu(), chunks.dtype);
    if (with_dx)
      chunks.dx(m)->run({dlogits, args.w.data, rows_of(args.dx.data, first, chunks.in, chunks.dtype)},
                        scratch);
    if (with_dw) chunks.dw(m, first > 0)->run({dlogits, x, args.dw.data}, scratch);
  }
}

}  // namespace

void fill_fast_linear_cross_entropy() {
  fill_both(linear_cross_entropy_slot, forward, forward_workspace);
  fill_both(linear_cross_entropy_backward_slot, backward, backward_workspace);
}

}  // namespace reprise::cpu
