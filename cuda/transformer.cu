// Kernels of newer Transformers beside attention: rms_norm, gated linear units, rotary embeddings.
#include "reprise/cuda/gates.cuh"
#include "reprise/cuda/reduce.cuh"
#include "reprise/cuda/slots.h"
#include "reprise/ops/glu.h"
#include "reprise/ops/rms_norm.h"
#include "reprise/ops/rotary_embedding.h"

namespace reprise::cuda {
namespace {

// ---- rms_norm: a block a row

constexpr std::size_t kShared = kThreads / kWarp * sizeof(double);

template <class T>
__global__ void rms_norm_rows(std::int64_t width, double eps, const T* x_all, FloatsIn<Computed<T>> weight,
                              T* y_all, Computed<T>* rstd) {
  const std::int64_t row = blockIdx.x;
  const T* x = x_all + row * width;
  double squares = 0;
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const auto value = static_cast<double>(widen(x[i]));
    squares += value * value;
  }
  squares = reduce_block(squares, Add{}, shared_memory<double>());
  const auto row_rstd = static_cast<Computed<T>>(1.0 / ::sqrt(squares / static_cast<double>(width) + eps));
  if (threadIdx.x == 0) rstd[row] = row_rstd;
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x)
    y_all[row * width + i] = narrow<T>(widen(x[i]) * row_rstd * weight[i]);
}

void rms_norm(const RmsNormArgs& args, std::span<std::byte>) {
  const std::int64_t width = args.weight.info->shape[0], rows = args.rstd.info->shape.numel();
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch("rms_norm", use(args.x.info->device), rows, threads_for_row(width), kShared, rms_norm_rows<T>,
           width, args.eps, args.x.as<T>(), args.weight, args.y.as<T>(), args.rstd.as<Computed<T>>());
  });
}

// With h = x rstd and g = dy weight: dx = rstd (g - h mean(g h)).
template <class T>
__global__ void rms_norm_backward_rows(std::int64_t width, const T* dy_all, const T* x_all,
                                       FloatsIn<Computed<T>> weight, const Computed<T>* rstd, T* dx_all) {
  const std::int64_t row = blockIdx.x;
  const T *dy = dy_all + row * width, *x = x_all + row * width;
  double products = 0;
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x)
    products += static_cast<double>(widen(dy[i]) * weight[i]) * static_cast<double>(widen(x[i]) * rstd[row]);
  products = reduce_block(products, Add{}, shared_memory<double>());
  const auto mean_gh = static_cast<Computed<T>>(products / static_cast<double>(width));
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x)
    dx_all[row * width + i] =
        narrow<T>(rstd[row] * (widen(dy[i]) * weight[i] - widen(x[i]) * rstd[row] * mean_gh));
}

// dweight = sum(dy h) over the rows.
template <class T>
struct ReadRmsNormGradient {
  const T *dy, *x;
  const Computed<T>* rstd;
  std::int64_t width;
  __device__ void operator()(std::int64_t row, std::int64_t column, double (&sums)[1]) const {
    const std::int64_t i = row * width + column;
    sums[0] += static_cast<double>(widen(dy[i])) * static_cast<double>(widen(x[i]) * rstd[row]);
  }
};
struct WriteWeight {
  WritableFloats dweight;
  __device__ void operator()(std::int64_t column, const double (&sums)[1]) const {
    dweight.write(column, sums[0]);
  }
};

std::size_t rms_norm_backward_workspace(const RmsNormBackwardArgs& args) {
  return args.dweight.info
             ? column_sums_workspace<1>(args.rstd.info->shape.numel(), args.weight.info->shape[0])
             : 0;
}

void rms_norm_backward(const RmsNormBackwardArgs& args, std::span<std::byte> workspace) {
  const Context& context = use(args.x.info->device);
  const std::int64_t width = args.weight.info->shape[0], rows = args.rstd.info->shape.numel();
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    const Computed<T>* rstd = args.rstd.as<Computed<T>>();
    if (args.dx.info)
      launch("rms_norm_backward", context, rows, threads_for_row(width), kShared, rms_norm_backward_rows<T>,
             width, args.dy.as<T>(), args.x.as<T>(), args.weight, rstd, args.dx.as<T>());
    if (args.dweight.info)
      column_sums<1>("rms_norm_backward", context, rows, width, workspace,
                     ReadRmsNormGradient<T>{args.dy.as<T>(), args.x.as<T>(), rstd, width},
                     WriteWeight{args.dweight});
  });
}

