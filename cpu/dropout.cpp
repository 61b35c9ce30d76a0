// Dropout: each vector of elements draws its random words at once (Philox 4x32-10, core/random.h). A lane makes one
// block of four words.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/dropout.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include "reprise/core/parallel.h"
#include "reprise/cpu/plain_fallback.h"
#include "reprise/cpu/vector_math.h"
#include "reprise/ops/dropout.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR

using U32 = hn::RebindToUnsigned<F32>;
using Words = hn::Vec<U32>;

// Low and high halves of the products of 32-bit lanes with a constant.
HWY_INLINE void multiply(Words a, std::uint32_t factor, Words& low, Words& high) {
  const U32 d;
  const hn::Repartition<std::uint64_t, U32> wide;
  const Words b = hn::Set(d, factor);
  const Words even = hn::BitCast(d, hn::MulEven(a, b));  // of lanes 0, 2, ...
  const Words odd_lanes = hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, a)));
  const Words odd = hn::BitCast(d, hn::MulEven(odd_lanes, b));
  low = hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(hn::BitCast(wide, odd))), even);
  high = hn::OddEven(odd, hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, even))));
}

// Word k of block first + lane, into words[k].
HWY_INLINE void philox_blocks(std::uint64_t seed, std::uint64_t first, Words (&words)[4]) {
  const U32 d;
  HWY_ALIGN std::array<std::uint32_t, kMaxLanes> low, high;
  for (std::size_t lane = 0; lane < kMaxLanes; ++lane) {
    low[lane] = static_cast<std::uint32_t>(first + lane);
    high[lane] = static_cast<std::uint32_t>((first + lane) >> 32);
  }
  Words c0 = hn::Load(d, low.data()), c1 = hn::Load(d, high.data()), c2 = hn::Zero(d), c3 = hn::Zero(d);
  auto key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    Words a_low, a_high, b_low, b_high;
    multiply(c0, 0xD2511F53U, a_low, a_high);
    multiply(c2, 0xCD9E8D57U, b_low, b_high);
    c0 = hn::Xor(hn::Xor(b_high, c1), hn::Set(d, key0));
    c1 = b_low;
    c2 = hn::Xor(hn::Xor(a_high, c3), hn::Set(d, key1));
    c3 = a_low;
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

template <class T>
void drop(const DropoutArgs& args) {
  const std::int64_t count = args.x.info->shape.numel(), n = lanes();
  const T* x = args.x.as<T>();
  T* y = args.y.as<T>();
  const Vec p = set(static_cast<float>(args.p)), scale = set(static_cast<float>(1 / (1 - args.p)));
  const std::int64_t piece = 4 * n;  // elements whose words are made at once
  constexpr std::int64_t kGrain = 8192;
  parallel_for(
      (count + piece - 1) / piece, kGrain / piece, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
        for (std::int64_t i = begin; i < end; ++i) {
          Words words[4];
          philox_blocks(args.random.seed, args.random.offset / 4 + static_cast<std::uint64_t>(i * n), words);
          HWY_ALIGN std::array<std::uint32_t, 4 * kMaxLanes> in_order;
          hn::StoreInterleaved4(words[0], words[1], words[2], words[3], U32(), in_order.data());
          const std::int64_t first = i * piece, length = std::min(piece, count - first);
          map_places(y + first, length, [&](std::int64_t j, auto read) HWY_ATTR {
            const Words word = hn::Load(U32(), in_order.data() + j);
            const auto bits = hn::BitCast(hn::RebindToSigned<F32>(), hn::ShiftRight<8>(word));
            const Vec uniform = hn::Mul(hn::ConvertTo(F32(), bits), set(0x1p-24F));
            // Not a product with 0: an infinity or NaN that is dropped is 0.
            return hn::IfThenElseZero(hn::Ge(uniform, p), hn::Mul(read(x + first + j), scale));
          });
        }
      });
}

void dropout(const DropoutArgs& args, std::span<std::byte>) {
  with_element(args.x.info->dtype, [&](auto element) { drop<decltype(element)>(args); });
}

#else  // one lane has no room for a product of 64 bits

void dropout(const DropoutArgs& args, std::span<std::byte> workspace) {
  run_plain(dropout_slot, args, workspace, args.x.info->dtype);
}

#endif

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(dropout);

void fill_fast_dropout() { fill_both(dropout_slot, HWY_DYNAMIC_DISPATCH(dropout)); }

}  // namespace reprise::cpu
#endif
