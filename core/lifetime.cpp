#include "reprise/core/lifetime.h"

#include "reprise/core/thread_local.h"

namespace reprise {
namespace {
REPRISE_HOT_THREAD_LOCAL LifetimeListener* current = nullptr;
}  // namespace

void set_lifetime_listener(LifetimeListener* listener) { current = listener; }
LifetimeListener* lifetime_listener() { return current; }

}  // namespace reprise
