#include "reprise/checkpoint/region.h"

#include <exception>

#include "reprise/autograd/tape_state.h"
#include "reprise/core/error.h"

namespace reprise::checkpoint {
namespace {

constexpr const char* kOutOfOrder =
    "checkpoint: a region ended before one that was opened inside it: end regions in reverse order";
constexpr const char* kElsewhere =
    "checkpoint: a region ended on another thread than its tape's: end it where it was opened";

}  // namespace

Region::Region(Policy policy) {
  policy.note_use();
  TapeState* tape = recording_tape();
  if (!tape || tape->plan || tape->ignore_regions || !policy.makes_region()) return;
  if (tape->walking) return;  // in the backward of an op, whose gradients are not checkpointed by hand
  tape->throw_pending_error();
  tape_ = tape;
  life_ = tape->life;
  region_ = tape->push_region(policy.function());
}

// Still open? The tape may have ended, or an enclosing region may have ended this one.
bool Region::open() const { return tape_ && !life_->ended && tape_->region(region_).last < 0; }

void Region::end() {
  if (open()) {
    if (tape_->owner.get() != &this_thread()) throw UserError(kElsewhere);
    if (tape_->innermost != region_) throw UserError(kOutOfOrder);
    const Busy busy(tape_);
    tape_->pop_region();
  }
  tape_ = nullptr;
}

Region::~Region() {
  if (!open()) return;
  const Busy busy(tape_);
  if (tape_->owner.get() != &this_thread())
    tape_->pending_error = kElsewhere;
  else if (tape_->innermost != region_)
    tape_->pending_error = kOutOfOrder;
  try {
    while (open()) tape_->pop_region();
  } catch (const std::exception& error) {
    tape_->pending_error = error.what();
  }
}

}  // namespace reprise::checkpoint
