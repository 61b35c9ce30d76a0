#include "reprise/core/unlisted.h"

#include <utility>
#include <vector>

namespace reprise {
namespace {

// Handles, not gradients: they keep a leaf alive until the next step, which only ever happens to the faulty.
thread_local std::vector<Ref<TensorImpl>> noted;

}  // namespace

void mark_unlisted(const Tensor& parameter) { parameter.impl()->unlisted = true; }

void mark_listed(const Tensor& parameter) { parameter.impl()->unlisted = false; }

void note_if_unlisted(TensorImpl& leaf) {
  if (leaf.unlisted) noted.emplace_back(&leaf);
}

Tensor take_unlisted_with_gradient() {
  for (const Ref<TensorImpl>& leaf : std::exchange(noted, {}))
    if (leaf->unlisted && leaf->grad) return Tensor(leaf);
  return {};
}

}  // namespace reprise
