#pragma once
// A look at what user code allocates and lets go of: how the trace of a step is made.
#include "reprise/core/tensor.h"

namespace reprise {

struct LifetimeListener {
  // After the storage was made.
  virtual void allocated(const Storage& storage) noexcept = 0;
  // Before a handle lets go of its storage.
  virtual void handle_died(const TensorImpl& impl) noexcept = 0;

 protected:
  ~LifetimeListener() = default;
};

// One per thread; null removes it.
void set_lifetime_listener(LifetimeListener* listener);
LifetimeListener* lifetime_listener();

}  // namespace reprise
