#include "reprise/nn/block.h"

namespace reprise::nn {

void enable_checkpointing(Module& module, checkpoint::Policy policy) {
  if (auto* block = dynamic_cast<Block*>(&module)) block->policy = policy;
  for_each<Block>(module, [&](std::string_view, Block& block) { block.policy = policy; });
}

}  // namespace reprise::nn
