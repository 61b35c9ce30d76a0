#pragma once
// The tape: a linear record (Wengert list) of the ops run, which can play any passage again.
//
// Opening a Tape makes it this thread's recording tape; every op that runs is appended as a node. A value is what a
// node made or read; values live in slots, one per buffer. Outside regions the tape keeps what backward will read
// (the saved values). A region (checkpoint.h) is a passage of the tape that keeps nothing made inside it: backward
// replays it from its boundary, which stays. `backward` walks the nodes in reverse.
//
// What is on a tape never changes. An optimizer's step bumps the version of what it writes; a replay or a backward
// that would read the newer contents refuses. Gradients are the same bits whatever is kept or replayed.
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reprise/autograd/op.h"
#include "reprise/autograd/plan.h"
#include "reprise/core/tensor.h"

namespace reprise {

class TapeState;
struct TapeLife;

struct TapeOptions {
  std::optional<Plan> plan = {};  // in force it wins over regions in code
  bool start = true;              // false: records only inside a Tape::Recording
};

// create_graph implies retain_graph.
struct GradientOptions {
  Tensor seed = {};  // the gradient of the loss; required unless the loss has one element
  bool retain_graph = false;
  bool create_graph = false;
  bool allow_unused = false;  // undefined, not an error, for an input that the loss does not depend on
};

// at_end: a failed backward leaves every .grad as it was. eager: needs no second set of gradients while .grad
// already holds one; after a failure .grad is invalid until zero_grad.
enum class Commit { at_end, eager };

struct BackwardOptions {
  Tensor seed = {};
  bool retain_graph = false;
  bool create_graph = false;
  Commit commit = Commit::at_end;
};

enum class Event { forward, replay, backward, drop, offload, fetch, leaf_gradient };

// Hears the events of a tape. Ops that an observer runs are not recorded. An observer must not throw. If one does, the
// tape goes on, and its next record or backward throws a UserError with the message.
struct Observer {
  virtual ~Observer() = default;
  // For leaf_gradient: the leaf and its complete gradient of this walk, not committed yet, after the leaf's last use.
  // Otherwise null. drop, offload and fetch name the node that made the value.
  virtual void on(Event event, NodeId node, const Tensor* leaf, const Tensor* gradient) = 0;
};

// A tape is used by the thread that opened it (UserError elsewhere). A tape that is destroyed while it records on
// another thread stops recording there, and the next op of that thread is a UserError.
class [[nodiscard]] Tape {
 public:
  // UserError when another tape is recording on this thread, and for a plan that is not well-formed.
  [[nodiscard]] explicit Tape(TapeOptions options = {});
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // While one lives, a tape that was not started records on this thread.
  class [[nodiscard]] Recording {
   public:
    explicit Recording(Tape& tape);
    ~Recording();
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;

   private:
    TapeState* tape_;
    std::shared_ptr<const TapeLife> life_;  // the tape may end first
  };

  // Adds d loss / d leaf to `.grad` of every leaf that requires a gradient. A node's backward runs once unless
  // retained. After a failure everything is as before the call and it may be called again.
  void backward(const Tensor& loss, BackwardOptions options = {});

  // Gradients with respect to these values of the tape, leaves or not; `.grad` is not touched.
  template <std::size_t N>
  std::array<Tensor, N> gradients(const Tensor& loss, const Tensor (&inputs)[N],
                                  GradientOptions options = {}) {
    std::vector<Tensor> list = gradients(loss, std::span<const Tensor>(inputs, N), std::move(options));
    std::array<Tensor, N> result;
    for (std::size_t i = 0; i < N; ++i) result[i] = std::move(list[i]);
    return result;
  }
  std::vector<Tensor> gradients(const Tensor& loss, std::span<const Tensor> inputs,
                                GradientOptions options = {});

  // Observers hear events in the order in which they were added. Each must outlive this tape's handles, because the
  // death of a handle is an event, or be removed before.
  void add_observer(Observer& observer);     // again: no effect
  void remove_observer(Observer& observer);  // not there: no effect
  void set_observer(Observer* observer);     // in place of all others; nullptr removes all
  // Nodes and values so far; the events of a whole step come from checkpoint::trace.
  Trace trace() const;
  // A table of nodes: op, shapes, bytes, residency, region.
  void print(std::ostream& out) const;
  // Why this value's bytes are here or not, who holds them, and what it would take to make them again.
  std::string explain(const Tensor& tensor) const;

  std::int64_t nodes() const;
  std::int64_t replays() const;  // nodes run again so far
  double replayed_flops() const;
  // False if the step so far has other shapes than the plan in force, or more gradients in the leaves at its start. That
  // voids the predicted peak. Gradients that would take the peak over the plan's budget are a UserError when their leaf is
  // read.
  bool plan_shapes_match() const;

  TapeState& state() { return *state_; }
  const TapeState& state() const { return *state_; }

 private:
  std::unique_ptr<TapeState> state_;
};

// What `forward` computes, with this gradient instead of its own: one input, one output. `forward` runs untracked and
// is run again by a replay, so it must be pure.
Tensor with_gradient(std::string_view name, Tensor input, std::function<Tensor(Tensor)> forward,
                     std::function<Tensor(Tensor gradient)> backward);

// Central differences in f64 against backward; the message of a failure names input, element and both values.
struct GradcheckOptions {
  double eps = 1e-6, atol = 1e-5, rtol = 1e-3;
};
// `function` is called many times; its result may have any shape (its sum with fixed random weights is what is
// differentiated). Inputs are converted to f64 where the function allows it: see gradcheck.cpp. Throws Error.
void gradcheck(std::function<Tensor(std::span<const Tensor>)> function, std::vector<Tensor> inputs,
               GradcheckOptions options = {});

}  // namespace reprise
