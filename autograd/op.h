#pragma once
// An op: a pure function from input values to output values, with its gradient. Ours and a user's are made of the
// same parts, and `record` is the only way onto a tape.
//
// An op's declarations are checked when the op is recorded or walked. Places out of range, an alias outside its input, no
// outputs, and missing or misshapen gradients are UserErrors that name the op. Only `backward` may run ops itself;
// with_gradient (tape.h) makes an op out of ops.
//
// Forward exists once: the tape calls `forward` when the op is recorded and again, with the same inputs, when a
// region is replayed; so it must be a pure function of inputs and attributes. Randomness is an attribute
// ({seed, offset}, core/random.h). What backward reads is data (`saves`), not captured. Backward is written in ops.
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

// Which input gradients are wanted.
struct Needs {
  std::span<const bool> inputs;
  bool operator()(int i) const { return inputs[static_cast<std::size_t>(i)]; }
};

// What backward reads: the places of inputs and outputs.
struct Saved {
  std::vector<int> inputs, outputs;
};

// The only output is a view of an input, at an offset in bytes within the input. The view shares the slot, and forward is
// not called.
struct Alias {
  int input;
  std::size_t offset;
};

// never_replay: too costly or impossible to run again (a collective, an op that reads the outside).
enum class Keep { free_choice, never_replay };

struct Op {
  virtual ~Op() = default;
  virtual std::string_view name() const = 0;
  virtual std::string attributes() const { return {}; }  // for printing and for a plan's fingerprint
  // Shapes, dtypes and devices of the outputs, one at least. A mistake of the user's is a UserError here, naming op and shapes.
  virtual std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const = 0;
  virtual std::optional<Alias> alias(std::span<const ValueInfo>) const { return {}; }
  virtual std::size_t workspace(std::span<const ValueInfo>, Device) const { return 0; }
  // Every output is written in full. Nothing is allocated; `workspace` is uninitialized, 64-byte aligned.
  virtual void forward(std::span<const ConstView> in, std::span<const View> out,
                       std::span<std::byte> workspace) const = 0;
  virtual Saved saves(Needs) const { return {}; }
  // Outputs that can carry a gradient (statistics and indices cannot); one that reaches another is an error.
  virtual std::vector<int> differentiable() const { return {0}; }
  // Input whose buffer output 0 may take over where nobody else holds it and no tape records: forward must give the same
  // with both in one place.
  virtual std::optional<int> overwrites() const { return {}; }
  // An op that is done with a saved value or a gradient before it makes its last result may move it out, and if nobody
  // else needs the bytes they go at once.
  struct Context {
    std::span<Tensor> inputs, outputs;  // undefined where saves() did not name them
    std::span<Tensor> gradients;        // the tensors of backward's second argument
    std::span<const ValueInfo> infos;   // of every input
    Needs needs;
  };
  // One gradient per input, undefined if none is needed or if it is zero. Without an override the op has no gradient
  // (UserError).
  // A gradient has its input's dtype. For a 16-bit input the gradient may be f32: the engine keeps f32 for leaves and
  // rounds it before the next op.
  // `gradients` has one entry per output, undefined where none arrived.
  virtual std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const;
  virtual double flops(std::span<const ValueInfo>) const { return 0; }
  virtual Keep keep() const { return Keep::free_choice; }
};

// The only way onto the tape. Infers (user errors), allocates outputs and workspace, runs forward once, appends a
// node to the recording tape if there is one, and lets go of the inputs. When it throws, nothing has changed.
std::vector<Tensor> record(std::shared_ptr<const Op> op, std::vector<Tensor> inputs);

// A vector of these tensors, moved, where a braced list would copy them.
template <std::same_as<Tensor>... Tensors>
std::vector<Tensor> tensors(Tensors... items) {
  std::vector<Tensor> list;
  list.reserve(sizeof...(items));
  (list.push_back(std::move(items)), ...);
  return list;
}

// The first output; lets go of the inputs.
template <std::derived_from<Op> O, std::same_as<Tensor>... Inputs>
Tensor record(O op, Inputs... inputs) {
  return std::move(record(std::make_shared<const O>(std::move(op)), tensors(std::move(inputs)...)).front());
}
// The same with an instance that many calls share.
template <std::same_as<Tensor>... Inputs>
Tensor record(const std::shared_ptr<const Op>& op, Inputs... inputs) {
  return std::move(record(op, tensors(std::move(inputs)...)).front());
}

struct ThreadRecording;

// While one lives on this thread nothing is recorded and nothing made is tracked. Several may end in any order, and on
// any thread.
class [[nodiscard]] NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  ThreadRecording* thread_;  // of the thread that made it; referenced
};

}  // namespace reprise
