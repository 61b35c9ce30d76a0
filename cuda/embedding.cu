// Rows by their numbers, elements by their places, and the sums back. What is out of range is skipped: only the CPU can
// report it.
#include "reprise/ops/embedding.h"

#include "reprise/cuda/kernel.cuh"
#include "reprise/cuda/slots.h"
#include "reprise/cuda/strided.cuh"
#include "reprise/ops/gather.h"

namespace reprise::cuda {
namespace {

template <class Word>
__global__ void copy_numbered_rows(std::int64_t count, std::int64_t width, std::int64_t vocabulary,
                                   const std::int64_t* ids, const Word* w, Word* y) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const std::int64_t id = ids[i / width];
  y[i] = id >= 0 && id < vocabulary ? w[id * width + i % width] : Word{0};
}

void embedding(const EmbeddingArgs& args, std::span<std::byte>) {
  const std::int64_t count = args.y.info->shape.numel();
  const Shape& w = args.w.info->shape;
  with_word(args.w.info->dtype, [&](auto unsigned_integer) {
    using Word = decltype(unsigned_integer);
    launch_each("embedding", use(args.w.info->device), count, copy_numbered_rows<Word>, count, w[1], w[0],
                args.ids.as<std::int64_t>(), args.w.as<Word>(), args.y.as<Word>());
  });
}

__global__ void write_zeros(std::int64_t count, WritableFloats y) {
  const std::int64_t i = thread_number();
  if (i < count) y.write(i, 0);
}

// A block for each place. That of an id's first place adds up all its places, in their order; the others have nothing to
// do. Places are looked through a tile at a time: which of them match is noted in shared memory.
template <class T>
__global__ void add_rows_of_id(std::int64_t places, std::int64_t width, std::int64_t vocabulary,
                               const std::int64_t* ids, const T* dy, WritableFloats dw) {
  int* matches = shared_memory<int>();  // one a thread
  const std::int64_t id = ids[blockIdx.x];
  if (id < 0 || id >= vocabulary) return;
  int earlier = 0;
  for (std::int64_t i = threadIdx.x; i < blockIdx.x && !earlier; i += blockDim.x) earlier = ids[i] == id;
  matches[threadIdx.x] = earlier;
  __syncthreads();
  for (unsigned t = 0; t < blockDim.x; ++t)
    if (matches[t]) return;
  __syncthreads();
  for (std::int64_t first = 0; first < width; first += blockDim.x) {
    const std::int64_t column = first + threadIdx.x;
    Computed<T> sum = 0;
    for (std::int64_t tile = blockIdx.x; tile < places; tile += blockDim.x) {
      const std::int64_t place = tile + threadIdx.x;
      matches[threadIdx.x] = place < places && ids[place] == id;
      __syncthreads();
      for (unsigned t = 0; t < blockDim.x; ++t)
        if (matches[t] && column < width) sum += widen(dy[(tile + t) * width + column]);
      __syncthreads();
    }
    if (column < width) dw.write(id * width + column, sum);
  }
}

void embedding_backward(const EmbeddingBackwardArgs& args, std::span<std::byte>) {
  const Context& context = use(args.dy.info->device);
  const Shape& dw = args.dw.info->shape;
  const std::int64_t places = args.ids.info->shape.numel(), width = dw[1];
  launch_each("embedding_backward", context, dw.numel(), write_zeros, dw.numel(), args.dw);
  with_any_floating(args.dy.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch("embedding_backward", context, places, kThreads, kThreads * sizeof(int), add_rows_of_id<T>, places,
           width, dw[0], args.ids.as<std::int64_t>(), args.dy.as<T>(), args.dw);
  });
}

// ---- gather and scatter_add: of x's dimension `dim` a place is picked, the others are walked in index's shape

Walk<1> walk_around(const Shape& x, int dim, const Shape& index) {
  Strides strides = contiguous_strides(x);
  strides[static_cast<std::size_t>(dim)] = 0;
  return Walk<1>(index, {strides});
}

template <class Word>
__global__ void pick(std::int64_t count, Walk<1> walk, std::int64_t stride, std::int64_t extent,
                     const std::int64_t* index, const Word* x, Word* y) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const std::int64_t place = index[i];
  y[i] = place >= 0 && place < extent ? x[walk.place(i) + place * stride] : Word{0};
}

void gather(const GatherArgs& args, std::span<std::byte>) {
  const Shape& x = args.x.info->shape;
  const std::int64_t count = args.index.info->shape.numel();
  const std::int64_t stride = contiguous_strides(x)[static_cast<std::size_t>(args.dim)];
  with_word(args.x.info->dtype, [&](auto unsigned_integer) {
    using Word = decltype(unsigned_integer);
    launch_each("gather", use(args.x.info->device), count, pick<Word>, count,
                walk_around(x, args.dim, args.index.info->shape), stride, x[args.dim],
                args.index.as<std::int64_t>(), args.x.as<Word>(), args.y.as<Word>());
  });
}

struct Extents {
  int rank;
  std::int64_t values[Shape::kMaxRank];
};

// Each element of y looks through the line of index that may name it.
template <class T>
__global__ void add_picked(std::int64_t count, Extents y_extents, Extents index_extents, int dim,
                           const std::int64_t* index, const T* source, T* y) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  std::int64_t rest = i, wanted = 0, first = 0, step = 1, stride = 1;
  bool inside = true;
  for (int d = y_extents.rank - 1; d >= 0; --d) {
    const std::int64_t at = rest % y_extents.values[d];
    rest /= y_extents.values[d];
    if (d == dim) {
      wanted = at;
      step = stride;
    } else {
      inside = inside && at < index_extents.values[d];
      first += at * stride;
    }
    stride *= index_extents.values[d];
  }
  Computed<T> sum = 0;
  if (inside)
    for (std::int64_t k = 0; k < index_extents.values[dim]; ++k)
      if (index[first + k * step] == wanted) sum += widen(source[first + k * step]);
  y[i] = narrow<T>(sum);
}

Extents extents_of(const Shape& shape) {
  Extents result = {shape.rank(), {}};
  for (int d = 0; d < shape.rank(); ++d) result.values[d] = shape[d];
  return result;
}

void scatter_add(const ScatterAddArgs& args, std::span<std::byte>) {
  const std::int64_t count = args.y.info->shape.numel();
  with_any_floating(args.y.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch_each("scatter_add", use(args.y.info->device), count, add_picked<T>, count,
                extents_of(args.y.info->shape), extents_of(args.index.info->shape), args.dim,
                args.index.as<std::int64_t>(), args.source.as<T>(), args.y.as<T>());
  });
}

}  // namespace

void fill_embedding() {
  fill_every_dtype(embedding_slot, embedding);
  fill_any_floating(embedding_backward_slot, embedding_backward);
  fill_every_dtype(gather_slot, gather);
  fill_any_floating(scatter_add_slot, scatter_add);
}

}  // namespace reprise::cuda
