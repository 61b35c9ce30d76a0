#pragma once
// The lists of cpu/plain, one an op's file.
namespace reprise::cpu {

void fill_abs();
void fill_adam_update();
void fill_adaptive_avg_pool2d();
void fill_add();
void fill_argmax();
void fill_attention();
void fill_avg_pool2d();
void fill_batch_norm();
void fill_binary_cross_entropy();
void fill_broadcast_to();
void fill_cast();
void fill_cat();
void fill_clamp();
void fill_clip_update();
void fill_column_sum();
void fill_compare();
void fill_conv2d();
void fill_cross_entropy();
void fill_div();
void fill_dropout();
void fill_embedding();
void fill_exp();
void fill_gather();
void fill_gelu();
void fill_intrinsics();
void fill_layer_norm();
void fill_leaky_relu();
void fill_linear();
void fill_log();
void fill_matmul();
void fill_max();
void fill_max_pool2d();
void fill_maximum();
void fill_mse_loss();
void fill_mul();
void fill_neg();
void fill_nll_loss();
void fill_permute();
void fill_pow();
void fill_relu();
void fill_round();
void fill_sgd_update();
void fill_sigmoid();
void fill_silu();
void fill_slice();
void fill_softmax();
void fill_softplus();
void fill_sqrt();
void fill_sub();
void fill_sum();
void fill_tanh();
void fill_where();

}  // namespace reprise::cpu
