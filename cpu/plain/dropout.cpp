#include "reprise/ops/dropout.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void dropout(const DropoutArgs& args, std::span<std::byte>) {
  const std::int64_t count = args.x.info->shape.numel();
  const auto p = static_cast<float>(args.p);
  const T scale = static_cast<T>(1 / (1 - args.p));
  with_stored<T>(args.x.info->dtype, [&](auto stored) {
    using Stored = decltype(stored);
    const Stored* x = args.x.as<Stored>();
    Stored* y = args.y.as<Stored>();
    parallel_for((count + 3) / 4, grain_for(64), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {  // four elements share a block of random words
        const auto words =
            philox(args.random.seed, args.random.offset / 4 + static_cast<std::uint64_t>(block));
        for (std::int64_t i = 4 * block; i < std::min(count, 4 * block + 4); ++i) {
          const bool kept = uniform_from_word(words[static_cast<std::size_t>(i - 4 * block)]) >= p;
          y[i] = narrow<Stored>(kept ? widen(x[i]) * scale : T{0});
        }
      }
    });
  });
}

}  // namespace

void fill_dropout() { fill_any_floating(dropout_slot, dropout<float>, dropout<double>); }

}  // namespace reprise::cpu
