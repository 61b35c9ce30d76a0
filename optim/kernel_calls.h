#pragma once
// How an optimizer calls its kernels: once for each kind of parameter, so that a kernel can share the work of many
// small tensors among threads.
#include <map>
#include <utility>
#include <vector>

#include "reprise/ops/update_list.h"

namespace reprise::optim {

// Where a parameter's step is computed, and in which dtype.
using ParameterKind = std::pair<Device, DType>;
inline ParameterKind kind_of(const Tensor& parameter) {
  return {parameter.device(), gradient_dtype(parameter.dtype())};
}

inline View view_of(const Tensor& tensor) { return {tensor.impl()->data(), &tensor.info()}; }
// What is written beside the master; none where the parameter is exact itself.
inline View rounded_view(const Tensor& parameter) {
  return is_half(parameter.dtype()) ? view_of(parameter) : View{};
}
inline ConstView const_view_of(const Tensor& tensor) { return {tensor.impl()->data(), &tensor.info()}; }

// UserError for a kind without a kernel, before any has run.
template <class UpdateArgs>
void run_updates(const KernelSlot<UpdateListArgs<UpdateArgs>>& slot,
                 const std::map<ParameterKind, std::vector<UpdateArgs>>& updates) {
  for (const auto& [kind, list] : updates) slot.find(kind.first, kind.second);
  for (const auto& [kind, list] : updates) slot.run({list}, {}, kind.first, kind.second);
}

}  // namespace reprise::optim
