// Replay: run nodes' forward again, from what is resident, into the same values.
#include <algorithm>

#include "reprise/autograd/inline_buffer.h"
#include "reprise/autograd/tape_state.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"

namespace reprise {

void TapeState::fetch(Index s) {
  const Ref<Storage> storage = allocate(slot(s).bytes, slot(s).device, memory::Tag::replay);
  slot(s).host.copy_to(storage->data);
  bind(s, storage);
  slot(s).strong = storage;
  notify(Event::fetch, slot(s).maker);
}

// The caller has pinned the node's inputs and wants some of its outputs.
void TapeState::replay_node(Index n) {
  const Node replayed = node(n);
  InlineBuffer<ValueInfo, 4> infos(replayed.inputs);
  InlineBuffer<ConstView, 8> in(replayed.inputs);
  for (std::size_t i = 0; i < replayed.inputs; ++i) {
    const Value& read = value(inputs(replayed)[i]);
    if (!slot(read.slot).current && slot(read.slot).host) fetch(read.slot);
    if (!slot(read.slot).current) throw InternalError("a replay lacks an input");
    check_version(n, read.slot, "the replay");
    slot(read.slot).touched = ++clock;
    infos[i] = read.info;
    auto* bytes = static_cast<std::byte*>(slot(read.slot).current->data);
    in[i] = {bytes ? bytes + read.offset : nullptr, &read.info};
  }
  // A node with several outputs makes them all; one that is resident is never overwritten.
  InlineBuffer<Ref<Storage>, 8> made(replayed.outputs);
  InlineBuffer<View, 8> out(replayed.outputs);
  for (std::size_t j = 0; j < replayed.outputs; ++j) {
    const Value& written = value(outputs(replayed)[j]);
    made[j] = allocate(slot(written.slot).bytes, written.info.device, memory::Tag::replay);
    out[j] = {made[j]->data, &written.info};
  }
  {
    const UserCode running(kOpFunction);
    run_forward(*replayed.op, in.span(), out.span(), infos.span());
    replayed_flops += replayed.op->flops(infos.span());
  }
  ++replays;
  for (std::size_t j = 0; j < replayed.outputs; ++j) {
    const Index s = value(outputs(replayed)[j]).slot;
    if (slot(s).current) continue;
    bind(s, made[j]);
    slot(s).strong = made[j];
  }
  notify(Event::replay, n);
  for (std::size_t j = 0; j < replayed.outputs; ++j) made[j].reset();
  for (std::size_t j = 0; j < replayed.outputs; ++j) settle(value(outputs(replayed)[j]).slot);
}

namespace {

// Pins of a replay, undone when it fails. The number of pins of an input is the number of nodes that still read it, so
// that unpinning frees it after its last use.
class Pins {
 public:
  explicit Pins(TapeState& tape) : tape_(tape) {}
  ~Pins() {
    for (const Index s : slots_)
      if (s >= 0) tape_.unpin(s);
  }
  Pins(const Pins&) = delete;
  Pins& operator=(const Pins&) = delete;
  void add(Index s) {
    slots_.push_back(s);
    tape_.pin(s);
  }
  void drop(std::size_t i) { tape_.unpin(std::exchange(slots_[i], -1)); }

 private:
  TapeState& tape_;
  std::vector<Index> slots_;
};

}  // namespace

void TapeState::materialize(std::span<const Index> targets) {
  if (std::all_of(targets.begin(), targets.end(), [this](Index s) { return slot(s).current != nullptr; }))
    return;
  const std::uint32_t mark = next_epoch();
  Pins pins(*this);
  for (const Index s : targets) pins.add(s);

  // The nodes to run: makers of what has no bytes, back to what has some.
  std::vector<Index> missing(targets.begin(), targets.end()), list;
  while (!missing.empty()) {
    Slot& wanted = slot(missing.back());
    missing.pop_back();
    if (wanted.mark == mark || wanted.current || wanted.host) continue;
    wanted.mark = mark;
    if (wanted.permanent || wanted.maker < 0)
      throw InternalError("a value that cannot be made again was dropped");
    Node& maker = node(wanted.maker);
    if (maker.mark == mark) continue;
    maker.mark = mark;
    list.push_back(wanted.maker);
    for (const Index v : inputs(maker)) missing.push_back(value(v).slot);
  }
  std::sort(list.begin(), list.end());
  for (const Index n : list)
    for (const Index v : inputs(node(n))) pins.add(value(v).slot);
  std::size_t next_pin = targets.size();
  for (const Index n : list) {
    replay_node(n);
    for (std::size_t i = 0; i < node(n).inputs; ++i) pins.drop(next_pin++);
  }
  for (const Index s : targets)
    if (!slot(s).current && slot(s).host) fetch(s);
}

}  // namespace reprise
