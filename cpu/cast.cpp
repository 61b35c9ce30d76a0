// f32 to bf16 and back, vectorized; other dtypes go to the plain loops.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/cast.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include "reprise/core/parallel.h"
#include "reprise/cpu/plain_fallback.h"
#include "reprise/cpu/vector_math.h"
#include "reprise/ops/cast.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

template <class From, class To>
HWY_INLINE void convert_elements(const From* from, To* to, std::int64_t count) {
  constexpr std::int64_t kGrain = 16384;  // elements worth a thread
  parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    map(from + begin, to + begin, end - begin, [](Vec v) HWY_ATTR { return v; });
  });
}

void narrow(const float* from, BFloat16* to, std::int64_t count) { convert_elements(from, to, count); }
void widen(const BFloat16* from, float* to, std::int64_t count) { convert_elements(from, to, count); }

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/convert.h"
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(narrow);
HWY_EXPORT(widen);

void convert(const float* from, BFloat16* to, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(narrow)(from, to, count);
}
void convert(const BFloat16* from, float* to, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(widen)(from, to, count);
}

namespace {

void cast(const CastArgs& args, std::span<std::byte> workspace) {
  const DType from = args.x.info->dtype, to = args.y.info->dtype;
  const std::int64_t count = args.y.info->shape.numel();
  if (from == DType::f32 && to == DType::bf16)
    convert(args.x.as<float>(), args.y.as<BFloat16>(), count);
  else if (from == DType::bf16 && to == DType::f32)
    convert(args.x.as<BFloat16>(), args.y.as<float>(), count);
  else
    run_plain(cast_slot, args, workspace, from);
}

}  // namespace

void fill_fast_cast() { fill_both(cast_slot, cast); }

}  // namespace reprise::cpu
#endif
