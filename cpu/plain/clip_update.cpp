// The formulas of ops/clip_update.h, element by element.
#include "reprise/ops/clip_update.h"

#include <algorithm>

#include "reprise/core/parallel.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

constexpr std::int64_t kChunk = 16384;

std::int64_t chunks(std::int64_t count) { return (count + kChunk - 1) / kChunk; }

std::size_t square_sum_workspace(const SquareSumArgs& args) {
  return static_cast<std::size_t>(chunks(args.x.info->shape.numel())) * sizeof(double);
}

// Chunks are of the shape's making, not of the threads', so the sum is the same for any number of them.
template <class T>
void square_sum(const SquareSumArgs& args, std::span<std::byte> workspace) {
  const T* x = args.x.as<T>();
  const std::int64_t count = args.x.info->shape.numel();
  auto* sums = reinterpret_cast<double*>(workspace.data());
  parallel_for(chunks(count), 1, [=](std::int64_t first, std::int64_t last) {
    for (std::int64_t chunk = first; chunk < last; ++chunk) {
      double sum = 0;
      for (std::int64_t i = chunk * kChunk; i < std::min((chunk + 1) * kChunk, count); ++i)
        sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      sums[chunk] = sum;
    }
  });
  *args.result = 0;
  for (std::int64_t chunk = 0; chunk < chunks(count); ++chunk) *args.result += sums[chunk];
}

template <class T>
void scale_in_place(const ScaleInPlaceArgs& args, std::span<std::byte>) {
  T* x = args.x.as<T>();
  const T factor = static_cast<T>(args.factor);
  parallel_for(args.x.info->shape.numel(), kChunk, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) x[i] *= factor;
  });
}

}  // namespace

void fill_clip_update() {
  square_sum_slot.fill_plain(DType::f32, {square_sum<float>, square_sum_workspace});
  square_sum_slot.fill_plain(DType::f64, {square_sum<double>, square_sum_workspace});
  scale_in_place_slot.fill_plain(DType::f32, {scale_in_place<float>});
  scale_in_place_slot.fill_plain(DType::f64, {scale_in_place<double>});
}

}  // namespace reprise::cpu
