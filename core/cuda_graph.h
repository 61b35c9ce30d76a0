#pragma once
// A step that is captured once and launched as a whole from then on: a CUDA graph (PyTorch's torch.cuda.CUDAGraph). The host
// asks for one thing instead of for every kernel, so a step whose kernels are small is no longer as slow as the host.
//
//   Tensor x = ..., y = ...;  // their buffers are read at each replay: copy the next batch into them (copy_into)
//   CUDAGraph graph(model.parameters(), [&] {
//     Tape tape;
//     Tensor loss = cross_entropy(model(x), y);
//     tape.backward(loss);
//     return loss;
//   });
//   for (...) {
//     copy_into(x, next.inputs);
//     copy_into(y, next.targets);
//     const Tensor& loss = graph.replay();
//     optimizer.step();
//   }
//
// What the step computes from numbers of the host (shapes, probabilities, a learning rate) is captured as it was. Random
// numbers go on: a replay draws what the step run then would draw. State that modules keep (assign_state) is written at each
// replay. The host can read nothing in the step, wait for nothing and copy nothing in or out (CaptureError); so the optimizer's
// step, clipping, loss scaling and loss.item() stay outside. Offloading to host memory may stay inside.
#include <functional>
#include <memory>
#include <vector>

#include "reprise/core/device.h"
#include "reprise/core/tensor.h"

namespace reprise {

class CUDAGraph {
 public:
  // `leaves`: whose gradients the step makes; all on one CUDA device. Runs the step twice: once as ever, then under capture. That
  // changes nothing but .grad of the leaves, which is released, and what the step itself counts: neither state nor random
  // numbers, which are as the first replay finds them. UserError for a step that does not do the same both times, or that
  // cannot be captured; then it may be called as ever.
  CUDAGraph(std::vector<Tensor> leaves, const std::function<Tensor()>& step);
  ~CUDAGraph();
  CUDAGraph(const CUDAGraph&) = delete;
  CUDAGraph& operator=(const CUDAGraph&) = delete;

  // The step again: asks the device for it and does not wait. Afterwards each leaf's .grad is the gradient of this replay alone,
  // whatever it was, in the same buffer each time; what the step returned is too, and is given back here.
  const Tensor& replay();

  // Device memory that the graph keeps for the step's buffers, beside what was there before: no tensor of it is on the meter
  // but those that live. The result and the gradients lie in it, and keep it when they outlive the graph.
  std::size_t bytes() const;

 private:
  struct Gradient {
    Tensor leaf, gradient;
  };
  Tensor result_;
  std::vector<Gradient> gradients_;
  std::uint64_t random_words_ = 0;  // that a replay draws
  std::unique_ptr<CapturedStep> captured_;
};

// Copies the elements of `from` into the buffer of `to`, of the same shape and dtype, from any device: the input of the next
// replay. Not an op: bumps the version, as a write.
void copy_into(const Tensor& to, const Tensor& from);

}  // namespace reprise
