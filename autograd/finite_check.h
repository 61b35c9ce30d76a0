#pragma once
// Finds the first op of a step that made a NaN or an infinite number.
#include <memory>
#include <optional>
#include <string>

#include "reprise/autograd/tape.h"

namespace reprise {

// While one lives, it looks at every floating-point output when its op is recorded, and at every complete leaf gradient. Each
// look reads all elements on the host, so a check is for finding a fault, not for every step.
//
//   Tape tape;
//   FiniteCheck check(tape);
//   tape.backward(loss(model, x, y));
//   if (check.first()) std::cerr << check.first()->text << '\n';
//
// Infinity is the right answer of some ops, of a mask for one; so the first NaN is kept apart. The tape may end first.
// Views are not looked at again. In a dry run there is nothing to look at.
class [[nodiscard]] FiniteCheck final : public Observer {
 public:
  struct Finding {
    NodeId node;       // that made the value, or whose backward completed the leaf's gradient
    std::string op;    // its name
    bool nan;          // false: infinite
    bool in_gradient;  // in the gradient of a leaf, not in an output
    std::string text;  // "log (node 3): output 0, f32[2, 3], has NaN at element 4; its inputs are finite"
  };

  explicit FiniteCheck(Tape& tape);  // adds itself to the tape's observers
  ~FiniteCheck() override;
  FiniteCheck(const FiniteCheck&) = delete;
  FiniteCheck& operator=(const FiniteCheck&) = delete;

  const std::optional<Finding>& first() const { return first_; }  // NaN or infinite; empty: all was finite
  const std::optional<Finding>& first_nan() const { return first_nan_; }  // empty: no NaN so far

  void on(Event event, NodeId node, const Tensor* leaf, const Tensor* gradient) override;

 private:
  void look_at_outputs(NodeId node);
  void found(Finding finding);

  Tape& tape_;
  std::shared_ptr<const TapeLife> life_;
  std::optional<Finding> first_, first_nan_;
};

}  // namespace reprise
