#include "reprise/ops/cast.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

void cast(const CastArgs& args, std::span<std::byte>) {
  convert(args.x.data, args.x.info->dtype, args.y.data, args.y.info->dtype, args.y.info->shape.numel());
}

}  // namespace

void fill_cast() { fill_every_dtype(cast_slot, cast); }

}  // namespace reprise::cpu
