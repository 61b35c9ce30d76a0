#pragma once
// Traces and plans: pure data. A trace is what one step did; a plan says which passages of such a step are regions and
// what is kept in them; the engine (tape.h) obeys it. Planners (checkpoint) make plans from traces.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reprise/core/tensor.h"

namespace reprise {

struct Op;

// What becomes of a value made inside a closed region.
enum class Decision : std::uint8_t { recompute, keep, offload };

// What a policy sees of a node: bytes of its outputs, flops of its forward.
struct NodeInfo {
  std::string_view op;
  std::size_t bytes;
  double flops;
};

struct NodeId {
  std::int32_t i;
};

struct TraceValue {
  Shape shape;
  DType dtype;
  Device device;
  std::size_t bytes;          // of the whole buffer
  std::int32_t storage;       // values with the same number share a buffer (views)
  std::int32_t maker;         // node; -1: made outside the tape
  bool leaf = false;          // a leaf that requires a gradient
  bool has_gradient = false;  // and held one when the step began
};

struct TraceNode {
  std::string op;
  std::string attributes;
  std::vector<std::int32_t> inputs, outputs, saved;  // values
  std::size_t workspace = 0;
  double flops = 0;
  double seconds =
      0;  // of its forward: modelled by checkpoint::trace, or measured; planners weigh replays by it
  bool keep = false;                   // never replayed
  bool tracked = false;                // has a gradient
  std::shared_ptr<const Op> instance;  // not in the file: a loaded trace can be planned, not simulated
};

// The step in order: nodes run, bytes that user code allocated, handles that it let go, the backward walks.
struct TraceEvent {
  enum class Kind : std::uint8_t { node, allocate, release, backward } kind;
  std::int32_t index;  // of a node, of a value, or in `backwards`
};

// One call of Tape::backward or Tape::gradients.
struct TraceBackward {
  std::int32_t loss;
  std::int32_t seed = -1;             // value; -1: ones
  std::vector<std::int32_t> wanted;   // empty: into .grad
  std::vector<std::int32_t> results;  // the values that came of it, where something was wanted
  bool accumulate = true, retain_graph = false, create_graph = false, allow_unused = false,
       eager_commit = false;
};

// One whole step, forward and backward. The first values are the tape's own, in its numbering.
struct Trace {
  std::vector<TraceNode> nodes;
  std::vector<TraceValue> values;
  std::vector<TraceEvent> events;
  std::vector<TraceBackward> backwards;
  std::int32_t tape_values = 0;  // values from here on are buffers that user code made beside the tape
  Device device;                 // where the step runs
  std::size_t base_bytes = 0;    // live before it, all tags but data
  void save(const std::string& path) const;
  // FileError if the file is no trace, or one that `validate` refuses.
  static Trace load(const std::string& path);
  // UserError for a number out of range, lists that contradict each other, or bytes whose sum cannot exist. Planners
  // trust a trace that has passed. checkpoint::plan and load call it.
  void validate() const;
};

// A region of a plan: nodes [first, last).
struct PlanRegion {
  std::int32_t first;
  std::int32_t last;
  bool eager = false;  // replay what its backwards need as soon as it is opened, not when it is first missed
  friend bool operator==(const PlanRegion&, const PlanRegion&) = default;
};

// A value's decision, while the outermost closed region that contains its maker is closed.
struct PlanDecision {
  std::int32_t node;
  std::int32_t output;
  Decision decision;
  friend bool operator==(const PlanDecision&, const PlanDecision&) = default;
};

// What a plan expects of node i: another op there is a user error, another shape only voids the predicted peak.
struct PlanNode {
  std::string op;
  std::string attributes;
  Shape shape;  // of the first output
  friend bool operator==(const PlanNode&, const PlanNode&) = default;
};

class Plan {
 public:
  // Highest live bytes of the step on its device, all tags but data, and nodes run again: set by whoever judged
  // the plan by driving the engine (checkpoint::plan, checkpoint::simulate); 0 before.
  std::size_t predicted_peak() const { return predicted_peak_; }
  std::int64_t replays() const { return replays_; }
  void save(const std::string& path) const;
  static Plan load(const std::string& path);
  void sort();  // regions into preorder, decisions by node and output
  // UserError if regions do not nest, decisions are out of order, or either leaves the step. A tape and load call it.
  void validate() const;

  std::size_t budget = 0;  // that it was made for (checkpoint::plan); 0: none
  std::size_t gradient_bytes =
      0;  // of gradients that leaves hold when the step begins: the predicted peak counts them

  std::vector<PlanRegion> regions;      // in preorder, properly nested
  std::vector<PlanDecision> decisions;  // sorted by node, then output
  std::vector<PlanNode> nodes;          // the fingerprint of the step it was made for
  void set_prediction(std::size_t peak, std::int64_t replays) {
    predicted_peak_ = peak;
    replays_ = replays;
  }

 private:
  std::size_t predicted_peak_ = 0;
  std::int64_t replays_ = 0;
};

}  // namespace reprise
