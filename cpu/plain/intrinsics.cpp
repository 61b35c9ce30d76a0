#include "reprise/autograd/intrinsics.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void ones(const OnesArgs& args, std::span<std::byte>) {
  T one;
  const float value = 1;
  convert(&value, DType::f32, &one, dtype_of<T>, 1);
  T* y = args.y.as<T>();
  parallel_for(args.y.info->shape.numel(), kGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) y[i] = one;
  });
}

// y may be a.
template <class T, class Add>
void add_same_as(const AddSameArgs& args, Add add) {
  const T* a = args.a.as<T>();
  const T* b = args.b.as<T>();
  T* y = args.y.as<T>();
  parallel_for(args.y.info->shape.numel(), kGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) y[i] = add(a[i], b[i]);
  });
}

template <class T>
void add_same(const AddSameArgs& args, std::span<std::byte>) {
  add_same_as<T>(args, [](T a, T b) { return a + b; });
}
void add_same_bf16(const AddSameArgs& args, std::span<std::byte>) {
  add_same_as<BFloat16>(args, [](BFloat16 a, BFloat16 b) { return to_bfloat16(to_float(a) + to_float(b)); });
}
void add_same_f16(const AddSameArgs& args, std::span<std::byte>) {
  add_same_as<Float16>(args, [](Float16 a, Float16 b) { return to_float16(to_float(a) + to_float(b)); });
}

}  // namespace

void fill_intrinsics() {
  fill_floating(ones_slot, ones<float>, ones<double>);
  fill_integers(ones_slot, ones<std::int32_t>, ones<std::int64_t>);
  ones_slot.fill_plain(DType::bf16, {ones<BFloat16>});
  ones_slot.fill_plain(DType::f16, {ones<Float16>});
  ones_slot.fill_plain(DType::u8, {ones<std::uint8_t>});
  ones_slot.fill_plain(DType::boolean, {ones<bool>});
  fill_floating(add_same_slot, add_same<float>, add_same<double>);
  add_same_slot.fill_plain(DType::bf16, {add_same_bf16});
  add_same_slot.fill_plain(DType::f16, {add_same_f16});
}

}  // namespace reprise::cpu
