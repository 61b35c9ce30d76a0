#include "reprise/ops/gather.h"

#include <fmt/format.h>

#include <algorithm>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

// Before any thread reads one: kernels must not throw inside parallel_for.
void check_indices(const char* op, const ConstView& index, std::int64_t extent) {
  const std::int64_t* places = index.as<std::int64_t>();
  for (std::int64_t i = 0; i < index.info->shape.numel(); ++i)
    if (places[i] < 0 || places[i] >= extent)
      throw UserError(fmt::format("{}: index {} at element {} is not in [0, {})", op, places[i], i, extent));
}

// Strides in a tensor of shape x for walking it in index's shape; the dimension itself is picked, not walked.
Strides walking_strides(const Shape& x, int dim) {
  Strides strides = contiguous_strides(x);
  strides[static_cast<std::size_t>(dim)] = 0;
  return strides;
}

template <class Word>
void pick(const GatherArgs& args) {
  const Shape& shape = args.x.info->shape;
  const std::int64_t stride = contiguous_strides(shape)[static_cast<std::size_t>(args.dim)];
  const StridedLoop<1> loop(args.index.info->shape, {walking_strides(shape, args.dim)});
  const std::int64_t* index = args.index.as<std::int64_t>();
  const Word* x = args.x.as<Word>();
  Word* y = args.y.as<Word>();
  loop.for_each_row([=](std::int64_t first, const std::array<std::int64_t, 1>& offsets) {
    for (std::int64_t i = 0; i < loop.length; ++i)
      y[first + i] = x[offsets[0] + i * loop.step(0) + index[first + i] * stride];
  });
}

void gather(const GatherArgs& args, std::span<std::byte>) {
  check_indices("gather", args.index, args.x.info->shape[args.dim]);
  with_word(args.x.info->dtype, [&](auto word) { pick<decltype(word)>(args); });
}

template <class T>
void scatter_add(const ScatterAddArgs& args, std::span<std::byte>) {
  const Shape& shape = args.y.info->shape;
  check_indices("scatter_add", args.index, shape[args.dim]);
  const std::int64_t stride = contiguous_strides(shape)[static_cast<std::size_t>(args.dim)];
  const Strides walking = walking_strides(shape, args.dim);
  const auto extents = args.index.info->shape.extents();
  const std::int64_t* index = args.index.as<std::int64_t>();
  const T* source = args.source.as<T>();
  T* y = args.y.as<T>();
  std::fill_n(y, shape.numel(), T(0));
  // One thread, in order: two elements may be added to the same place.
  std::array<std::int64_t, Shape::kMaxRank> at = {};
  for (std::int64_t i = 0; i < args.index.info->shape.numel(); ++i) {
    std::int64_t offset = index[i] * stride;
    for (std::size_t d = 0; d < extents.size(); ++d) offset += at[d] * walking[d];
    y[offset] += source[i];
    for (std::size_t d = extents.size(); d-- > 0;) {
      if (++at[d] < extents[d]) break;
      at[d] = 0;
    }
  }
}

}  // namespace

void fill_gather() {
  fill_every_dtype(gather_slot, gather);
  fill_floating(scatter_add_slot, scatter_add<float>, scatter_add<double>);
  fill_widened<scatter_add_slot, &ScatterAddArgs::source, &ScatterAddArgs::y>();
}

}  // namespace reprise::cpu
