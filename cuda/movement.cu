// Kernels that only move elements, fill with them or convert them: every dtype.
#include <climits>

#include "reprise/core/round_to_odd.h"
#include "reprise/cuda/elementwise.cuh"
#include "reprise/cuda/slots.h"
#include "reprise/ops/ops.h"

namespace reprise::cuda {
namespace {

using Workspace = std::span<std::byte>;

template <class T>
__global__ void fill_with(std::int64_t count, T value, T* y) {
  const std::int64_t i = thread_number();
  if (i < count) y[i] = value;
}

void ones(const OnesArgs& args, Workspace) {
  const std::int64_t count = args.y.info->shape.numel();
  const float one = 1;
  std::uint64_t word = 0;
  convert(&one, DType::f32, &word, args.y.info->dtype, 1);
  with_word(args.y.info->dtype, [&](auto unsigned_integer) {
    using Word = decltype(unsigned_integer);
    launch_each("ones", use(args.y.info->device), count, fill_with<Word>, count, static_cast<Word>(word),
                args.y.as<Word>());
  });
}

// ---- casts (core/convert.cpp has the same rules)

template <class To, class From>
__device__ To convert_element(From from) {
  if constexpr (std::is_same_v<From, __nv_bfloat16> || std::is_same_v<From, __half>) {
    return convert_element<To>(widen(from));
  } else if constexpr (std::is_same_v<To, __nv_bfloat16> || std::is_same_v<To, __half>) {
    return narrow<To>(before_half(from));
  } else if constexpr (std::is_same_v<To, bool>) {
    return from != From{};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // The largest value of a wide integer is not a floating-point number, its successor is.
    constexpr int kDigits = std::is_signed_v<To> ? CHAR_BIT * sizeof(To) - 1 : CHAR_BIT * sizeof(To);
    constexpr To kLeast = std::is_signed_v<To> ? To(std::uint64_t{1} << kDigits) : To{0};
    const From end = From{2} * static_cast<From>(std::uint64_t{1} << (kDigits - 1));
    if (from != from) return To{};
    if (from >= end) return static_cast<To>(~kLeast);
    if (from <= (std::is_signed_v<To> ? -end : From{0})) return kLeast;
    return static_cast<To>(from);
  } else {
    return static_cast<To>(from);
  }
}

template <class To, class From>
__global__ void cast_elements(std::int64_t count, const From* x, To* y) {
  const std::int64_t i = thread_number();
  if (i < count) y[i] = convert_element<To>(x[i]);
}

template <class F>
void with_type(DType dtype, F f) {
  switch (dtype) {
    case DType::f64:
      return f(double{});
    case DType::u8:
      return f(std::uint8_t{});
    case DType::boolean:
      return f(bool{});
    default:
      return with_number(dtype, f);
  }
}

void cast(const CastArgs& args, Workspace) {
  const std::int64_t count = args.y.info->shape.numel();
  with_type(args.x.info->dtype, [&](auto from) {
    with_type(args.y.info->dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      launch_each("cast", use(args.y.info->device), count, cast_elements<To, From>, count, args.x.as<From>(),
                  args.y.as<To>());
    });
  });
}

// ---- walks

template <class Word>
__global__ void copy_strided(std::int64_t count, Walk<1> walk, const Word* x, Word* y) {
  const std::int64_t i = thread_number();
  if (i < count) y[i] = x[walk.place(i)];
}

// y[i] = x at the place that the strides say.
void copy_walk(const char* name, const ConstView& x, const View& y, const Strides& strides) {
  const Shape& shape = y.info->shape;
  const Walk<1> walk(shape, {strides});
  with_word(y.info->dtype, [&](auto unsigned_integer) {
    using Word = decltype(unsigned_integer);
    launch_each(name, use(y.info->device), shape.numel(), copy_strided<Word>, shape.numel(), walk,
                x.as<Word>(), y.as<Word>());
  });
}

void broadcast_to(const BroadcastToArgs& args, Workspace) {
  copy_walk("broadcast_to", args.x, args.y, broadcast_strides(args.x.info->shape, args.y.info->shape));
}

void permute(const PermuteArgs& args, Workspace) {
  const Strides from = contiguous_strides(args.x.info->shape);
  Strides strides = {};
  for (int d = 0; d < args.y.info->shape.rank(); ++d)
    strides[static_cast<std::size_t>(d)] =
        from[static_cast<std::size_t>(args.dims[static_cast<std::size_t>(d)])];
  copy_walk("permute", args.x, args.y, strides);
}

template <class Word>
__global__ void choose(std::int64_t count, Walk<3> walk, const bool* condition, const Word* a, const Word* b,
                       Word* y) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  std::int64_t at[3];
  walk.places(i, at);
  y[i] = condition[at[0]] ? a[at[1]] : b[at[2]];
}