// ---- glu: y = a f(b) of the halves a and b of a row

// f and its derivative at b.
template <class C>
struct GateValue {
  C value, derivative;
};
template <class C>
__device__ GateValue<C> gate_at(Gate gate, C input) {
  constexpr C kHalf = C(0.5), kCubic = C(0.044715), kRootTwoOverPi = C(0.79788456080286535588);
  const C lowest = not_below_lowest(input);
  if (gate == Gate::silu) {
    const C b = near_zero(input, C{2000});
    const C s = 1 / (1 + ::exp(-b));
    return {lowest * s, s + b * s * (1 - s)};
  }
  const C b = near_zero(input, C{50});
  if (gate == Gate::gelu) {
    const C distribution = kHalf * (1 + ::erf(b * C(0.70710678118654752440)));
    return {lowest * distribution, distribution + b * C(0.39894228040143267794) * ::exp(-kHalf * b * b)};
  }
  const C t = ::tanh(kRootTwoOverPi * (b + kCubic * b * b * b));
  const C slope = kRootTwoOverPi * (1 + 3 * kCubic * b * b);
  return {kHalf * lowest * (1 + t), kHalf * (1 + t + b * (1 - t * t) * slope)};
}

template <class T>
__global__ void glu_elements(std::int64_t count, std::int64_t width, Gate gate, const T* x, T* y) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const std::int64_t a = i + i / width * width;
  y[i] = narrow<T>(widen(x[a]) * gate_at(gate, widen(x[a + width])).value);
}

template <class T>
__global__ void glu_backward_elements(std::int64_t count, std::int64_t width, Gate gate, const T* dy,
                                      const T* x, T* dx) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const std::int64_t a = i + i / width * width;
  const auto at = gate_at(gate, widen(x[a + width]));
  dx[a] = narrow<T>(widen(dy[i]) * at.value);
  dx[a + width] = narrow<T>(widen(dy[i]) * widen(x[a]) * at.derivative);
}

void glu(const GluArgs& args, std::span<std::byte>) {
  const std::int64_t count = args.y.info->shape.numel();
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch_each("glu", use(args.x.info->device), count, glu_elements<T>, count, args.y.info->shape[-1],
                args.gate, args.x.as<T>(), args.y.as<T>());
  });
}

void glu_backward(const GluBackwardArgs& args, std::span<std::byte>) {
  const std::int64_t count = args.dy.info->shape.numel();
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch_each("glu_backward", use(args.x.info->device), count, glu_backward_elements<T>, count,
                args.dy.info->shape[-1], args.gate, args.dy.as<T>(), args.x.as<T>(), args.dx.as<T>());
  });
}

// ---- rotary_embedding: a thread turns one pair. The angle is made in f64, as on the CPU: positions are large.

template <class T>
__global__ void turn_pairs(std::int64_t count, std::int64_t sequence, std::int64_t heads, std::int64_t pairs,
                           double base, std::int64_t first, bool back, const T* x, T* y) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const std::int64_t pair = i % pairs, position = i / pairs / heads % sequence;
  const double angle = static_cast<double>(first + position) *
                       ::pow(base, -static_cast<double>(pair) / static_cast<double>(pairs));
  const auto c = static_cast<Computed<T>>(::cos(angle)),
             s = static_cast<Computed<T>>(back ? -::sin(angle) : ::sin(angle));
  const Computed<T> a = widen(x[2 * i]), b = widen(x[2 * i + 1]);
  y[2 * i] = narrow<T>(a * c - b * s);
  y[2 * i + 1] = narrow<T>(a * s + b * c);
}

void rotary_embedding(const RotaryEmbeddingArgs& args, std::span<std::byte>) {
  const Shape& shape = args.x.info->shape;
  const std::int64_t count = shape.numel() / 2;
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch_each("rotary_embedding", use(args.x.info->device), count, turn_pairs<T>, count, shape[1], shape[2],
                shape[3] / 2, args.options.base, args.options.first, args.back, args.x.as<T>(),
                args.y.as<T>());
  });
}

}  // namespace

void fill_transformer() {
  fill_any_floating(rms_norm_slot, rms_norm);
  fill_any_floating(rms_norm_backward_slot, rms_norm_backward, rms_norm_backward_workspace);
  fill_any_floating(glu_slot, glu);
  fill_any_floating(glu_backward_slot, glu_backward);
  fill_any_floating(rotary_embedding_slot, rotary_embedding);
}

}  // namespace reprise::cuda
