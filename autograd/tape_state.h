#pragma once
// The tape's insides: one slot per buffer, one value per tensor on the tape, one node per op run, one region per
// checkpointed passage. Everything is an index into an array, so a tape of 100,000 nodes is a few flat vectors.
//
// Three facts decide about a slot's bytes, and `settle` is the only place that acts on them:
//   permanent  nobody can make the bytes again (a leaf, data, a never_replay op): kept until the tape ends
//   holds      how many pending reasons want them: nodes that saved them, closed regions that need or keep them
//   pins       how many steps of a replay or a backward are using them right now
// Resident means that bytes are there, whoever owns them; holds say who wants them. Taking bytes away leaves the holds
// in place, so that a replay restores and keeps them: plans, eviction and recovery from failure share one path.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "reprise/autograd/offload.h"
#include "reprise/autograd/op.h"
#include "reprise/autograd/plan.h"
#include "reprise/autograd/tape.h"
#include "reprise/core/tensor.h"

namespace reprise {

using Index = std::int32_t;

// Decides, for a node in a region, what becomes of its outputs while the region is closed. Null: recompute all.
using RegionPolicy = std::shared_ptr<const std::function<Decision(const NodeInfo&)>>;

struct Slot {
  Ref<Storage> strong;         // the tape's own reference, while it wants the bytes
  Storage* current = nullptr;  // where the bytes are now, whoever owns them; null: dropped
  OffloadedCopy host;          // the offloaded copy
  Index maker = -1;            // node that makes the bytes; -1: made outside the tape
  Index holds = 0;
  Index pins = 0;
  Index parked = 0;  // closed regions that are content with the offloaded copy
  std::uint32_t version = 0;
  std::uint32_t mark = 0;       // the last search (TapeState::epoch) that needed it
  std::uint32_t kept_mark = 0;  // the last search whose region keeps it
  Index held_by_record = 0;     // the outermost region that already holds it as an outside input
  bool permanent = false;
  std::uint64_t touched = 0;  // TapeState::clock when last read or made
  std::size_t bytes = 0;
  Device device;
};

struct Value {
  ValueInfo info;
  std::size_t offset = 0;  // bytes into the slot
  Index slot = -1;
  Index maker = -1;  // node; -1: a leaf or data
  bool tracked = false;
  std::uint64_t serial = 0;  // a handle stands for this value while it has the same serial
  Ref<TensorImpl> leaf;      // where the gradient goes, for a leaf that requires one
};

// The places of a node are its inputs, then its outputs; `TapeState::places` maps them to values.
struct Node {
  std::shared_ptr<const Op> op;
  Index first_place = 0;
  std::uint16_t inputs = 0, outputs = 0, saves = 0;  // saved places follow the places themselves
  bool tracked = false;
  bool holding = false;  // its saves carry a hold for it
  bool spent = false;    // its backward has run and was not retained
  Index region = 0;      // innermost region that contains it
  std::uint32_t mark = 0;
};

struct Region {
  Index first = 0;
  Index last = -1;  // -1: still recording
  Index parent = -1;
  Index mirror = -1;  // the region whose backward, with create_graph, this one holds
  Index plan_last = -1;
  bool eager = false;
  bool holding = false;       // `held` carries holds
  bool open = false;          // the walk is inside
  bool needed_later = false;  // some of its backwards are pending outside the present walk
  RegionPolicy policy;
  std::vector<Index> children;
  std::vector<Index> held;    // slots: the boundary, then what is kept inside, in the order of its making
  std::vector<Index> passed;  // what was kept inside, and the walk has passed; the last first
  std::vector<Index> kept;    // slots inside that a policy or a plan keeps
  std::vector<Index> parked;  // slots inside whose offloaded copy is kept
};

// Which nodes a backward walk will visit.
struct Walk {
  std::vector<std::uint8_t> active;  // per node: its backward will run
  std::vector<Index> active_before;  // prefix counts, so that "any active in [first, last)" is one comparison
  bool any_active(Index first, Index last) const {
    return active_before[static_cast<std::size_t>(first)] != active_before[static_cast<std::size_t>(last)];
  }
  bool retain = false;
  bool create = false;
};

struct WalkRequest {
  Tensor seed;
  bool retain_graph = false;
  bool create_graph = false;
  bool allow_unused = false;
  Commit commit = Commit::at_end;
};

// Hears what user code does to a recorded step; checkpoint::trace listens (checkpoint/trace.h).
struct TapeListener {
  virtual ~TapeListener() = default;
  virtual void node(Index node) = 0;
  virtual void backward(const Tensor& loss, std::span<const Tensor> wanted, bool accumulate,
                        const WalkRequest& request) = 0;
  virtual void backward_done(std::span<const Tensor> results) = 0;
};

class TapeState final : public SlotTable {
 public:
  explicit TapeState(TapeOptions options);
  ~TapeState();
  TapeState(const TapeState&) = delete;
  TapeState& operator=(const TapeState&) = delete;

