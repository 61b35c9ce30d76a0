// The rules of a trace, checked in one place so that planners and the simulation may trust every number.
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "reprise/autograd/plan.h"
#include "reprise/core/error.h"

namespace reprise {
namespace {

using Index = std::int32_t;

// No machine has more; sums of two stay far from the end of the type.
constexpr std::size_t kMostBytes = std::size_t{1} << 60;

class Check {
 public:
  explicit Check(const Trace& trace) : trace_(trace), node_of_(trace.values.size(), -1) {}

  void run() {
    check_range(trace_.tape_values, 0, values() + 1, "the number of the tape's values");
    check_values();
    for (Index n = 0; n < nodes(); ++n) check_node(n);
    check_makers();
    for (const TraceBackward& backward : trace_.backwards) check_backward(backward);
    check_events();
  }

 private:
  Index values() const { return static_cast<Index>(trace_.values.size()); }
  Index nodes() const { return static_cast<Index>(trace_.nodes.size()); }
  const TraceValue& value(Index v) const { return trace_.values[static_cast<std::size_t>(v)]; }

  // The words are put together for an error only.
  template <class... Args>
  static void check(bool right, fmt::format_string<const Args&...> words, const Args&... args) {
    if (!right) throw UserError("trace: " + fmt::format(words, args...));
  }
  template <class... Args>
  static void check_range(std::int64_t number, std::int64_t first, std::int64_t last,
                          fmt::format_string<const Args&...> words, const Args&... args) {
    if (number < first || number >= last)
      throw UserError(
          fmt::format("trace: {} is {}, outside [{}, {})", fmt::format(words, args...), number, first, last));
  }
  void add_bytes(std::size_t bytes) {
    check(bytes <= kMostBytes && total_ + bytes <= kMostBytes, "more bytes than any machine has");
    total_ += bytes;
  }

  void check_values() {
    check(trace_.values.size() < INT32_MAX && trace_.nodes.size() < INT32_MAX, "too many values or nodes");
    add_bytes(trace_.base_bytes);
    std::vector<Index> first_of(trace_.values.size(), -1);  // per storage
    for (Index v = 0; v < values(); ++v) {
      const TraceValue& checked = value(v);
      check_range(checked.storage, 0, values(), "the storage of value {}", v);
      check_range(checked.maker, -1, v < trace_.tape_values ? nodes() : 0, "the maker of value {}", v);
      check(!checked.leaf || checked.maker < 0, "value {} is a leaf, and made by node {}", v, checked.maker);
      const auto elements = static_cast<std::size_t>(checked.shape.numel());
      check(elements <= kMostBytes / size_of(checked.dtype) &&
                elements * size_of(checked.dtype) <= checked.bytes,
            "value {} is larger than its buffer of {} bytes", v, checked.bytes);
      Index& first = first_of[static_cast<std::size_t>(checked.storage)];
      if (first < 0) {
        first = v;
        add_bytes(checked.bytes);
      }
      check(value(first).bytes == checked.bytes && value(first).device == checked.device,
            "values {} and {} share a buffer of different sizes or devices", first, v);
    }
  }

  void check_node(Index n) {
    const TraceNode& node = trace_.nodes[static_cast<std::size_t>(n)];
    for (const Index v : node.inputs) {
      check_range(v, 0, trace_.tape_values, "an input of node {} ({})", n, node.op);
      check(value(v).maker < n, "node {} ({}) reads value {} before it is made", n, node.op, v);
      node_of_[static_cast<std::size_t>(v)] = n;
    }
    check(!node.outputs.empty(), "node {} ({}) has no outputs", n, node.op);
    for (const Index v : node.outputs) {
      check_range(v, 0, trace_.tape_values, "an output of node {} ({})", n, node.op);
      check(value(v).maker == n, "node {} ({}) makes value {}, whose maker is another", n, node.op, v);
    }
    for (const Index v : node.saved) {
      check_range(v, 0, trace_.tape_values, "a saved value of node {} ({})", n, node.op);
      check(value(v).maker == n || node_of_[static_cast<std::size_t>(v)] == n,
            "node {} ({}) saves value {}, which is not its own", n, node.op, v);
    }
    check(std::isfinite(node.flops) && node.flops >= 0 && std::isfinite(node.seconds) && node.seconds >= 0,
          "node {} ({}) has a cost that is negative or not finite", n, node.op);
    add_bytes(node.workspace);
  }

  // Each value that a node makes is in that node's outputs, once.
  void check_makers() const {
    std::vector<std::uint8_t> made(trace_.values.size());
    for (const TraceNode& node : trace_.nodes)
      for (const Index v : node.outputs)
        check(!std::exchange(made[static_cast<std::size_t>(v)], std::uint8_t{1}), "value {} is made twice",
              v);
    for (Index v = 0; v < values(); ++v)
      check(value(v).maker < 0 || made[static_cast<std::size_t>(v)],
            "value {} is not among the outputs of its maker", v);
  }

  void check_backward(const TraceBackward& backward) const {
    check_range(backward.loss, 0, trace_.tape_values, "the loss of a backward");
    check_range(backward.seed, -1, values(), "the seed of a backward");
    for (const Index v : backward.wanted) check_range(v, -1, values(), "a value whose gradient is wanted");
    for (const Index v : backward.results) check_range(v, -1, values(), "the result of a backward");
    check(backward.results.size() <= backward.wanted.size(),
          "a backward has more results than were asked for");
  }

  void check_events() {
    Index next_node = 0, next_backward = 0;
    std::size_t live = trace_.base_bytes;
    for (const TraceEvent& event : trace_.events) {
      switch (event.kind) {
        case TraceEvent::Kind::node:
          check_range(event.index, next_node, nodes(), "the node of an event");
          next_node = event.index + 1;
          break;
        case TraceEvent::Kind::backward:
          check_range(event.index, next_backward, static_cast<Index>(trace_.backwards.size()),
                      "the backward of an event");
          next_backward = event.index + 1;
          break;
        case TraceEvent::Kind::allocate:
          check_range(event.index, trace_.tape_values, values(), "the buffer of an event");
          add_bytes(value(event.index).bytes);
          live += value(event.index).bytes;
          break;
        case TraceEvent::Kind::release:
          check_range(event.index, 0, values(), "the value of an event");
          if (next_node > 0 || next_backward > 0) break;
          check(value(event.index).bytes <= live, "more bytes are released than live");
          live -= value(event.index).bytes;
          break;
      }
    }
  }

  const Trace& trace_;
  std::size_t total_ = 0;
  std::vector<Index> node_of_;  // per value: the node checked last that reads it
};

}  // namespace

void Trace::validate() const { Check(*this).run(); }

}  // namespace reprise
