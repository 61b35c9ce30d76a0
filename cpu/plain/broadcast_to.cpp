#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"
#include "reprise/ops/sum_to.h"

namespace reprise::cpu {
namespace {

template <class Word>
void repeat(const BroadcastToArgs& args) {
  const Shape& shape = args.y.info->shape;
  const StridedLoop<1> loop(shape, {broadcast_strides(args.x.info->shape, shape)});
  const Word* x = args.x.as<Word>();
  Word* y = args.y.as<Word>();
  loop.for_each_row([=](std::int64_t first, const std::array<std::int64_t, 1>& offsets) {
    for (std::int64_t i = 0; i < loop.length; ++i) y[first + i] = x[offsets[0] + i * loop.step(0)];
  });
}

void broadcast_to(const BroadcastToArgs& args, std::span<std::byte>) {
  with_word(args.x.info->dtype, [&](auto word) { repeat<decltype(word)>(args); });
}

}  // namespace

void fill_broadcast_to() { fill_every_dtype(broadcast_to_slot, broadcast_to); }

}  // namespace reprise::cpu
