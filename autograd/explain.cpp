// What a person sees of a tape: a table of its nodes, an explanation of one value, its trace as data.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "reprise/autograd/inline_buffer.h"
#include "reprise/autograd/tape_state.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"

namespace reprise {
namespace {

Residency residency(const Slot& slot) {
  if (slot.current) return Residency::Resident;
  return slot.host ? Residency::Offloaded : Residency::Dropped;
}

const char* name(Residency residency) {
  switch (residency) {
    case Residency::Resident:
      return "resident";
    case Residency::Dropped:
      return "dropped";
    case Residency::Offloaded:
      return "offloaded";
  }
  return "";
}

std::string value_list(std::span<const Index> values) {
  std::string text;
  for (const Index v : values) text += fmt::format("{}%{}", text.empty() ? "" : ", ", v);
  return text;
}

std::string region_path(const TapeState& tape, Index r) {
  std::string path;
  for (; r > 0; r = tape.region(r).parent) path = fmt::format("{}{}{}", r, path.empty() ? "" : ".", path);
  return path.empty() ? "-" : path;
}

// Nodes to run, in all, to make these bytes again from what is resident.
std::int64_t nodes_to_replay(const TapeState& tape, Index s) {
  std::vector<Index> missing{s}, list;
  while (!missing.empty()) {
    const Slot& wanted = tape.slot(missing.back());
    missing.pop_back();
    if (wanted.current || wanted.host || std::find(list.begin(), list.end(), wanted.maker) != list.end())
      continue;
    list.push_back(wanted.maker);
    for (const Index v : tape.inputs(tape.node(wanted.maker))) missing.push_back(tape.value(v).slot);
  }
  return static_cast<std::int64_t>(list.size());
}

}  // namespace

void Tape::print(std::ostream& out) const {
  const TapeState& tape = *state_;
  out << fmt::format("{:>5}  {:<24} {:<8} {:<18} {:<26} {:>12}  {:<10} {}\n", "node", "op", "region",
                     "inputs", "outputs", "bytes", "residency", "saved");
  for (Index n = 0; n < tape.node_count(); ++n) {
    const Node& node = tape.node(n);
    std::vector<Index> saved;
    for (const Index place : tape.saved_places(node)) saved.push_back(tape.place_value(node, place));
    for (std::size_t j = 0; j < node.outputs; ++j) {
      const Index v = tape.outputs(node)[j];
      const Slot& slot = tape.slot(tape.value(v).slot);
      const bool view = slot.maker != n;
      out << fmt::format(
          "{:>5}  {:<24} {:<8} {:<18} {:<26} {:>12}  {:<10} {}\n", j == 0 ? std::to_string(n) : "",
          j == 0 ? std::string(node.op->name()) : "", j == 0 ? region_path(tape, node.region) : "",
          j == 0 ? value_list(tape.inputs(node)) : "",
          fmt::format("%{} {}", v, to_string(tape.value(v).info)), view ? "view" : std::to_string(slot.bytes),
          name(residency(slot)), j == 0 ? value_list(saved) : "");
    }
  }
}

std::string Tape::explain(const Tensor& tensor) const {
  const TapeState& tape = *state_;
  if (!tensor.defined()) return "an undefined tensor";
  const Index v = tape.find_value(*tensor.impl());
  if (v < 0) return fmt::format("{}: not on this tape", to_string(tensor.info()));
  const Value& value = tape.value(v);
  const Slot& slot = tape.slot(value.slot);
  std::string text = fmt::format("%{} {}, {} bytes: ", v, to_string(value.info), value.info.bytes());
  if (value.maker < 0)
    text += value.leaf ? "a leaf, made outside the tape" : "data, made outside the tape";
  else
    text += fmt::format("made by {} (node {})", tape.node(value.maker).op->name(), value.maker);
  text += value.tracked ? ", tracked" : ", untracked";
  if (value.maker >= 0 && slot.maker != value.maker)
    text += fmt::format(
        "; a view at byte {} of a buffer of {} bytes{}", value.offset, slot.bytes,
        slot.maker >= 0 ? fmt::format(" made by {} (node {})", tape.node(slot.maker).op->name(), slot.maker)
                        : std::string());
  if (value.maker >= 0 && tape.node(value.maker).region != 0) {
    const Region& region = tape.region(tape.node(value.maker).region);
    text +=
        fmt::format("\n  in region {} [{}, {})", region_path(tape, tape.node(value.maker).region),
                    region.first, region.last < 0 ? std::string("recording") : std::to_string(region.last));
  }
  text += fmt::format("\n  {}", name(residency(slot)));
  if (slot.permanent) {
    text += ": the tape keeps it until it ends, for it could not make it again";
  } else {
    std::vector<std::string> reasons;
    for (Index n = 0; n < tape.node_count(); ++n)
      if (tape.node(n).holding)
        for (const Index place : tape.saved_places(tape.node(n)))
          if (tape.value(tape.place_value(tape.node(n), place)).slot == value.slot)
            reasons.push_back(fmt::format("saved by {} (node {})", tape.node(n).op->name(), n));
    for (std::size_t r = 1; r < tape.regions.size(); ++r) {
      const Region& region = tape.regions[r];
      if (!region.holding ||
          std::find(region.held.begin(), region.held.end(), value.slot) == region.held.end())
        continue;
      const bool made_inside = tape.inside(static_cast<Index>(r), slot.maker);
      reasons.push_back(fmt::format("{} region {}", made_inside ? "kept in" : "boundary of", r));
    }
    if (slot.current) {
      const std::int32_t handles = slot.current->references.load() - (slot.strong ? 1 : 0);
      if (handles > 0)
        reasons.push_back(fmt::format("{} handle{} of the user's hold{} the whole buffer of {} bytes",
                                      handles, handles == 1 ? "" : "s", handles == 1 ? "s" : "", slot.bytes));
    }
    for (const std::string& reason : reasons) text += "\n  " + reason;
    if (!slot.current)
      text += fmt::format("\n  replaying it would run {} nodes", nodes_to_replay(tape, value.slot));
  }
  return text;
}

Trace Tape::trace() const { return trace_of(*state_); }

Trace trace_of(const TapeState& tape) {
  Trace trace;
  trace.tape_values = static_cast<Index>(tape.values.size());
  for (const Value& v : tape.values)
    trace.values.push_back({v.info.shape, v.info.dtype, v.info.device, tape.slot(v.slot).bytes, v.slot,
                            v.maker, static_cast<bool>(v.leaf), v.leaf && gradient_of(*v.leaf)});
  for (Index n = 0; n < tape.node_count(); ++n) {
    const Node& node = tape.node(n);
    InlineBuffer<ValueInfo, 4> infos(node.inputs);
    for (std::size_t i = 0; i < node.inputs; ++i) infos[i] = tape.value(tape.inputs(node)[i]).info;
    const auto in = tape.inputs(node), out = tape.outputs(node);
    TraceNode& traced = trace.nodes.emplace_back();
    traced.op = node.op->name();
    traced.attributes = node.op->attributes();
    traced.inputs.assign(in.begin(), in.end());
    traced.outputs.assign(out.begin(), out.end());
    for (const Index place : tape.saved_places(node)) traced.saved.push_back(tape.place_value(node, place));
    const bool view = tape.is_view(node);
    traced.workspace = view || infos.span().empty() ? 0 : node.op->workspace(infos.span(), infos[0].device);
    traced.flops = node.op->flops(infos.span());
    traced.keep = node.op->keep() == Keep::never_replay;
    traced.tracked = node.tracked;
    traced.instance = node.op;
    trace.events.push_back({TraceEvent::Kind::node, n});
  }
  return trace;
}

}  // namespace reprise
