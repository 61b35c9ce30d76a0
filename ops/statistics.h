#pragma once
// Means, reciprocal deviations, log-sum-exps and losses are f32 for every dtype but f64, whose are f64.
#include "reprise/core/dtype.h"

namespace reprise {

constexpr DType statistics_dtype(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

}  // namespace reprise
