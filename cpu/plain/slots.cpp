// One line an op, in alphabetical order of the file that holds its kernels.
#include "reprise/cpu/plain/slots.h"

#include "reprise/cpu/slots.h"

namespace reprise::cpu {

void fill_plain_kernels() {
  fill_abs();
  fill_add();
  fill_argmax();
  fill_broadcast_to();
  fill_cast();
  fill_cat();
  fill_clamp();
  fill_compare();
  fill_div();
  fill_exp();
  fill_gather();
  fill_gelu();
  fill_intrinsics();
  fill_leaky_relu();
  fill_log();
  fill_max();
  fill_maximum();
  fill_mul();
  fill_neg();
  fill_permute();
  fill_pow();
  fill_relu();
  fill_round();
  fill_sigmoid();
  fill_silu();
  fill_slice();
  fill_softplus();
  fill_sqrt();
  fill_sub();
  fill_sum();
  fill_tanh();
  fill_where();
}

}  // namespace reprise::cpu
