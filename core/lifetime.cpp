#include "reprise/core/lifetime.h"

namespace reprise {
namespace {
thread_local LifetimeListener* current = nullptr;
}  // namespace

void set_lifetime_listener(LifetimeListener* listener) { current = listener; }
LifetimeListener* lifetime_listener() { return current; }

}  // namespace reprise