void where(const WhereArgs& args, Workspace) {
  const Shape& shape = args.y.info->shape;
  const Walk<3> walk(
      shape, {broadcast_strides(args.condition.info->shape, shape),
              broadcast_strides(args.a.info->shape, shape), broadcast_strides(args.b.info->shape, shape)});
  with_word(args.a.info->dtype, [&](auto unsigned_integer) {
    using Word = decltype(unsigned_integer);
    launch_each("where", use(args.y.info->device), shape.numel(), choose<Word>, shape.numel(), walk,
                args.condition.as<bool>(), args.a.as<Word>(), args.b.as<Word>(), args.y.as<Word>());
  });
}

// ---- blocks of one dimension

// Elements of one index of dimensions dim and behind it.
std::int64_t row_of(const ValueInfo& info, int dim) {
  std::int64_t row = 1;
  for (int d = dim; d < info.shape.rank(); ++d) row *= info.shape[d];
  return row;
}

// Row r of y, from y_first on, is the `length` elements of row r of x from x_first on.
template <class Word>
__global__ void copy_blocks(std::int64_t count, std::int64_t length, const Word* x, std::int64_t x_row,
                            std::int64_t x_first, Word* y, std::int64_t y_row, std::int64_t y_first) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const std::int64_t row = i / length, column = i % length;
  y[row * y_row + y_first + column] = x[row * x_row + x_first + column];
}

void copy_rows(const char* name, const ConstView& x, std::int64_t x_row, std::int64_t x_first, const View& y,
               std::int64_t y_row, std::int64_t y_first, std::int64_t rows, std::int64_t length) {
  if (length == 0) return;
  with_word(y.info->dtype, [&](auto unsigned_integer) {
    using Word = decltype(unsigned_integer);
    launch_each(name, use(y.info->device), rows * length, copy_blocks<Word>, rows * length, length,
                x.as<Word>(), x_row, x_first, y.as<Word>(), y_row, y_first);
  });
}

void cat(const CatArgs& args, Workspace) {
  const std::int64_t y_row = row_of(*args.y.info, args.dim);
  if (y_row == 0) return;
  const std::int64_t rows = args.y.info->shape.numel() / y_row;
  std::int64_t first = 0;
  for (const ConstView& part : args.parts) {
    const std::int64_t row = row_of(*part.info, args.dim);
    copy_rows("cat", part, row, 0, args.y, y_row, first, rows, row);
    first += row;
  }
}

void narrow_dimension(const NarrowArgs& args, Workspace) {
  const std::int64_t x_row = row_of(*args.x.info, args.dim), y_row = row_of(*args.y.info, args.dim);
  if (y_row == 0) return;
  const std::int64_t step = row_of(*args.x.info, args.dim + 1);
  copy_rows("narrow", args.x, x_row, args.first * step, args.y, y_row, 0, args.y.info->shape.numel() / y_row,
            y_row);
}

template <class Word>
__global__ void pad_blocks(std::int64_t count, const Word* x, std::int64_t x_row, Word* y, std::int64_t y_row,
                           std::int64_t before) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const std::int64_t row = i / y_row, column = i % y_row - before;
  y[i] = column >= 0 && column < x_row ? x[row * x_row + column] : Word{0};
}

void pad(const PadArgs& args, Workspace) {
  const std::int64_t count = args.y.info->shape.numel();
  const std::int64_t before = args.before * row_of(*args.x.info, args.dim + 1);
  with_word(args.y.info->dtype, [&](auto unsigned_integer) {
    using Word = decltype(unsigned_integer);
    launch_each("pad", use(args.y.info->device), count, pad_blocks<Word>, count, args.x.as<Word>(),
                row_of(*args.x.info, args.dim), args.y.as<Word>(), row_of(*args.y.info, args.dim), before);
  });
}

}  // namespace

void fill_movement() {
  fill_every_dtype(ones_slot, ones);
  fill_every_dtype(cast_slot, cast);
  fill_every_dtype(broadcast_to_slot, broadcast_to);
  fill_every_dtype(permute_slot, permute);
  fill_every_dtype(where_slot, where);
  fill_every_dtype(cat_slot, cat);
  fill_every_dtype(narrow_slot, narrow_dimension);
  fill_every_dtype(pad_slot, pad);
}

}  // namespace reprise::cuda
