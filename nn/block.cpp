#include "reprise/nn/block.h"

#include <memory>
#include <string_view>

#include "reprise/core/policy_watch.h"

namespace reprise::nn {
namespace {

// A block without parameters that train is not watched: nothing shows that it ran.
checkpoint::Policy watched(const checkpoint::Policy& policy, std::string_view name, Block& block) {
  auto watch = std::make_shared<PolicyWatch>();
  watch->block = name;
  walk(block, {.parameter = [&](std::string_view, Tensor& parameter) {
         if (!watch->parameter.defined() && parameter.requires_grad()) watch->parameter = parameter;
       }});
  if (!watch->parameter.defined()) return policy;
  add_policy_watch(watch);
  return policy.watched_by(std::move(watch));
}

}  // namespace

std::int64_t enable_checkpointing(Module& module, checkpoint::Policy policy) {
  std::int64_t count = 0;
  const auto set = [&](std::string_view name, Block& block) {
    block.policy = policy.makes_region() ? watched(policy, name, block) : policy;
    ++count;
  };
  if (auto* block = dynamic_cast<Block*>(&module)) set("", *block);
  for_each<Block>(module, set);
  if (count == 0)
    throw UserError(
        "enable_checkpointing: the module has no nn::Block: derive the parts to checkpoint from nn::Block, "
        "or run them "
        "in checkpoint::run");
  return count;
}

}  // namespace reprise::nn