  std::vector<Node> nodes;
  std::vector<Index> places;
  std::vector<Value> values;
  std::vector<Slot> slots;
  std::vector<Region> regions;  // regions[0] is the root: outside every region
  Index innermost = 0;          // the region being recorded into
  std::unordered_map<const TensorImpl*, Index>
      leaf_values;  // of leaves that require a gradient: the latest value

  std::shared_ptr<const Plan> plan;
  std::size_t next_plan_region = 0;
  bool plan_fits = false;  // known to have been made for this very step: its nodes are not compared
  bool plan_shapes_match = true;

  Observer* observer = nullptr;
  TapeListener* listener = nullptr;
  std::int64_t replays = 0;
  double replayed_flops = 0;
  std::uint64_t id = 0;
  std::thread::id thread;
  std::string pending_error;  // what a Region's destructor could not throw
  bool walking = false;
  bool ignore_regions = false;  // regions in code have no effect, as under a plan
  int inside_engine = 0;        // > 0 while the engine, not user code, allocates; kept for a listener only
  std::uint64_t clock = 0;

  // ---- values and slots (tape.cpp)
  Value& value(Index v) { return values[static_cast<std::size_t>(v)]; }
  const Value& value(Index v) const { return values[static_cast<std::size_t>(v)]; }
  Slot& slot(Index s) { return slots[static_cast<std::size_t>(s)]; }
  const Slot& slot(Index s) const { return slots[static_cast<std::size_t>(s)]; }
  Node& node(Index n) { return nodes[static_cast<std::size_t>(n)]; }
  const Node& node(Index n) const { return nodes[static_cast<std::size_t>(n)]; }
  Region& region(Index r) { return regions[static_cast<std::size_t>(r)]; }
  const Region& region(Index r) const { return regions[static_cast<std::size_t>(r)]; }
  Index node_count() const { return static_cast<Index>(nodes.size()); }
  std::span<const Index> inputs(const Node& n) const { return {places.data() + n.first_place, n.inputs}; }
  std::span<const Index> outputs(const Node& n) const {
    return {places.data() + n.first_place + n.inputs, n.outputs};
  }
  std::span<const Index> saved_places(const Node& n) const {
    return {places.data() + n.first_place + n.inputs + n.outputs, n.saves};
  }
  Index place_value(const Node& n, Index place) const {
    return places[static_cast<std::size_t>(n.first_place + place)];
  }
  template <class F>
  void for_each_saved_slot(Index n, F&& f) {
    const Node& saver = node(n);
    for (const Index place : saved_places(saver)) f(value(place_value(saver, place)).slot);
  }
  bool is_view(const Node& n) const;
  // The value a handle stands for here, or -1.
  Index find_value(const TensorImpl& impl) const;
  // The value of a leaf that requires a gradient, also when another tape has read it since, or -1. It may have been
  // written since.
  Index find_leaf(const TensorImpl& impl) const;
  // The same, entering a leaf or data that the tape has not met. UserError for a value of another tape.
  Index value_of(const Tensor& tensor);
  Index make_value(const Tensor& output, Index maker, Index s, bool tracked);
  Tensor handle(Index v);
  void forget(std::int32_t slot) noexcept override;
  void bind(Index s, const Ref<Storage>& storage);
  void settle(Index s);
  void hold(Index s);
  void release(Index s);
  void pin(Index s);
  void unpin(Index s);
  void hold_saves(Index n);
  void release_saves(Index n);
  bool evictable(Index s) const;
  void evict(Index s);
  void check_version(Index n, Index s, const char* what) const;
  void notify(Event event, Index n, const Tensor* leaf = nullptr, const Tensor* gradient = nullptr) {
    if (observer) observer->on(event, NodeId{n}, leaf, gradient);
  }
  void check_thread(const char* what) const;
  void throw_pending_error();

