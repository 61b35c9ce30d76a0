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
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "reprise/autograd/offload.h"
#include "reprise/autograd/op.h"
#include "reprise/autograd/plan.h"
#include "reprise/autograd/tape.h"
#include "reprise/core/tensor.h"
#include "reprise/core/thread_local.h"

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
  std::uint32_t inputs = 0, outputs = 0, saves = 0;  // saved places follow the places themselves
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
  Index outermost = 0;  // the region without a parent but the root that contains it, or itself
  Index mirror = -1;    // the region whose backward, with create_graph, this one holds
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
  // Once it is known that the walk can begin. `wanted` are values; -1: the tape has never met that leaf.
  virtual void backward(const Tensor& loss, std::span<const Index> wanted, bool accumulate,
                        const WalkRequest& request) = 0;
  virtual void backward_done(std::span<const Tensor> results) = 0;
};

// Outlives its tape, for those who must ask whether the tape is still there.
struct TapeLife {
  std::atomic<bool> ended{false};
};

// The recording tape of a thread. Objects whose ends may come on another thread (Tape, Tape::Recording, NoGrad) refer to it.
struct ThreadRecording {
  std::atomic<std::int32_t> references{0};
  std::atomic<TapeState*> tape{nullptr};  // null: none
  std::atomic<std::int32_t> paused{0};    // NoGrads that live
  std::atomic<bool> ended_elsewhere{
      false};  // `tape` ended on another thread or in an observer, and no op has said so yet
  const char* user_code = nullptr;  // user code that must run no op, while it runs
  static void destroy(ThreadRecording* thread) noexcept { delete thread; }
};
// Null until the thread first asks for its own.
REPRISE_HOT_THREAD_LOCAL extern constinit ThreadRecording* this_threads_recording;
ThreadRecording& begin_thread();
inline ThreadRecording& this_thread() {
  return this_threads_recording ? *this_threads_recording : begin_thread();
}

inline constexpr const char* kOpFunction =
    "a function of an op (infer, forward, saves or another but backward)";

// While one lives, user code of this kind runs on this thread, called by the engine: an op there is a UserError.
class UserCode {
 public:
  explicit UserCode(const char* kind)
      : thread_(this_thread()), previous_(std::exchange(thread_.user_code, kind)) {}
  ~UserCode() { thread_.user_code = previous_; }
  UserCode(const UserCode&) = delete;
  UserCode& operator=(const UserCode&) = delete;

 private:
  ThreadRecording& thread_;
  const char* previous_;
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
  std::size_t gradients_at_start = 0;  // under a plan: bytes in .grad of the leaves met so far

  std::vector<Observer*> observers;  // null: removed while observers were being told
  int telling = 0;                   // > 0 while observers are being told
  TapeListener* listener = nullptr;
  std::vector<Index>* moved =
      nullptr;  // online eviction's: gets each slot whose bytes come or go; null: nobody asks
  std::int64_t replays = 0;
  double replayed_flops = 0;
  std::uint64_t dry_run = 0;  // the dry run that it was opened in; 0: none
  Ref<ThreadRecording> owner;
  std::shared_ptr<TapeLife> life = std::make_shared<TapeLife>();
  std::string pending_error;  // what a Region's destructor or an observer could not throw
  int busy = 0;               // > 0 while the engine works on this tape: its end then waits
  bool doomed = false;        // its Tape has ended meanwhile
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
  // Under a plan, for a leaf that the tape meets now: the bytes in its .grad.
  std::size_t gradient_at_start(const TensorImpl& impl) const;
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
  // A new mark for a search. When the numbers have run out, all old marks are wiped.
  std::uint32_t next_epoch();

  // ---- the tape's life and its observers (tape_life.cpp)
  bool observed() const { return !observers.empty(); }
  void notify(Event event, Index n, const Tensor* leaf = nullptr, const Tensor* gradient = nullptr) noexcept {
    if (observed()) tell(event, n, leaf, gradient);
  }
  void tell(Event event, Index n, const Tensor* leaf, const Tensor* gradient) noexcept;
  void add_observer(Observer& observer);
  void remove_observer(Observer& observer);
  void clear_observers() noexcept;
  // UserError unless this thread opened the tape, in the dry run that is active now, and the tape still lives.
  void check_usable(const char* what) const;
  void throw_pending_error();
  // UserError where user code has ended the tape while the engine was working on it.
  void check_not_doomed(const char* what) const;
  // No thread records on it from here on.
  void end() noexcept;

  // ---- recording (record.cpp)
  void check_plan(const Op& op, std::span<const ValueInfo> outputs);
  void open_plan_regions();
  void close_plan_regions(bool all = false);
  // UserError for a tracked value of another tape; an op without any gradient (detach) reads it as data.
  void check_known(const Op& op, std::span<Tensor> inputs) const;
  void check_gradients_at_start(std::span<const Tensor> inputs) const;
  void append(std::shared_ptr<const Op> op, std::span<const Tensor> inputs, std::span<const Tensor> outputs,
              std::span<const ValueInfo> infos, Needs needs, bool tracked, const std::optional<Alias>& alias);

  // ---- regions (region.cpp)
  Index push_region(RegionPolicy policy, Index mirror = -1);
  void pop_region();
  Index outermost(Index r) const { return region(r).outermost; }
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
  void add_policy_kept(Index q);
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

// The tape that ops on this thread are appended to; null: none, under NoGrad, or a tape from outside this dry run.
// UserError inside user code that must run no op, and once for a tape that can record no more.
TapeState* recording_tape();
TapeState* recording_tape_even_if_paused();
// Its thread stops recording on it, if it does.
void stop_recording(TapeState& tape) noexcept;

// While one lives, a tape's end waits: the engine is at work on it. Null: no tape.
class Busy {
 public:
  explicit Busy(TapeState* tape) : tape_(tape) {
    if (tape_) ++tape_->busy;
  }
  ~Busy() {
    if (tape_ && --tape_->busy == 0 && tape_->doomed) delete tape_;
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  TapeState* tape_;
};

}  // namespace reprise
