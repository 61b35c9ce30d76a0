#pragma once
// No plan at all: when an allocation does not fit, values are let go of and made again when backward needs them.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "reprise/autograd/tape.h"

namespace reprise::checkpoint {

// While it lives, the device's live bytes (all tags, but the data there at its start on top) stay within the budget: when an
// allocation of this thread would pass it, the tape lets go of the value with the least cost / (bytes x staleness), where
// the cost is what it takes to make it again together with the neighbours that are gone already (Kirisame et al., "Dynamic
// Tensor Rematerialization", 2021; costs as in costs.h, staleness in ops). Gradients and bits are those without a budget;
// what it costs is known only afterwards (Tape::replays). OutOfMemory where nothing is left to let go of.
//
//   Tape tape;
//   checkpoint::OnlineEviction eviction(tape, MiB(256));
//   tape.backward(loss(model, x, y));
//
// The tape must outlive it. UserError in a dry run, which no limit applies to, and while another lives on this thread.
class [[nodiscard]] OnlineEviction {
 public:
  OnlineEviction(Tape& tape, std::size_t budget, Device device = Device::cpu());
  ~OnlineEviction();
  OnlineEviction(const OnlineEviction&) = delete;
  OnlineEviction& operator=(const OnlineEviction&) = delete;

  std::int64_t evictions() const;

 private:
  class Evictor;
  std::unique_ptr<Evictor> evictor_;
};

}  // namespace reprise::checkpoint
