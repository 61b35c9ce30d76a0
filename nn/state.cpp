#include "reprise/nn/state.h"

#include <fmt/format.h>

#include <cstring>

#include "reprise/autograd/op.h"
#include "reprise/core/dry_run.h"

namespace reprise::nn {

void copy_values(std::vector<Copy> copies) {
  for (const auto& [from, to] : copies) {
    if (from.shape() != to.shape())
      throw UserError(fmt::format("copy of values into {}: shapes {} and {} differ", to.name(),
                                  to_string(from.shape()), to_string(to.shape())));
    refuse_ended_dry_run("copy of values", "the source", from);
    refuse_ended_dry_run("copy of values", "the target", to);
  }
  if (is_dry_run()) return;
  {
    const NoGrad no_grad;
    for (auto& [from, to] : copies) {
      if (from.dtype() != to.dtype()) from = std::move(from).to(to.dtype());
      if (from.device() != to.device()) from = std::move(from).to(to.device());
    }
  }
  for (const auto& [from, to] : copies) {
    if (to.numel() > 0) services(to.device()).copy(to.impl()->data(), from.impl()->data(), to.bytes());
    ++to.impl()->storage->version;
  }
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  if (a.info() != b.info()) return false;
  return a.bytes() == 0 || std::memcmp(a.impl()->data(), b.impl()->data(), a.bytes()) == 0;
}

void replace_contents(const Tensor& tensor, const Tensor& value) {
  TensorImpl& impl = *tensor.impl();
  set_gradient(impl, {});
  impl.info = value.info();
  impl.offset = value.impl()->offset;
  impl.storage = value.impl()->storage;
  // What a tape knows of this handle is the old contents.
  impl.value = -1;
  impl.serial = 0;
}

}  // namespace reprise::nn
