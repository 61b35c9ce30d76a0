#pragma once
// Finds blocks that ignore their checkpoint policy. nn::enable_checkpointing watches each block that it gives a policy to.
// A region notes that it was asked for under that policy. The optimizer's step asks here. If a block's parameter got a
// gradient without a region, the block's operator() probably forgets the policy.
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "reprise/core/tensor.h"

namespace reprise {

// Owned by the block's policy: it ends with the block.
struct PolicyWatch {
  std::atomic<bool> used{false};
  std::string block;
  Tensor parameter;
};
void add_policy_watch(const std::shared_ptr<PolicyWatch>& watch);

// The name of a block whose policy nobody has asked for, and whose parameter got its gradient in one of these walks of
// backward (core/unlisted.h). The block is not watched any more.
std::optional<std::string> take_unused_policy(std::span<const std::uint64_t> walks);

}  // namespace reprise
