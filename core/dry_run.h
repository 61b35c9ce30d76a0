#pragma once
// A step on real device names in which allocations only count and kernels do not run: it predicts the meter's peak
// to the byte, for models that need not fit. It leaves no trace: random offsets, versions, gradients and leaves
// are as before. Reading a value in it, and using a tensor made in it afterwards, is a UserError.
#include <cstddef>
#include <cstdint>

#include "reprise/core/device.h"
#include "reprise/core/ref.h"

namespace reprise {

struct TensorImpl;

// While one lives on this thread, this thread is in a dry run. They do not nest (UserError).
class [[nodiscard]] DryRun {
 public:
  DryRun();
  ~DryRun();
  DryRun(const DryRun&) = delete;
  DryRun& operator=(const DryRun&) = delete;
};

// Is this thread in a dry run?
bool is_dry_run();
std::uint64_t current_dry_run();  // its number, as in Storage::dry_run; 0: none

// The gradient of a leaf as this thread sees it: in a dry run an overlay that starts as the real one and is
// forgotten at the end. All reads and writes of `.grad` go through these two.
Ref<TensorImpl> gradient_of(const TensorImpl& leaf);
void set_gradient(TensorImpl& leaf, Ref<TensorImpl> gradient);

}  // namespace reprise
