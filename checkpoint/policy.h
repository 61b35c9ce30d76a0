#pragma once
// What becomes of the values made inside a region while it is closed. A policy is asked once per node, when the node is
// recorded (or when an enclosing region is opened for backward); it answers with data, and the tape obeys.
#include <functional>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "reprise/autograd/plan.h"

namespace reprise {
struct PolicyWatch;
}

namespace reprise::checkpoint {

using reprise::Decision;
using reprise::NodeInfo;

class Policy {
 public:
  using Function = std::function<Decision(const NodeInfo&)>;

  static Policy full();  // a region that keeps nothing made inside it
  static Policy none();  // no region
  // Keeps the outputs of these ops (by Op::name), recomputes the rest.
  static Policy save_only(std::initializer_list<std::string_view> ops);
  // Keeps the outputs of ops that do at least 16 floating-point operations for a byte of them: products, convolutions,
  // attention. What is cheaper to make again than that (element-wise ops, norms, softmax, copies) is recomputed.
  static Policy recompute_cheap();
  // Copies everything out of the device, to host memory or to files (autograd/offload.h), and runs nothing again.
  static Policy offload();
  static Policy custom(Function decide);

  bool makes_region() const { return makes_region_; }
  const std::shared_ptr<const Function>& function() const { return function_; }  // null: recompute everything

  // The same policy, watched (core/policy_watch.h).
  Policy watched_by(std::shared_ptr<PolicyWatch> watch) const;
  // A region was asked for under this policy, or something else decides instead. Region's constructor calls it.
  void note_use() const;

 private:
  std::shared_ptr<PolicyWatch> watch_;  // null: not watched
  bool makes_region_ = true;
  std::shared_ptr<const Function> function_;
};

}  // namespace reprise::checkpoint
