#pragma once
// What most ops are made with. The base of an op that one kernel slot computes: the op says how the kernel's arguments
// are made from views, once, and both the bytes of workspace and the run follow.
#include <array>

#include "reprise/autograd/op.h"

namespace reprise {

template <class Args>
class KernelOp : public Op {
 public:
  // The kernel is chosen by the dtype of input number `computes_in`.
  KernelOp(const char* name, const KernelSlot<Args>& slot, int computes_in = 0)
      : name_(name), slot_(&slot), computes_in_(static_cast<std::size_t>(computes_in)) {}

  std::string_view name() const override { return name_; }

  std::size_t workspace(std::span<const ValueInfo> in, Device device) const override {
    const Kernel<Args>& kernel = slot_->find(device, in[computes_in_].dtype);
    if (!kernel.workspace) return 0;
    const std::vector<ValueInfo> results = infer(in);
    std::array<ConstView, kMaxOperands> inputs;
    std::array<View, kMaxOperands> outputs;
    for (std::size_t i = 0; i < in.size(); ++i) inputs[i].info = &in[i];
    for (std::size_t i = 0; i < results.size(); ++i) outputs[i].info = &results[i];
    return kernel.workspace(args({inputs.data(), in.size()}, {outputs.data(), results.size()}));
  }

  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    const ValueInfo& info = *in[computes_in_].info;
    slot_->run(args(in, out), workspace, info.device, info.dtype);
  }

 protected:
  // Data is null while only bytes are asked for.
  virtual Args args(std::span<const ConstView> in, std::span<const View> out) const = 0;

 private:
  static constexpr std::size_t kMaxOperands = 8;
  const char* name_;
  const KernelSlot<Args>* slot_;
  std::size_t computes_in_;
};

// Of an op that is linear in each of its first two inputs: either is read for the other's gradient.
inline Saved saves_of_bilinear(Needs needs) {
  Saved saved;
  if (needs(1)) saved.inputs.push_back(0);
  if (needs(0)) saved.inputs.push_back(1);
  return saved;
}

}  // namespace reprise
