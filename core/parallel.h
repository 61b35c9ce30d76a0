#pragma once
// The one way to use more than one core.
#include <cstdint>
#include <type_traits>

namespace reprise {

int num_threads();
void set_num_threads(int threads);  // UserError below 1

namespace detail {
using RangeFunction = void (*)(void* context, std::int64_t begin, std::int64_t end);
void parallel_for(std::int64_t count, std::int64_t grain, RangeFunction function, void* context);
}  // namespace detail

// Calls body(begin, end) for ranges that cover [0, count), on up to num_threads() threads, none shorter than `grain`
// except the last. Ranges depend on the thread count: a body whose result depends on where its range begins must
// split by shape itself (fixed chunks as the index). Runs inline when one range suffices. body must not throw.
template <class Body>
void parallel_for(std::int64_t count, std::int64_t grain, Body&& body) {
  using Function = std::remove_reference_t<Body>;
  detail::parallel_for(
      count, grain,
      [](void* context, std::int64_t begin, std::int64_t end) {
        (*static_cast<Function*>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace reprise
