#pragma once
// Hears how long each op takes: forward, replayed, and those that gradients are made of. For profiles. An observer on a tape
// (tape.h) hears of nodes; this hears of kernels, on a tape or not.
#include <memory>
#include <span>

#include "reprise/autograd/op.h"
#include "reprise/core/thread_scopes.h"

namespace reprise {

class OpTimer {
 public:
  virtual ~OpTimer() = default;
  // After the op ran; nothing in a dry run.
  virtual void ran(const Op& op, std::span<const ConstView> in, std::span<const View> out,
                   double seconds) = 0;
};

// Every op of this thread is timed while one lives, by the youngest that lives.
class [[nodiscard]] TimedOps {
 public:
  explicit TimedOps(OpTimer& timer);
  ~TimedOps();
  TimedOps(const TimedOps&) = delete;
  TimedOps& operator=(const TimedOps&) = delete;

 private:
  std::shared_ptr<ScopeEntry<OpTimer*>> entry_;
};

}  // namespace reprise
