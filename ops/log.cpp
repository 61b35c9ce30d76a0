#include "reprise/ops/log.h"

#include "reprise/ops/div.h"

namespace reprise {

constinit KernelSlot<UnaryArgs> log_slot{"log"};

namespace {

struct Log final : UnaryOp {
  Log() : UnaryOp("log", log_slot, GradientReads::input, 10) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(gradients[0] / context.inputs[0]);
  }
};

}  // namespace

Tensor log(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Log>();
  return record(op, std::move(x));
}

}  // namespace reprise
