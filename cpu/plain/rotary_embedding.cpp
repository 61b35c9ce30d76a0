// It reads and writes each element once, so the readable loop is all there is.
#include "reprise/ops/rotary_embedding.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

// cos and sin of every position and pair, [sequence, head_dim / 2, 2].
template <class T>
std::size_t rotary_embedding_workspace(const RotaryEmbeddingArgs& args) {
  const Shape& shape = args.x.info->shape;
  return static_cast<std::size_t>(shape[1] * shape[3]) * sizeof(T);
}

template <class T>
void rotary_embedding(const RotaryEmbeddingArgs& args, std::span<std::byte> workspace) {
  const Shape& shape = args.x.info->shape;
  const std::int64_t sequence = shape[1], heads = shape[2], pairs = shape[3] / 2;
  T* table = reinterpret_cast<T*>(workspace.data());
  parallel_for(sequence, grain_for(40 * pairs), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t position = begin; position < end; ++position)
      for (std::int64_t i = 0; i < pairs; ++i) {
        const double angle =
            static_cast<double>(args.options.first + position) *
            std::pow(args.options.base, -static_cast<double>(i) / static_cast<double>(pairs));
        table[2 * (position * pairs + i)] = static_cast<T>(std::cos(angle));
        table[2 * (position * pairs + i) + 1] =
            static_cast<T>(args.back ? -std::sin(angle) : std::sin(angle));
      }
  });
  with_stored<T>(args.x.info->dtype, [&](auto stored) {
    using Stored = decltype(stored);
    parallel_for(shape[0] * sequence, grain_for(heads * pairs), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const T* turn = table + row % sequence * 2 * pairs;
        for (std::int64_t head = row * heads; head < (row + 1) * heads; ++head) {
          const Stored* x = args.x.as<Stored>() + head * 2 * pairs;
          Stored* y = args.y.as<Stored>() + head * 2 * pairs;
          for (std::int64_t i = 0; i < 2 * pairs; i += 2) {
            const T a = widen(x[i]), b = widen(x[i + 1]), c = turn[i], s = turn[i + 1];
            y[i] = narrow<Stored>(a * c - b * s);
            y[i + 1] = narrow<Stored>(a * s + b * c);
          }
        }
      }
    });
  });
}

}  // namespace

void fill_rotary_embedding() {
  rotary_embedding_slot.fill_plain(DType::f32, {rotary_embedding<float>, rotary_embedding_workspace<float>});
  rotary_embedding_slot.fill_plain(DType::f64,
                                   {rotary_embedding<double>, rotary_embedding_workspace<double>});
  fill_half(rotary_embedding_slot);
}

}  // namespace reprise::cpu
