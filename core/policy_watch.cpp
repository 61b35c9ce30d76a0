#include "reprise/core/policy_watch.h"

#include <algorithm>
#include <mutex>
#include <vector>

namespace reprise {
namespace {

struct Watches {
  std::mutex mutex;
  std::vector<std::weak_ptr<PolicyWatch>> list;
  std::atomic<bool> any{false};  // a step without watches takes no lock
};
Watches& watches() {
  static Watches& result = *new Watches;  // blocks may be destroyed after every static
  return result;
}

}  // namespace

void add_policy_watch(const std::shared_ptr<PolicyWatch>& watch) {
  Watches& all = watches();
  const std::lock_guard lock(all.mutex);
  all.list.push_back(watch);
  all.any = true;
}

std::optional<std::string> take_unused_policy(std::span<const std::uint64_t> walks) {
  Watches& all = watches();
  if (!all.any) return std::nullopt;
  std::optional<std::string> unused;
  const std::lock_guard lock(all.mutex);
  std::erase_if(all.list, [&](const std::weak_ptr<PolicyWatch>& entry) {
    const std::shared_ptr<PolicyWatch> watch = entry.lock();
    if (!watch || watch->used) return true;
    const bool trained =
        watch->parameter.grad().defined() &&
        std::find(walks.begin(), walks.end(), watch->parameter.impl()->gradient_walk) != walks.end();
    if (!trained || unused) return false;
    unused = watch->block;
    return true;
  });
  all.any = !all.list.empty();
  return unused;
}

}  // namespace reprise
