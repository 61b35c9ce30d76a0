#include "reprise/ops/permute.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class Word>
void move(const PermuteArgs& args) {
  const Shape& shape = args.y.info->shape;
  const Strides from = contiguous_strides(args.x.info->shape);
  Strides strides = {};
  for (std::size_t d = 0; d < shape.extents().size(); ++d)
    strides[d] = from[static_cast<std::size_t>(args.dims[d])];
  const StridedLoop<1> loop(shape, {strides});
  const Word* x = args.x.as<Word>();
  Word* y = args.y.as<Word>();
  loop.for_each_row([=](std::int64_t first, const std::array<std::int64_t, 1>& offsets) {
    for (std::int64_t i = 0; i < loop.length; ++i) y[first + i] = x[offsets[0] + i * loop.step(0)];
  });
}

void permute(const PermuteArgs& args, std::span<std::byte>) {
  with_word(args.x.info->dtype, [&](auto word) { move<decltype(word)>(args); });
}

}  // namespace

void fill_permute() { fill_every_dtype(permute_slot, permute); }

}  // namespace reprise::cpu
