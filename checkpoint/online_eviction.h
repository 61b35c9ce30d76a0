#pragma once
// No plan at all: when an allocation does not fit, values are let go of and made again when backward needs them.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "reprise/autograd/tape.h"

namespace reprise::checkpoint {

// Keeps this thread within a budget of bytes on the device. Bytes that live at the start count, and then those that this
// thread makes and frees. Bytes of other threads and of the tag data never count, and no other thread is limited. SIZE_MAX
// is no limit. A limit of the process (memory::set_limit) stays in force beside the budget.
//
// When an allocation of this thread would pass the budget or that limit, the tape drops the value with the least
// cost / (bytes x staleness). The cost is the time to make the value again, together with the neighbours that are gone
// already (Kirisame et al., "Dynamic Tensor Rematerialization", 2021; costs as in costs.h, staleness in ops). With over 64
// candidates a sample of 64 is compared, so the time for an eviction does not grow with the tape. Gradients and bits are
// those without a budget; the replays are known only afterwards (Tape::replays). OutOfMemory if nothing is left to drop.
//
//   Tape tape;
//   checkpoint::OnlineEviction eviction(tape, MiB(256));
//   tape.backward(loss(model, x, y));
//
// Once the tape has ended nothing is dropped any more. UserError in a dry run, which has no limits, on another thread than
// the tape's, and while another lives on this thread.
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
