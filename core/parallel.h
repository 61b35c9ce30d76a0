#pragma once
// The one way to use more than one core.
#include <cstdint>
#include <type_traits>

namespace reprise {

// The threads that kernels may use. The first value is OMP_NUM_THREADS, or the number of processors.
int num_threads();
// UserError below 1, above 1,024, and above the number of threads that the process can start. Call set_num_threads
// between steps: an op that runs meanwhile on another thread may throw a UserError.
void set_num_threads(int threads);

// The threads that the calling thread really gets if it asks for num_threads() now. OpenMP gives fewer under
// OMP_THREAD_LIMIT, and one inside a parallel region of the caller. In a child of fork() only the calling thread is left,
// if the parent's kernels ran on several.
int available_threads();

namespace detail {
using RangeFunction = void (*)(void* context, std::int64_t begin, std::int64_t end);
void parallel_for(std::int64_t count, std::int64_t grain, RangeFunction function, void* context);
}  // namespace detail

// Calls body(begin, end) for ranges that cover [0, count), on up to num_threads() threads, none shorter than `grain`
// except the last. Every range runs, also if OpenMP gives fewer threads than there are ranges. Ranges depend on the
// thread count: a body whose result depends on where its range begins must split by shape itself (fixed chunks as the index). Runs inline when one range suffices. body must not throw.
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
