#include "reprise/autograd/finite_check.h"

#include <fmt/format.h>

#include <cstddef>
#include <utility>

#include "reprise/autograd/tape_state.h"
#include "reprise/core/not_finite.h"

namespace reprise {
namespace {

std::optional<NotFinite> find_not_finite(const TapeState& tape, Index v) {
  const Value& value = tape.value(v);
  const Storage* storage = tape.slot(value.slot).current;
  if (!storage || !storage->data) return {};
  return find_not_finite(static_cast<const std::byte*>(storage->data) + value.offset, value.info);
}

const char* name(const NotFinite& place) { return place.nan ? "NaN" : "infinity"; }

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
    const std::optional<NotFinite> place = find_not_finite(tape, v);
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
  const std::optional<NotFinite> place = find_not_finite(gradient->impl()->data(), gradient->info());
  if (!place) return;
  const std::string op(tape_.state().node(id.i).op->name());
  found({id, op, place->nan, true,
         fmt::format("the gradient of leaf {}{}{} has {} at element {}, after the backward of {} (node {})",
                     leaf->name(), leaf->name().empty() ? "" : " ", to_string(leaf->info()), name(*place),
                     place->element, op, id.i)});
}

}  // namespace reprise
