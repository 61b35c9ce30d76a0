// The last projection and its loss, some positions at a time: cuBLASLt's products and the kernels of cross_entropy.
#include "reprise/ops/linear_cross_entropy.h"

#include "reprise/cuda/cross_entropy.cuh"
#include "reprise/cuda/cublaslt.h"
#include "reprise/cuda/slots.h"
#include "reprise/ops/statistics.h"

namespace reprise::cuda {
namespace {

#ifdef REPRISE_CUDA_EMULATED
constexpr std::int64_t kMostLogits = std::int64_t{1} << 16, kFewestRows = 8;  // small problems are cut too
#else
constexpr std::int64_t kMostLogits = std::int64_t{1} << 25, kFewestRows = 512;
#endif

std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

// How the positions are cut: into chunks of `rows` and a last one that may be shorter.
struct Chunks {
  std::int64_t positions, classes, in, rows;
  DType dtype;
  Device device;

  Chunks(const ConstView& w, const ConstView& targets)
      : positions(targets.info->shape.numel()),
        classes(w.info->shape[0]),
        in(w.info->shape[1]),
        rows(std::min(positions, std::max(kFewestRows, kMostLogits / std::max<std::int64_t>(1, classes)))),
        dtype(w.info->dtype),
        device(w.info->device) {}

  std::size_t logits_bytes() const {
    return aligned(static_cast<std::size_t>(rows * classes) * size_of(dtype));
  }

  // Of a chunk of m positions.
  Product logits(std::int64_t m) const {
    return {.in = dtype, .out = dtype, .transpose_b = true, .m = m, .n = classes, .k = in};
  }
  Product dx(std::int64_t m) const { return {.in = dtype, .out = dtype, .m = m, .n = in, .k = classes}; }
  Product dw(std::int64_t m, bool accumulate) const {
    return {.in = dtype,
            .out = statistics_dtype(dtype),
            .transpose_a = true,
            .accumulate = accumulate,
            .m = classes,
            .n = in,
            .k = m};
  }
  std::size_t workspace_of(const Product& product) const {
    return product.m == 0 || product.n == 0 || product.k == 0 ? 0 : product_workspace(product, device);
  }
  void run(const Product& product, const void* a, const void* b, void* y,
           std::span<std::byte> workspace) const {
    const std::int64_t elements = product.m * product.n;
    if (elements == 0) return;
    if (product.k > 0)
      run_product(product, device, a, b, nullptr, y, workspace);
    else  // sums over nothing
      check(cudaMemsetAsync(y, 0, static_cast<std::size_t>(elements) * size_of(product.out),
                            use(device).stream),
            "cudaMemsetAsync");
  }

