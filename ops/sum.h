#pragma once
// sum(x, dims) and mean(x, dims): over some dimensions (negative ones count from the end), or over all, which gives a
// scalar of shape []. With keepdim the reduced dimensions stay with extent 1. sum takes every dtype. Sums of integers and bool
// are i64; a sum beyond i64 is a UserError (on CUDA it wraps). mean: floating. f32 adds in double, in an order that depends on
// the shape alone. Gradients: g (for mean g / count) repeated.
// Nothing is saved.
#include "reprise/autograd/op.h"
#include "reprise/ops/sum_to.h"

namespace reprise {

struct ReduceOptions {
  bool keepdim = false;
};

Tensor sum(Tensor x);
Tensor sum(Tensor x, Dims dims, ReduceOptions options = {});
Tensor mean(Tensor x);
Tensor mean(Tensor x, Dims dims, ReduceOptions options = {});

}  // namespace reprise
