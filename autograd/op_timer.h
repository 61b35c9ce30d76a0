#pragma once
// Hears how long each op takes: forward, replayed, and those that gradients are made of. For profiles. An observer on a tape
// (tape.h) hears of nodes; this hears of kernels, on a tape or not.
#include <span>

#include "reprise/autograd/op.h"

namespace reprise {

class OpTimer {
 public:
  virtual ~OpTimer() = default;
  // After the op ran; nothing in a dry run.
  virtual void ran(const Op& op, std::span<const ConstView> in, std::span<const View> out,
                   double seconds) = 0;
};

// Every op of this thread is timed while one lives.
class [[nodiscard]] TimedOps {
 public:
  explicit TimedOps(OpTimer& timer);
  ~TimedOps();
  TimedOps(const TimedOps&) = delete;
  TimedOps& operator=(const TimedOps&) = delete;

 private:
  OpTimer* previous_;
};

}  // namespace reprise
