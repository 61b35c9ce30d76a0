#pragma once
// What losses over classes ask of their targets.
#include <cstdint>

#include "reprise/core/kernel_slot.h"

namespace reprise {

// scores [.., classes] with at least one class, targets i64 of the leading shape; UserError naming the op.
void require_class_targets(const char* op, const ValueInfo& scores, const ValueInfo& targets);

// On the CPU: every number is in [0, count) or is `ignored`. UserError: "cross_entropy: target 12 at position
// 3 is not in [0, 10)". A kernel cannot report this, so it is asked before one runs; elsewhere kernels skip
// what is out of range.
void require_in_range(const char* op, const char* what, const ConstView& numbers, std::int64_t count,
                      const std::int64_t* ignored);

// UserError unless it is in [0, 1].
void require_label_smoothing(const char* op, double label_smoothing);

}  // namespace reprise
