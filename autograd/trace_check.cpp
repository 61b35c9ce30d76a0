// The rules of a trace, checked in one place so that planners and the simulation may trust every number.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
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
  explicit Check(const Trace& trace) : trace_(trace) {}

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

  static void check_range(std::int64_t number, std::int64_t first, std::int64_t last,
                          const std::string& what) {
    if (number < first || number >= last)
      throw UserError(fmt::format("trace: {} is {}, outside [{}, {})", what, number, first, last));
  }
  static void check(bool right, const std::string& what) {
    if (!right) throw UserError("trace: " + what);
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
      check_range(checked.storage, 0, values(), fmt::format("the storage of value {}", v));
      check_range(checked.maker, -1, v < trace_.tape_values ? nodes() : 0,
                  fmt::format("the maker of value {}", v));
      check(!checked.leaf || checked.maker < 0,
            fmt::format("value {} is a leaf, and made by node {}", v, checked.maker));
      const auto elements = static_cast<std::size_t>(checked.shape.numel());
      check(elements <= kMostBytes / size_of(checked.dtype) &&
                elements * size_of(checked.dtype) <= checked.bytes,
            fmt::format("value {} is larger than its buffer of {} bytes", v, checked.bytes));
      Index& first = first_of[static_cast<std::size_t>(checked.storage)];
      if (first < 0) {
        first = v;
        add_bytes(checked.bytes);
      }
      check(value(first).bytes == checked.bytes && value(first).device == checked.device,
            fmt::format("values {} and {} share a buffer of different sizes or devices", first, v));
    }
  }

  void check_node(Index n) {
    const TraceNode& node = trace_.nodes[static_cast<std::size_t>(n)];
    const std::string name = fmt::format("node {} ({})", n, node.op);
    for (const Index v : node.inputs) {
      check_range(v, 0, trace_.tape_values, "an input of " + name);
      check(value(v).maker < n, fmt::format("{} reads value {} before it is made", name, v));
    }
    check(!node.outputs.empty(), name + " has no outputs");
    for (const Index v : node.outputs) {
      check_range(v, 0, trace_.tape_values, "an output of " + name);
      check(value(v).maker == n, fmt::format("{} makes value {}, whose maker is another", name, v));
    }
    const auto has = [](std::span<const Index> list, Index v) {
      return std::find(list.begin(), list.end(), v) != list.end();
    };
    for (const Index v : node.saved)
      check(has(node.inputs, v) || has(node.outputs, v),
            fmt::format("{} saves value {}, which is not its own", name, v));
    check(std::isfinite(node.flops) && node.flops >= 0 && std::isfinite(node.seconds) && node.seconds >= 0,
          name + " has a cost that is negative or not finite");
    add_bytes(node.workspace);
  }

  // Each value that a node makes is in that node's outputs, once.
  void check_makers() const {
    std::vector<std::uint8_t> made(trace_.values.size());
    for (const TraceNode& node : trace_.nodes)
      for (const Index v : node.outputs)
        check(!std::exchange(made[static_cast<std::size_t>(v)], std::uint8_t{1}),
              fmt::format("value {} is made twice", v));
    for (Index v = 0; v < values(); ++v)
      check(value(v).maker < 0 || made[static_cast<std::size_t>(v)],
            fmt::format("value {} is not among the outputs of its maker", v));
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
};

}  // namespace

void Trace::validate() const { Check(*this).run(); }

}  // namespace reprise