  // Calls f(size) for the two sizes that chunks have.
  template <class F>
  void for_each_size(F f) const {
    if (positions == 0) return;
    f(rows);
    if (positions % rows != 0) f(positions % rows);
  }
  // Calls f(first, count) for each chunk.
  template <class F>
  void for_each(F f) const {
    for (std::int64_t first = 0; first < positions; first += rows)
      f(first, std::min(rows, positions - first));
  }
};

// The parts of the kernels' workspace.
struct Space {
  LossWorkspace loss;
  void* logits;
  std::span<std::byte> products;
  Space(std::span<std::byte> workspace, const Chunks& chunks, std::size_t loss_bytes)
      : loss(workspace, chunks.positions),
        logits(workspace.data() + aligned(loss_bytes)),
        products(workspace.subspan(aligned(loss_bytes) + chunks.logits_bytes())) {}
};

std::size_t linear_cross_entropy_workspace(const LinearCrossEntropyArgs& args) {
  const Chunks chunks(args.w, args.targets);
  std::size_t most = 0;
  chunks.for_each_size([&](std::int64_t m) { most = std::max(most, chunks.workspace_of(chunks.logits(m))); });
  return aligned(LossWorkspace::bytes(chunks.positions, true)) + chunks.logits_bytes() + most;
}

void linear_cross_entropy(const LinearCrossEntropyArgs& args, std::span<std::byte> workspace) {
  const Context& context = use(args.w.info->device);
  const Chunks chunks(args.w, args.targets);
  const Space space(workspace, chunks, LossWorkspace::bytes(chunks.positions, true));
  const Targets targets{args.targets.as<std::int64_t>(), chunks.classes, args.options.ignore_index};
  with_any_floating(chunks.dtype, [&](auto stored) {
    using T = decltype(stored);
    auto* logits = static_cast<T*>(space.logits);
    chunks.for_each([&](std::int64_t first, std::int64_t count) {
      chunks.run(chunks.logits(count), args.x.as<T>() + first * chunks.in, args.w.data, logits,
                 space.products);
      launch("linear_cross_entropy", context, count, threads_for_row(chunks.classes),
             kThreads / kWarp * sizeof(double), cross_entropy_rows<T>, targets.from(first),
             args.options.label_smoothing, logits, args.log_sum.as<Computed<T>>() + first,
             space.loss.losses + first);
    });
  });
  total("linear_cross_entropy", context, chunks.positions, space.loss.partial, Count{targets},
        Store{space.loss.count});
  total("linear_cross_entropy", context, chunks.positions, space.loss.partial, Stored{space.loss.losses},
        StoreMean{args.loss, space.loss.count});
}

std::size_t linear_cross_entropy_backward_workspace(const LinearCrossEntropyBackwardArgs& args) {
  const Chunks chunks(args.w, args.targets);
  std::size_t most = 0;
  const auto need = [&](const Product& product) { most = std::max(most, chunks.workspace_of(product)); };
  chunks.for_each_size([&](std::int64_t m) {
    need(chunks.logits(m));
    if (args.dx.info) need(chunks.dx(m));
    if (!args.dw.info) return;
    need(chunks.dw(m, false));
    need(chunks.dw(m, true));
  });
  return aligned(LossWorkspace::bytes(chunks.positions, false)) + chunks.logits_bytes() + most;
}

void linear_cross_entropy_backward(const LinearCrossEntropyBackwardArgs& args,
                                   std::span<std::byte> workspace) {
  const Context& context = use(args.w.info->device);
  const Chunks chunks(args.w, args.targets);
  const Space space(workspace, chunks, LossWorkspace::bytes(chunks.positions, false));
  const Targets targets{args.targets.as<std::int64_t>(), chunks.classes, args.options.ignore_index};
  total("linear_cross_entropy_backward", context, chunks.positions, space.loss.partial, Count{targets},
        Store{space.loss.count});
  if (args.dw.info && chunks.positions == 0)
    chunks.run(chunks.dw(0, false), nullptr, nullptr, args.dw.data, {});
  with_any_floating(chunks.dtype, [&](auto stored) {
    using T = decltype(stored);
    auto* logits = static_cast<T*>(space.logits);
    chunks.for_each([&](std::int64_t first, std::int64_t count) {
      const T* x = args.x.as<T>() + first * chunks.in;
      chunks.run(chunks.logits(count), x, args.w.data, logits, space.products);
      launch("linear_cross_entropy_backward", context, count, threads_for_row(chunks.classes),
             kThreads / kWarp * sizeof(double), cross_entropy_backward_rows<T>, targets.from(first),
             args.options.label_smoothing, space.loss.count, args.dloss.as<Computed<T>>(), logits,
             args.log_sum.as<Computed<T>>() + first, logits);
      if (args.dx.info)
        chunks.run(chunks.dx(count), logits, args.w.data, args.dx.as<T>() + first * chunks.in,
                   space.products);
      if (args.dw.info) chunks.run(chunks.dw(count, first > 0), logits, x, args.dw.data, space.products);
    });
  });
}

}  // namespace

void fill_linear_cross_entropy() {
  fill_any_floating(linear_cross_entropy_slot, linear_cross_entropy, linear_cross_entropy_workspace);
  fill_any_floating(linear_cross_entropy_backward_slot, linear_cross_entropy_backward,
                    linear_cross_entropy_backward_workspace);
}

}  // namespace reprise::cuda
