#pragma once
// The lists of cpu/plain, one an op's file.
namespace reprise::cpu {

void fill_abs();
void fill_add();
void fill_argmax();
void fill_broadcast_to();
void fill_cast();
void fill_cat();
void fill_clamp();
void fill_compare();
void fill_div();
void fill_exp();
void fill_gather();
void fill_gelu();
void fill_intrinsics();
void fill_leaky_relu();
void fill_log();
void fill_max();
void fill_maximum();
void fill_mul();
void fill_neg();
void fill_permute();
void fill_pow();
void fill_relu();
void fill_round();
void fill_sigmoid();
void fill_silu();
void fill_slice();
void fill_softplus();
void fill_sqrt();
void fill_sub();
void fill_sum();
void fill_tanh();
void fill_where();

}  // namespace reprise::cpu
