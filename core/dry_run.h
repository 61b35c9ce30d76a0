#pragma once
// A step on real device names in which allocations only count and kernels do not run. A dry run predicts the meter's peak
// to the byte, for models that need not fit. A dry run leaves no trace: random offsets, versions, gradients and leaves
// are as before. Reading a value in a dry run is a UserError, and so is using a tensor made in it afterwards.
//
// A tape that was open before the dry run does not record in it, and a backward of that tape is a UserError there.
// A tape opened in a dry run refuses everything once the dry run has ended.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "reprise/core/device.h"
#include "reprise/core/ref.h"

namespace reprise {

struct TensorImpl;
class Tensor;
struct DryState;

// While one lives on this thread, this thread is in a dry run. They do not nest (UserError). A DryRun that is
// destroyed on another thread ends the dry run of the thread that made it.
class [[nodiscard]] DryRun {
 public:
  DryRun();
  ~DryRun();
  DryRun(const DryRun&) = delete;
  DryRun& operator=(const DryRun&) = delete;

 private:
  std::shared_ptr<DryState> state_;
};

// Is this thread in a dry run?
bool is_dry_run();
std::uint64_t current_dry_run();  // its number, as in Storage::dry_run; 0: none

// UserError for a tensor without values outside the dry run that made it: "`call`: `what` f32[2] was made in a dry run
// that has ended". An undefined tensor passes.
void refuse_ended_dry_run(std::string_view call, std::string_view what, const Tensor& tensor);

// The gradient of a leaf as this thread sees it: in a dry run an overlay that starts as the real one and is
// forgotten at the end. All reads and writes of `.grad` go through these two.
Ref<TensorImpl> gradient_of(const TensorImpl& leaf);
void set_gradient(TensorImpl& leaf, Ref<TensorImpl> gradient);

}  // namespace reprise
