// Philox 4x32-10 (core/random.h) in vectors: a lane makes one block of four words. Compiled once for each instruction set,
// like vector_math.h.
#if defined(REPRISE_CPU_VECTOR_RANDOM_H) == defined(HWY_TARGET_TOGGLE)
#ifdef REPRISE_CPU_VECTOR_RANDOM_H
#undef REPRISE_CPU_VECTOR_RANDOM_H
#else
#define REPRISE_CPU_VECTOR_RANDOM_H
#endif

#include "reprise/core/random.h"
#include "reprise/cpu/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

using U32 = hn::RebindToUnsigned<F32>;
using Words = hn::Vec<U32>;

// Low and high halves of the products of 32-bit lanes with a constant.
HWY_INLINE void multiply(Words a, std::uint32_t factor, Words& low, Words& high) {
#if HWY_TARGET == HWY_SCALAR  // one lane has no room for a product of 64 bits
  const std::uint64_t product = std::uint64_t{hn::GetLane(a)} * factor;
  low = hn::Set(U32(), static_cast<std::uint32_t>(product));
  high = hn::Set(U32(), static_cast<std::uint32_t>(product >> 32));
#else
  const U32 d;
  const hn::Repartition<std::uint64_t, U32> wide;
  const Words b = hn::Set(d, factor);
  const Words even = hn::BitCast(d, hn::MulEven(a, b));  // of lanes 0, 2, ...
  const Words odd_lanes = hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, a)));
  const Words odd = hn::BitCast(d, hn::MulEven(odd_lanes, b));
  low = hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(hn::BitCast(wide, odd))), even);
  high = hn::OddEven(odd, hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, even))));
#endif
}

// Word k of block first + lane * step of the stream, into words[k].
HWY_INLINE void philox_blocks(std::uint64_t seed, std::uint64_t first, std::uint64_t step,
                              Words (&words)[4]) {
  const U32 d;
  HWY_ALIGN std::array<std::uint32_t, kMaxLanes> low, high;
  for (std::size_t lane = 0; lane < kMaxLanes; ++lane) {
    low[lane] = static_cast<std::uint32_t>(first + lane * step);
    high[lane] = static_cast<std::uint32_t>((first + lane * step) >> 32);
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

// Which lanes dropout with this probability keeps.
HWY_INLINE auto kept(Words words, Vec p) {
  const auto bits = hn::BitCast(hn::RebindToSigned<F32>(), hn::ShiftRight<8>(words));
  return hn::Ge(hn::Mul(hn::ConvertTo(F32(), bits), set(0x1p-24F)), p);
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
