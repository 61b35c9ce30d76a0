// One line a file, in alphabetical order.
#include "reprise/cpu/fast_slots.h"

#include <hwy/highway.h>

#include "reprise/cpu/slots.h"

namespace reprise::cpu {

void fill_fast_kernels() {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());  // which the lists below then read
  fill_fast_activations();
  fill_fast_arithmetic();
  fill_fast_attention();
  fill_fast_batch_norm();
  fill_fast_cast();
  fill_fast_conv2d();
  fill_fast_cross_entropy();
  fill_fast_dropout();
  fill_fast_glu();
  fill_fast_layer_norm();
  fill_fast_linear();
  fill_fast_linear_cross_entropy();
  fill_fast_matmul();
  fill_fast_max_pool2d();
  fill_fast_rms_norm();
  fill_fast_softmax();
  fill_fast_sum();
  fill_fast_updates();
}

}  // namespace reprise::cpu
