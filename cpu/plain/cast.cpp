#include "reprise/ops/cast.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

void cast(const CastArgs& args, std::span<std::byte>) {
  const DType from = args.x.info->dtype, to = args.y.info->dtype;
  const auto* x = args.x.as<std::byte>();
  auto* y = args.y.as<std::byte>();
  parallel_for(args.y.info->shape.numel(), kGrain, [=](std::int64_t begin, std::int64_t end) {
    const auto first = static_cast<std::size_t>(begin);
    convert(x + first * size_of(from), from, y + first * size_of(to), to, end - begin);
  });
}

}  // namespace

void fill_cast() { fill_every_dtype(cast_slot, cast); }

}  // namespace reprise::cpu
