#pragma once
#include "reprise/checkpoint/region.h"
#include "reprise/nn/module.h"

namespace reprise::nn {

// A module whose call is a region under its policy: what its backward needs is computed again instead of kept.
//
//   struct MyBlock : nn::Block {
//     nn::Linear linear{64, 64};
//     Tensor operator()(Tensor x) {
//       return checkpoint::run(policy, [&] { return relu(linear(std::move(x))); });
//     }
//     void visit(nn::Visitor& visitor) override { visitor("linear", linear); }
//   };
struct Block : Module {
  checkpoint::Policy policy = checkpoint::Policy::none();
};

// Gives every Block in the module, itself included, this policy, and returns the number of Blocks. UserError if there is
// none: then nothing would be checkpointed. A Block that trains without running a region under its policy makes the
// optimizer's next step a UserError. A Block that decides otherwise calls policy.note_use().
std::int64_t enable_checkpointing(Module& module, checkpoint::Policy policy);

}  // namespace reprise::nn