  // ---- recording (record.cpp)
  void check_plan(const Op& op, std::span<const ValueInfo> outputs);
  void open_plan_regions();
  void close_plan_regions(bool all = false);
  // UserError for a tracked value of another tape; an op without any gradient (detach) reads it as data.
  void check_known(const Op& op, std::span<Tensor> inputs) const;
  void append(std::shared_ptr<const Op> op, std::span<const Tensor> inputs, std::span<const Tensor> outputs,
              std::span<const ValueInfo> infos, Needs needs, bool tracked, const std::optional<Alias>& alias);

  // ---- regions (region.cpp)
  Index push_region(RegionPolicy policy, Index mirror = -1);
  void pop_region();
  Index outermost(Index r) const;
  bool inside(Index r, Index maker) const;
  // What the policy of region r, or the plan in force, says about an output of node n.
  Decision decide(Index r, Index n, Index output, const NodeInfo& described) const;
  NodeInfo describe(Index n) const;
  double flops(Index n) const;
  // Slots made outside region r that its pending backwards need, for themselves or to replay. Marks with `epoch` what
  // is needed inside. Exact.
  std::vector<Index> boundary(Index r, const Walk* walk);
  void hold_region(Index r);
  void release_region(Index r);
  void open_region(Index r, const Walk& walk);
  void close_inner_region(Index q, const Walk& walk, std::vector<Index>& targets);
  void close_region(Index r, const Walk& walk);
  bool may_release(Index r, const Walk& walk) const;
  // The walk has come to node n of open region r: what is kept of what was made from there on serves no replay any more.
  void pass(Index r, Index n, const Walk& walk);
  // Does a pending backward of open region r, below node `upto`, still lack bytes? Then its boundary must stay.
  bool misses_bytes(Index r, Index upto, const Walk& walk) const;
  bool available(Index s) const { return slot(s).current || slot(s).host; }

  // ---- replay (replay.cpp)
  void fetch(Index s);
  void replay_node(Index n);
  void materialize(std::span<const Index> targets);

  // ---- backward (backward.cpp)
  std::vector<Tensor> walk(const Tensor& loss, std::span<const Tensor> wanted, bool accumulate,
                           WalkRequest request);
  // Forgets every node, value, slot and region from these on: what a failed walk with create_graph appended.
  void rewind(Index node_limit, std::size_t value_limit, std::size_t slot_limit, std::size_t region_limit);

  std::uint32_t epoch = 0;
};

// Runs an op's forward with its declared workspace; in a dry run only the workspace is counted.
void run_forward(const Op& op, std::span<const ConstView> in, std::span<const View> out,
                 std::span<const ValueInfo> infos);

// Nodes and values so far, and the nodes as events.
Trace trace_of(const TapeState& tape);

// The tape that ops on this thread are appended to; null: none, or under NoGrad.
TapeState* recording_tape();
TapeState* recording_tape_even_if_paused();
void set_recording_tape(TapeState* tape);
bool recording_paused();
void set_recording_paused(bool paused_now);
// Is this tape still there? (A Region may outlive it.)
bool tape_alive(const TapeState* tape, std::uint64_t id);

}  // namespace reprise
