#include "reprise/autograd/finite_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "reprise/autograd/tape_state.h"

namespace reprise {
namespace {

// The first element that is NaN, else the first that is infinite.
struct Place {
  std::int64_t element;
  bool nan;
};

std::optional<Place> find_not_finite(const void* data, DType dtype, std::int64_t count) {
  constexpr std::int64_t kPart = 4096;
  std::vector<double> part(static_cast<std::size_t>(std::min(count, kPart)));
  std::optional<Place> infinite;
  const auto* bytes = static_cast<const std::byte*>(data);
  for (std::int64_t first = 0; first < count; first += kPart) {
    const std::int64_t length = std::min(kPart, count - first);
    convert(bytes + static_cast<std::size_t>(first) * size_of(dtype), dtype, part.data(), DType::f64, length);
    for (std::int64_t i = 0; i < length; ++i) {
      const double value = part[static_cast<std::size_t>(i)];
      if (std::isnan(value)) return Place{first + i, true};
      if (std::isinf(value) && !infinite) infinite = Place{first + i, false};
    }
  }
  return infinite;
}

// The bytes may be on any device.
std::optional<Place> find_not_finite(const std::byte* data, const ValueInfo& info) {
  if (!data || !is_floating(info.dtype) || info.bytes() == 0) return {};
  if (info.device.kind == Device::CPU) return find_not_finite(data, info.dtype, info.shape.numel());
  std::vector<std::byte> copy(info.bytes());
  services(info.device).copy(copy.data(), data, copy.size());
  return find_not_finite(copy.data(), info.dtype, info.shape.numel());
}

std::optional<Place> find_not_finite(const TapeState& tape, Index v) {
  const Value& value = tape.value(v);
  const Storage* storage = tape.slot(value.slot).current;
  if (!storage || !storage->data) return {};
  return find_not_finite(static_cast<const std::byte*>(storage->data) + value.offset, value.info);
}

const char* name(const Place& place) { return place.nan ? "NaN" : "infinity"; }

// Says of a node's inputs whether the fault came in with one of them.
std::string about_inputs(const TapeState& tape, const Node& node) {
  for (std::size_t i = 0; i < node.inputs; ++i)
    if (const auto place = find_not_finite(tape, tape.inputs(node)[i]))
      return fmt::format("input {} has {} already", i, name(*place));
  return "its inputs are finite";
}

}  // namespace

FiniteCheck::FiniteCheck(Tape& tape) : tape_(tape), life_(tape.state().life) { tape.add_observer(*this); }

FiniteCheck::~FiniteCheck() {
  if (!life_->ended) tape_.remove_observer(*this);
}

void FiniteCheck::found(Finding finding) {
  if (finding.nan && !first_nan_) first_nan_ = finding;
  if (!first_) first_ = std::move(finding);
}

void FiniteCheck::look_at_outputs(NodeId id) {
  const TapeState& tape = tape_.state();
  const Node& node = tape.node(id.i);
  if (tape.is_view(node)) return;
  for (std::size_t j = 0; j < node.outputs; ++j) {
    const Index v = tape.outputs(node)[j];
    const std::optional<Place> place = find_not_finite(tape, v);
    if (!place) continue;
    found(
        {id, std::string(node.op->name()), place->nan, false,
         fmt::format("{} (node {}): output {}, {}, has {} at element {}; {}", node.op->name(), id.i, j,
                     to_string(tape.value(v).info), name(*place), place->element, about_inputs(tape, node))});
  }
}

void FiniteCheck::on(Event event, NodeId id, const Tensor* leaf, const Tensor* gradient) {
  if (first_nan_) return;
  if (event == Event::forward) look_at_outputs(id);
  if (event != Event::leaf_gradient || gradient->impl()->storage->dry) return;
  const std::optional<Place> place = find_not_finite(gradient->impl()->data(), gradient->info());
  if (!place) return;
  const std::string op(tape_.state().node(id.i).op->name());
  found({id, op, place->nan, true,
         fmt::format("the gradient of leaf {}{}{} has {} at element {}, after the backward of {} (node {})",
                     leaf->name(), leaf->name().empty() ? "" : " ", to_string(leaf->info()), name(*place),
                     place->element, op, id.i)});
}

}  // namespace reprise
