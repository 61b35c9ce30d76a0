#include "reprise/ops/where.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class Word>
void choose(const WhereArgs& args) {
  const Shape& shape = args.y.info->shape;
  const StridedLoop<3> loop(
      shape, {broadcast_strides(args.condition.info->shape, shape),
              broadcast_strides(args.a.info->shape, shape), broadcast_strides(args.b.info->shape, shape)});
  const bool* condition = args.condition.as<bool>();
  const Word* a = args.a.as<Word>();
  const Word* b = args.b.as<Word>();
  Word* y = args.y.as<Word>();
  if (loop.rows == 1 && loop.step(0) == 1 && loop.step(1) == 1 && loop.step(2) == 1) {  // equal shapes
    parallel_for(loop.length, kGrain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Word all =
            static_cast<Word>(Word{0} - Word{condition[i]});  // every bit: no branch that guesses wrong
        y[i] = static_cast<Word>((a[i] & all) | (b[i] & ~all));
      }
    });
    return;
  }
  loop.for_each_row([=](std::int64_t first, const std::array<std::int64_t, 3>& offsets) {
    for (std::int64_t i = 0; i < loop.length; ++i)
      y[first + i] = condition[offsets[0] + i * loop.step(0)] ? a[offsets[1] + i * loop.step(1)]
                                                              : b[offsets[2] + i * loop.step(2)];
  });
}

void where(const WhereArgs& args, std::span<std::byte>) {
  with_word(args.a.info->dtype, [&](auto word) { choose<decltype(word)>(args); });
}

}  // namespace

void fill_where() { fill_every_dtype(where_slot, where); }

}  // namespace reprise::cpu
