#include "reprise/checkpoint/region.h"

#include <exception>

#include "reprise/autograd/tape_state.h"
#include "reprise/core/error.h"

namespace reprise::checkpoint {
namespace {

constexpr const char* kOutOfOrder =
    "checkpoint: a region ended before one that was opened inside it: end regions in reverse order";

}  // namespace

Region::Region(Policy policy) {
  TapeState* tape = recording_tape();
  if (!tape || tape->plan || tape->ignore_regions || !policy.makes_region()) return;
  tape->throw_pending_error();
  tape_ = tape;
  tape_id_ = tape->id;
  region_ = tape->push_region(policy.function());
}

// Still open? The tape may have ended, or an enclosing region may have ended this one.
bool Region::open() const { return tape_ && tape_alive(tape_, tape_id_) && tape_->region(region_).last < 0; }

void Region::end() {
  if (open()) {
    if (tape_->innermost != region_) throw UserError(kOutOfOrder);
    tape_->pop_region();
  }
  tape_ = nullptr;
}

Region::~Region() {
  if (!open()) return;
  try {
    if (tape_->innermost != region_) tape_->pending_error = kOutOfOrder;
    while (open()) tape_->pop_region();
  } catch (const std::exception& error) {
    tape_->pending_error = error.what();
  }
}

}  // namespace reprise::checkpoint
