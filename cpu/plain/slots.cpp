// One line an op, in alphabetical order of the file that holds its kernels.
#include "reprise/cpu/plain/slots.h"

#include "reprise/cpu/slots.h"

namespace reprise::cpu {

void fill_plain_kernels() {
  fill_abs();
  fill_adam_update();
  fill_adaptive_avg_pool2d();
  fill_add();
  fill_argmax();
  fill_attention();
  fill_avg_pool2d();
  fill_batch_norm();
  fill_binary_cross_entropy();
  fill_broadcast_to();
  fill_cast();
  fill_cat();
  fill_clamp();
  fill_clip_update();
  fill_column_sum();
  fill_compare();
  fill_conv2d();
  fill_cross_entropy();
  fill_div();
  fill_dropout();
  fill_embedding();
  fill_exp();
  fill_gather();
  fill_gelu();
  fill_glu();
  fill_intrinsics();
  fill_layer_norm();
  fill_leaky_relu();
  fill_linear();
  fill_linear_cross_entropy();
  fill_log();
  fill_matmul();
  fill_max();
  fill_max_pool2d();
  fill_maximum();
  fill_mse_loss();
  fill_mul();
  fill_neg();
  fill_nll_loss();
  fill_permute();
  fill_pow();
  fill_relu();
  fill_rms_norm();
  fill_rotary_embedding();
  fill_round();
  fill_sgd_update();
  fill_sigmoid();
  fill_silu();
  fill_slice();
  fill_softmax();
  fill_softplus();
  fill_sqrt();
  fill_sub();
  fill_sum();
  fill_tanh();
  fill_where();
}

}  // namespace reprise::cpu
