#pragma once
// Every kernel slot that ops and autograd declare, so that what a backend fills can be listed. A test counts the declarations
// (cuda_proofs_test.cpp).
#include "reprise/autograd/intrinsics.h"
#include "reprise/ops/adam_update.h"
#include "reprise/ops/clip_update.h"
#include "reprise/ops/ops.h"
#include "reprise/ops/sgd_update.h"

namespace reprise::test {

template <auto&... slots>
struct KernelSlots {
  static constexpr int count = sizeof...(slots);
  // Calls f.template operator()<slot>() for each.
  template <class F>
  static void for_each(F f) {
    (f.template operator()<slots>(), ...);
  }
};

using AllKernelSlots = KernelSlots<
    abs_backward_slot, abs_slot, adam_slot, adaptive_avg_pool2d_backward_slot, adaptive_avg_pool2d_slot,
    add_same_slot, add_scalar_slot, add_slot, argmax_slot, attention_backward_slot, attention_slot,
    avg_pool2d_backward_slot, avg_pool2d_slot, batch_norm_backward_slot, batch_norm_inference_slot,
    batch_norm_slot, binary_cross_entropy_slot, broadcast_to_slot, cast_slot, cat_slot, clamp_backward_slot,
    clamp_slot, column_sum_slot, conv2d_backward_input_slot, conv2d_backward_weight_slot, conv2d_slot,
    cross_entropy_backward_slot, cross_entropy_slot, div_scalar_slot, div_slot, dropout_slot,
    embedding_backward_slot, embedding_slot, equal_slot, exp_slot, gather_slot, gelu_backward_slot, gelu_slot,
    glu_backward_slot, glu_slot, greater_equal_slot, greater_slot, layer_norm_backward_slot, layer_norm_slot,
    leaky_relu_backward_slot, leaky_relu_slot, less_equal_slot, less_slot, linear_backward_weight_slot,
    linear_cross_entropy_backward_slot, linear_cross_entropy_slot, linear_slot, log_slot, matmul_slot,
    max_pool2d_backward_slot, max_pool2d_slot, max_slot, maximum_slot, min_slot, minimum_slot, mse_loss_slot,
    mul_scalar_slot, mul_slot, narrow_slot, neg_slot, nll_loss_backward_slot, nll_loss_slot, not_equal_slot,
    ones_slot, pad_slot, permute_slot, pow_slot, rdiv_slot, relu_backward_slot, relu_slot,
    rms_norm_backward_slot, rms_norm_slot, rotary_embedding_slot, round_slot, rsub_slot, scale_in_place_slot,
    scatter_add_slot, sgd_slot, sigmoid_backward_slot, sigmoid_slot, silu_backward_slot, silu_slot,
    softmax_backward_slot, softmax_slot, softplus_slot, sqrt_slot, square_sum_slot, sub_slot, sum_slot,
    tanh_backward_slot, tanh_slot, where_slot>;

template <class Args>
Args arguments_of(KernelSlot<Args>&);  // of a slot's kernels, for decltype

}  // namespace reprise::test
