#pragma once
// A step as data: what it ran, allocated and let go of, found by running it dry, once.
#include <functional>

#include "reprise/autograd/tape.h"

namespace reprise::checkpoint {

// Forward and backward on the tape it is given. It runs dry: side effects of user code (counters, prints) happen, what
// Reprise keeps (running statistics, optimizer state, gradients, random offsets) does not change.
using Step = std::function<void(Tape&)>;

// Runs `step` in a dry run on a tape of its own. Regions in its code are not part of the trace: a plan decides anew.
// UserError inside another dry run or while a tape is recording.
Trace trace(const Step& step);

}  // namespace reprise::checkpoint
