#pragma once
// A region: a passage of the tape whose interior drops its buffers after forward and is replayed for backward. Its
// boundary (what was made outside and pending backwards need) stays; what is used outside stays as long as it is used.
// Regions nest. Without a recording tape, inside an op's backward, and if a plan is in force, they do nothing.
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "reprise/autograd/tape.h"
#include "reprise/checkpoint/policy.h"

namespace reprise::checkpoint {

// From here to end(), or to the end of the scope, everything recorded belongs to the region. A region left by an
// exception is closed like any other. end() reports errors: a region that ends before one opened inside it is a
// UserError and stays open. The destructor never throws: it ends the region, and those still open inside it, and what
// went wrong is thrown by the tape's next record or backward.
class [[nodiscard]] Region {
 public:
  explicit Region(Policy policy = Policy::full());
  ~Region();
  void end();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

 private:
  bool open() const;

  TapeState* tape_ = nullptr;
  std::shared_ptr<const TapeLife> life_;  // the tape may end first
  std::int32_t region_ = 0;
};

// Runs f as a region and returns its result: the way to show first.
template <class F>
decltype(auto) run(const Policy& policy, F&& f) {
  Region region(policy);
  if constexpr (std::is_void_v<decltype(std::forward<F>(f)())>) {
    std::forward<F>(f)();
    region.end();
  } else {
    decltype(auto) result = std::forward<F>(f)();
    region.end();
    return result;
  }
}
template <class F>
decltype(auto) run(F&& f) {
  return run(Policy::full(), std::forward<F>(f));
}

}  // namespace reprise::checkpoint
