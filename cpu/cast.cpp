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
void copy_elements(const CastArgs& args) {
  constexpr std::int64_t kGrain = 16384;  // elements worth a thread
  parallel_for(args.y.info->shape.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    map(args.x.as<From>() + begin, args.y.as<To>() + begin, end - begin, [](Vec v) HWY_ATTR { return v; });
  });
}

void cast(const CastArgs& args, std::span<std::byte> workspace) {
  const DType from = args.x.info->dtype, to = args.y.info->dtype;
  if (from == DType::f32 && to == DType::bf16)
    copy_elements<float, BFloat16>(args);
  else if (from == DType::bf16 && to == DType::f32)
    copy_elements<BFloat16, float>(args);
  else
    run_plain(cast_slot, args, workspace, from);
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(cast);

void fill_fast_cast() { fill_both(cast_slot, HWY_DYNAMIC_DISPATCH(cast)); }

}  // namespace reprise::cpu
#endif
